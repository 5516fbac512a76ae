"""What the Pulumi CLI says when it fails, turned into one fault for each thing that is wrong, with what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmos.engines.base import EngineRun
from llmos.engines.pulumi_events import Diagnostic, EventLog, Violation
from planner.faults import EnvironmentFault, Fault, LlmosError, UserFault

if TYPE_CHECKING:
    from pulumi.automation import CommandError

__all__ = ["explain", "violations"]


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A message we know: what to do about it, and whether the user's input is at fault rather than the machine."""

    pattern: str
    fix: str
    user: bool = False


_KNOWN = (
    _Known(
        pattern=r"incorrect passphrase",
        fix="set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the stack's own passphrase",
    ),
    _Known(
        pattern=r"(?i)conflicts? with \"|field manager",
        fix="let one owner set the field: remove it from the other tool, or name it under `pod_overrides` there",
    ),
    _Known(
        pattern=r"already exists",
        fix="adopt it (`namespace.create: false`, or `pulumi import`), delete it, or choose another name",
        user=True,
    ),
    _Known(
        pattern=r"is protected|protect flag|cannot be deleted without unprotecting|marked for protection",
        fix="outside dev the registry, weights and namespace are protected: `pulumi state unprotect URN` first",
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
        fix="`llmos status` shows the events of its pods; `pulumi.com/timeoutSeconds` gives slow loads more time",
    ),
    _Known(
        pattern=r"(?i)could not automatically download|failed to download|no (resource|language) plugin|could not find",
        fix="let this machine reach get.pulumi.com and github.com, or install the plugin named above by hand",
    ),
    _Known(
        pattern=r"is invalid|Invalid value|violates PodSecurity|admission webhook", fix="correct the field", user=True
    ),
)
_NOISE = re.compile(
    r"^(update failed|preview failed|destroy failed|refresh failed|Program run without the Pulumi engine available.*"
    r"|Program failed with an unhandled exception:?|an unhandled error occurred:?)$"
)
_OUR_FAULT = re.compile(r"planner\.faults\.(UserFault|EnvironmentFault): (.*)", re.DOTALL)
_TRACE = re.compile(r"Traceback \(most recent call last\):.*\n(?=\S)", re.DOTALL)
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
    found = [(d.object or where, message) for d in log.errors if (message := _condense(d))]
    if not found:
        found = [(where, message) for message in _from_output(str(error))]
    faults = [_fault(where=place, message=message) for place, message in found]
    kind = UserFault if faults and all(user for _, user in faults) else EnvironmentFault
    return kind([fault for fault, _ in faults])


def violations(found: Sequence[Violation]) -> list[Fault]:
    """One fault for each mandatory violation. The rule's own message carries what to do behind ``To fix:``."""
    faults = []
    for violation in found:
        if violation.level != "mandatory":
            continue
        what, _, fix = violation.message.partition("To fix:")
        where = violation.object or "the stack"
        fix = fix.strip() or f"see the rule `{violation.rule}` in policies/rules"
        faults.append(Fault(what=f"{what.strip()} (policy {violation.rule})", where=where, fix=fix))
    return faults


def _condense(found: Diagnostic) -> str:
    message = _TRACE.sub("", found.message).strip()
    lines = [line for line in message.splitlines() if line.strip() and not _NOISE.match(line.strip())]
    return "\n    ".join(lines)[:_LONGEST]


def _from_output(said: str) -> list[str]:
    """Error lines of a CLI that failed before its first event, e.g. for want of a backend."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    start = next((index for index, line in enumerate(lines) if line.startswith("error:")), None)
    if start is None:
        return ["\n    ".join(lines[-6:])[:_LONGEST]]
    return ["\n    ".join(lines[start:])[:_LONGEST].removeprefix("error:").strip()]


def _fault(*, where: str, message: str) -> tuple[Fault, bool]:
    ours = _OUR_FAULT.search(message)
    if ours:
        what, _, fix = ours.group(2).partition("To fix:")
        return Fault(what=what.strip(), where=where, fix=fix.strip()), ours.group(1) == "UserFault"
    for known in _KNOWN:
        if re.search(known.pattern, message):
            return Fault(what=message, where=where, fix=known.fix), known.user
    return Fault(what=message, where=where, fix="run `pulumi preview --diff` for the engine's full output"), False
