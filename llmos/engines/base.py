"""What every engine takes and gives, so that the command line does not care which one does the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llmos.console import note
from llmos.paths import PROJECT_ROOT

__all__ = ["ENGINE_LABEL", "Action", "EngineAction", "EngineResult", "EngineRun", "Progress"]

Action = Literal["create", "update", "delete", "same", "unknown"]
Progress = Callable[[str], None]

ENGINE_LABEL = "llmagentos.dev/engine"
"""Namespace label with the name of the engine that owns what is inside; the other engine refuses to touch it."""


@dataclass(frozen=True, kw_only=True)
class EngineRun:
    """One stack and where it goes.

    Attributes:
        stack: stack name, e.g. ``dev``.
        stack_file: the stack file as the user wrote it, e.g. ``Pulumi.dev.yaml``; read, never written.
        environment: selects the limits in ``policies/config/<environment>.json``.
        namespace: the Kubernetes namespace of the stack.
        kubeconfig: the file to find the cluster in; None leaves it to ``KUBECONFIG`` and ``~/.kube/config``.
        context: the context in that file; None takes its current context.
        kubectl: the kubectl program; None takes the one on PATH.
        offline: reach no cluster and ask for no credentials; only ``preview`` can do that.
        command: what the user called, for others who find the stack held by it, e.g. ``up --stack dev``.
        env: variables the program is run with, on top of this process's own.
        force_conflicts: take over fields that other field managers own, instead of refusing.
        adopt: existing objects that may be taken over, e.g. ``Service/chat`` or ``Service/*``.
        allow_replace: objects that may be deleted and created again, e.g. ``Deployment/chat``.
        progress: called with one line for each thing worth knowing while the engine works.
    """

    stack: str
    stack_file: Path
    environment: str
    namespace: str
    kubeconfig: Path | None = None
    context: str | None = None
    kubectl: Path | None = None
    offline: bool = False
    command: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    force_conflicts: bool = False
    adopt: tuple[str, ...] = ()
    allow_replace: tuple[str, ...] = ()
    progress: Progress = note

    @property
    def policy_pack(self) -> Path:
        """The folder of the one policy pack."""
        return PROJECT_ROOT / "policies"

    @property
    def policy_config(self) -> Path:
        """The limits of this environment."""
        return self.policy_pack / "config" / f"{self.environment}.json"


@dataclass(frozen=True, kw_only=True)
class EngineAction:
    """What an engine does, or would do, to one object.

    Attributes:
        type: Pulumi type token, e.g. ``kubernetes:apps/v1:Deployment``.
        kind: kind of the object, e.g. ``Deployment``.
        namespace: its namespace; empty for cluster-scoped objects and everything outside Kubernetes.
        name: its name in the cluster, else its logical name in the program.
        action: ``unknown`` when nothing could be asked, e.g. offline.
        replaces: fields that cannot be changed in place, on the ``delete`` and ``create`` of an object that is
            replaced; empty for all others.
        adopts: whether the object exists already, and the stack would take it over.
        stand_in_digest: whether the object was validated with a digest that stands in for one not known yet.
    """

    type: str
    kind: str
    namespace: str
    name: str
    action: Action
    replaces: tuple[str, ...] = ()
    adopts: bool = False
    stand_in_digest: bool = False


@dataclass(frozen=True, kw_only=True)
class EngineResult:
    """What an engine did.

    Attributes:
        actions: one for each object of the stack, sorted.
        outputs: the program's exports; values of secrets are replaced by ``[secret]``.
        duration_seconds: wall-clock time of the whole run.
        left: what `destroy` left on purpose, e.g. ``Namespace/assistant``.
    """

    actions: tuple[EngineAction, ...]
    outputs: Mapping[str, object]
    duration_seconds: float
    left: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was created, updated or deleted."""
        return any(action.action in ("create", "update", "delete") for action in self.actions)
