"""What commands do for target aws, where no kubeconfig says which cluster, and AWS itself is changed too."""

from __future__ import annotations

from collections.abc import Sequence

from llmos.engines.base import EngineAction
from llmos.session import Session, require_pulumi
from llmos.synth import Program

__all__ = ["actions_of", "destroy", "status"]


def actions_of(program: Program) -> Sequence[EngineAction]:
    """Every resource that a provider would manage, its action unknown: nobody has been asked."""
    found = [
        EngineAction(
            type=resource.type, kind=resource.type.rpartition(":")[2], action="unknown",
            namespace=str(resource.inputs.get("metadata", {}).get("namespace") or ""),
            name=str(resource.inputs.get("metadata", {}).get("name") or resource.name),
        )
        for resource in program.resources if resource.custom and not resource.type.startswith("pulumi:")
    ]  # fmt: skip
    return sorted(found, key=lambda action: (action.type, action.namespace, action.name))


def status(session: Session) -> int:
    """What the Pulumi state says: the last run and the program's outputs."""
    require_pulumi(session, "status")
    from llmos.engines import pulumi

    found = pulumi.status(session.run)
    print(f"stack {session.stack.name}: last {found.last or 'nothing'} {found.result} {found.finished}".rstrip())
    for name, value in sorted(found.outputs.items()):
        print(f"  {name}: {value}")
    print("Pods: kubectl, with `aws eks update-kubeconfig --name CLUSTER`")
    return 0


def destroy(session: Session) -> int:
    """Remove the stack from AWS. What is protected makes Pulumi refuse, and says so."""
    require_pulumi(session, "destroy")
    from llmos.engines import pulumi

    pulumi.destroy(session.run)
    print(f"stack {session.stack.name} is gone")
    return 0
