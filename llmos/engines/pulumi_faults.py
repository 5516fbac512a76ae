"""What the Pulumi CLI says when it fails, turned into one fault for each thing that is wrong, with what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmos.engines.base import EngineRun
from llmos.engines.conflicts import conflict_fault, conflicts
from llmos.engines.pulumi_events import EventLog, Violation
from llmos.images.build_faults import PROVIDER as BUILD_FAILURES
from planner.faults import EnvironmentFault, Fault, LlmosError, UserFault

if TYPE_CHECKING:
    from pulumi.automation import CommandError

__all__ = ["errors", "explain", "violations"]


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A message we know: what to do about it, and whether the user's input is at fault rather than the machine."""

    pattern: str
    fix: str
    user: bool = False


_PROTECTED = re.compile(r"it is protected|protect flag|without unprotecting|marked for protection")
_KNOWN = (
    _Known(
        pattern=r"passphrase must be set",
        fix="name a key service (`secretsprovider:` in the stack file), or set PULUMI_CONFIG_PASSPHRASE_FILE",
    ),
    _Known(
        pattern=r"incorrect passphrase",
        fix="set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the stack's own passphrase",
    ),
    _Known(
        pattern=r"may not be specified when `value`|may not specify more than 1 volume type",
        fix="the provider cannot preview this change of an object that it created and has never updated: `up` of llmos "
        "can; with plain Pulumi run `pulumi up --skip-preview` once",
        user=True,
    ),
    _Known(
        pattern=r"is invalid|Invalid value|violates PodSecurity|admission webhook", fix="correct that field", user=True
    ),
    _Known(
        pattern=r"already exists",
        fix="leave it alone (`create: false`), take it over by name (`--adopt KIND/NAME`), or choose another name",
        user=True,
    ),
    _Known(
        pattern=_PROTECTED.pattern,
        fix="outside dev workloads, weights, registry and namespace are protected: let it go by name with "
        "`--allow-replace KIND/NAME`, or `pulumi state unprotect URN`",
        user=True,
    ),
    _Known(
        pattern=r"configured Kubernetes cluster is unreachable|connection refused|failed to read resource state",
        fix="start the cluster or correct the kubeconfig context, then run again; `llmos doctor` shows what was found",
    ),
    _Known(
        pattern=r"no matches for kind|could not find the requested resource|no resource type .* found in cluster",
        fix="install the operator that brings this kind (Karpenter or KEDA) before the stack",
    ),
    _Known(
        pattern=r"(?i)timed out|failed to fully initialize or become live|failed to become available",
        fix="`llmos status` shows the events of its pods; mend what they say, then `up` goes on where this one ended",
    ),
    _Known(
        pattern=r"(?i)could not automatically download|failed to download|no (resource|language) plugin|could not find",
        fix="let this machine reach get.pulumi.com and github.com, or install the plugin named above by hand",
    ),
)
_NOISE = re.compile(
    r"^((update|preview|destroy|refresh) failed|Program failed with an unhandled exception:"
    r"|an unhandled error occurred: program exited with non-zero exit code: \d+)$"
)
_FRAME = re.compile(
    r"^\d+ errors? occurred:\n\s*\* "
    r"|the Kubernetes API server reported that \S+ failed to fully initialize or become live: "
)
_TRACE = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*")
_STATED = re.compile(r"^(?P<where>\S.*?): (?P<what>.*(?:\n  .*)*?)\n  To fix: (?P<fix>.*)$", re.MULTILINE)
"""A fault that the program printed: see ``planner.faults.Fault.__str__``."""
_LONGEST = 1200


def explain(error: CommandError, log: EventLog, *, run: EngineRun, doing: str) -> LlmosError:
    """The error to raise for a failed CLI run.

    Args:
        error: what the Automation API raised.
        log: the events until then; its error diagnostics and mandatory violations become the faults.
        run: names the stack in faults that belong to no object.
        doing: ``preview``, ``up`` and so on, for the ``where`` of those faults.
    """
    broken = violations(log.violations)
    if broken:
        return UserFault(broken)
    where = f"{doing} of stack {run.stack}"
    found = [(place or where, message) for place, message in errors(log)]
    if not found:
        found = [(where, _from_output(str(error)))]
    faults = [fault for place, message in found for fault in _faults(where=place, message=message)]
    kind = UserFault if all(user for _, user in faults) else EnvironmentFault
    return kind([fault for fault, _ in faults])


def errors(log: EventLog, *, allowed: Collection[str] | None = None) -> list[tuple[str, str]]:
    """Object (empty for the whole run) and message of what went wrong, without the engine's own frame around it.

    Args:
        log: the events.
        allowed: leave out that a protected object would be replaced, which is a finding of its own, or that one of
            these would be deleted; None leaves nothing out.
    """
    return [
        (each.object, message) for each in log.errors
        if (message := _condense(each.message))
        and not (allowed is not None and _PROTECTED.search(message) and log.is_let_go(each.urn, allowed=allowed))
    ]  # fmt: skip


def violations(found: Sequence[Violation]) -> list[Fault]:
    """One fault for each mandatory violation."""
    return [
        Fault(
            what=f"policy {violation.rule}: {violation.message}",
            where=violation.object,
            fix=violation.fix or f"see the rule `{violation.rule}` in policies/rules",
        )
        for violation in found
        if violation.level == "mandatory"
    ]


def _condense(message: str) -> str:
    """Without the engine's own frame around what went wrong, and without a traceback of the program."""
    bare = _FRAME.sub("", _TRACE.sub("", message))
    lines = [line for line in bare.splitlines() if line.strip() and not _NOISE.match(line.strip())]
    return "\n".join(lines)[:_LONGEST]


def _from_output(said: str) -> str:
    """The error of a CLI that failed before its first event, e.g. for want of a passphrase."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    start = next((index for index, line in enumerate(lines) if line.startswith("error:")), -6)
    return "\n".join(lines[start:])[:_LONGEST].removeprefix("error:").strip()


def _faults(*, where: str, message: str) -> list[tuple[Fault, bool]]:
    """The faults in a message, each with whether it is the user's."""
    stated = [
        (Fault(where=match["where"], what=match["what"], fix=match["fix"]), True) for match in _STATED.finditer(message)
    ]
    if stated:
        return stated
    owned = conflicts(message)
    if owned:
        return [(conflict_fault(owned, where=where), True)]
    what = message.replace("\n", "\n    ")
    if where.startswith("Image "):
        for failure in BUILD_FAILURES:
            if re.search(failure.pattern, message):
                return [(Fault(what=what, where=where, fix=failure.fix), False)]
    for known in _KNOWN:
        if re.search(known.pattern, message):
            return [(Fault(what=what, where=where, fix=known.fix), known.user)]
    return [(Fault(what=what, where=where, fix="see the reason above; then run the same command again"), False)]
