"""What went wrong, in the form every part of the program reports it.

One fault is one message: what is wrong, where it stands, the nearest feasible alternative, and the exact thing to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["EnvironmentFault", "Fault", "LlmosError", "UserFault", "nearest"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        what: the fault in a sentence, quoting the offending value and the allowed range (never a secret).
        where: file and YAML path, object, or machine part, e.g. ``Pulumi.dev.yaml: applications.assistant.port``.
        nearest: the nearest feasible alternative, e.g. ``did you mean `replicas`?``; empty when there is none.
        fix: what the reader should do, printed behind ``To fix:``.
    """

    what: str
    where: str
    fix: str
    nearest: str = ""

    def __str__(self) -> str:
        nearest = f"\n  {self.nearest}" if self.nearest else ""
        return f"{self.where}: {self.what}{nearest}\n  To fix: {self.fix}"


class LlmosError(Exception):
    """Base of all errors that are reported without a traceback; carries one or more faults and the exit code."""

    exit_code = 2

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        if not self.faults:
            raise ValueError("an LlmosError needs at least one fault")
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UserFault(LlmosError):
    """The user's input, usage or a policy is at fault: exit code 1."""

    exit_code = 1


class EnvironmentFault(LlmosError):
    """The machine, network or cluster is at fault: exit code 2."""

    exit_code = 2


def nearest(word: str, candidates: Iterable[str]) -> str:
    """``did you mean `x`?`` for the closest of the candidates, or all of them when none is close."""
    names = sorted(candidates)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"allowed here: {', '.join(names)}" if names else ""
