"""The engine's event stream, condensed to what a person or a pull request needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llmos.engines.base import Action, EngineAction, Progress

if TYPE_CHECKING:
    from pulumi.automation import EngineEvent
    from pulumi.automation.events import DiagnosticEvent, PolicyEvent, StepEventMetadata

__all__ = ["Diagnostic", "EventLog", "Violation", "object_name"]

_ACTIONS: dict[str, Action] = {
    "same": "same",
    "create": "create",
    "create-replacement": "create",
    "update": "update",
    "import": "update",
    "import-replacement": "update",
    "delete": "delete",
    "delete-replaced": "delete",
}
_DONE = {"create": "created", "update": "updated", "delete": "deleted"}
_FROM_PATH = re.compile(r"^using \S+ from \$PATH")
_LABELLED = re.compile(r"^  (At|To fix|Object|Control): (.*)$")
_CANNOT_RUN = re.compile(r"^can't run policy '[^']*' from policy pack '[^']*' during preview: ")
_PASSING = re.compile(r"^\[MinimumReplicasUnavailable\]|^Retry #\d+; creation failed: .* already exists$")
"""What every new Deployment says until it is available, and what is a finding of its own."""
_COLOR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One error or warning: ``object`` is a kind and a name, or empty when it is about the whole run."""

    object: str
    message: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken policy rule; ``level`` is ``advisory`` or ``mandatory``."""

    rule: str
    level: str
    object: str
    message: str
    fix: str


@dataclass(kw_only=True)
class EventLog:
    """Collects the events of one run; ``feed`` is what the Automation API takes as ``on_event``.

    Attributes:
        progress: gets a line for each finished operation, each new state of a resource being waited for, and each
            warning.
        announce: whether finished operations are worth a line; in a refresh they happen to the state only.
        findings: whether advice and replaces are worth a line; not for a caller that shows them beside the actions.
        said: lines that are not said again, also by the log of another run.
    """

    progress: Progress
    announce: bool = True
    findings: bool = True
    said: set[str] = field(default_factory=set)
    errors: list[Diagnostic] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    _steps: dict[tuple[str, str], EngineAction] = field(default_factory=dict)
    _replaces: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def feed(self, event: EngineEvent) -> None:
        """Take one event."""
        if event.resource_pre_event:
            self._plan(event.resource_pre_event.metadata)
        elif event.res_outputs_event and not event.res_outputs_event.planning:
            self._finish(event.res_outputs_event.metadata)
        elif event.diagnostic_event:
            self._diagnose(event.diagnostic_event)
        elif event.policy_event:
            self._judge(event.policy_event)

    def actions(self) -> tuple[EngineAction, ...]:
        """One action for each object, two (delete and create) for one that is replaced; sorted."""
        found = [replace(step, replaces=self._replaces.get(urn, ())) for (urn, _), step in self._steps.items()]
        return tuple(sorted(found, key=lambda a: (a.type, a.namespace, a.name, a.action)))

    def is_let_go(self, urn: str, *, allowed: Collection[str]) -> bool:
        """Whether the object is replaced, which is judged by its name, or is allowed by name to be deleted."""
        names = {f"{step.kind}/{step.name}" for (known, _), step in self._steps.items() if known == urn}
        return urn in self._replaces or bool(names & set(allowed))

    def _plan(self, step: StepEventMetadata) -> None:
        action = _ACTIONS.get(step.op.value)
        if action and _is_managed(step):
            self._steps[step.urn, action] = _describe(step, action)
        if step.op.value == "replace" and _is_managed(step):
            self._replaces[step.urn] = _replacing_fields(step)
            if self.findings:
                self._say(f"{object_name(step.urn)} is replaced: {', '.join(self._replaces[step.urn])} changed")

    def _finish(self, step: StepEventMetadata) -> None:
        action = _ACTIONS.get(step.op.value)
        if not action or not _is_managed(step):
            return
        # A refresh announces each object without saying what comes of it, so the outcome is what counts.
        planned = self._steps.setdefault((step.urn, action), _describe(step, action))
        done = _DONE.get(action)
        if done and self.announce:
            where = f" in {planned.namespace}" if planned.namespace else ""
            self.progress(f"  {done} {planned.kind} {planned.name}{where}")

    def _diagnose(self, event: DiagnosticEvent) -> None:
        message = _plain(event.message)
        name = object_name(event.urn)
        if not message:
            return
        if event.severity == "error":
            found = Diagnostic(object=name, message=message, urn=event.urn or "")
            if found not in self.errors:
                self.errors.append(found)
        elif _PASSING.search(message) or (event.urn or "", "delete") in self._steps:
            return
        elif event.severity == "warning" and not _FROM_PATH.search(message):
            self._say(f"warning: {name}: {message}" if name else f"warning: {message}")
        elif event.severity == "info" and event.ephemeral:
            self._say(f"  {name}: {message}")

    def _judge(self, event: PolicyEvent) -> None:
        found = _violation(event)
        if found in self.violations:
            return
        self.violations.append(found)
        if found.level == "advisory" and self.findings:
            self._say(f"advice ({found.rule}): {found.object}: {found.message}")

    def _say(self, line: str) -> None:
        if line not in self.said:
            self.said.add(line)
            self.progress(line)


def object_name(urn: str | None) -> str:
    """Kind and logical name out of a URN, e.g. ``Deployment chat``; empty for none and for the stack itself."""
    parts = (urn or "").split("::", 3)
    if len(parts) != 4 or parts[2] == "pulumi:pulumi:Stack":
        return ""
    return f"{_kind(parts[2].rsplit('$', 1)[-1])} {parts[3]}"


def _violation(event: PolicyEvent) -> Violation:
    """The pack's text: the rule's description, what is wrong, and labelled lines for the object and the remedy."""
    text: list[str] = []
    labels: dict[str, str] = {}
    for line in _CANNOT_RUN.sub("", _plain(event.message)).splitlines():
        if labelled := _LABELLED.match(line):
            labels[labelled[1]] = labelled[2]
        else:
            text.append(line.strip())
    place = labels.get("Object") or object_name(event.resource_urn) or "the stack"
    return Violation(
        rule=event.policy_name,
        level="mandatory" if event.enforcement_level == "mandatory" else "advisory",
        object=f"{place}: {labels['At']}" if "At" in labels else place,
        message=" ".join(text[1:] or text),
        fix=labels.get("To fix", ""),
    )


def _is_managed(step: StepEventMetadata) -> bool:
    state = step.new or step.old
    return bool(state and state.custom) and not step.type.startswith("pulumi:")


def _replacing_fields(step: StepEventMetadata) -> tuple[str, ...]:
    """The fields that cannot be changed in place, as exactly as the provider says; never none."""
    detailed = step.detailed_diff or {}
    exact = sorted(path for path, diff in detailed.items() if diff.diff_kind.value.endswith("-replace"))
    return tuple(exact or step.keys or ["its provider"])


def _describe(step: StepEventMetadata, action: Action) -> EngineAction:
    state = step.new or step.old
    inputs = (state.inputs if state else None) or {}
    metadata = inputs.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    logical_name = step.urn.rsplit("::", 1)[-1]
    return EngineAction(
        type=step.type,
        kind=_kind(step.type),
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or logical_name),
        action=action,
    )


def _kind(type_token: str) -> str:
    return type_token.rsplit(":", 1)[-1]


def _plain(text: str) -> str:
    return _COLOR.sub("", text).strip()
