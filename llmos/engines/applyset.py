"""ApplySets: how kubectl remembers which objects belong to a stack, and removes those that no longer do."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmos.kube import Kube, KubeObject, as_list
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["FIELD_MANAGER", "MEMBER_LABEL", "ApplySet"]

FIELD_MANAGER = "llmagentos"
MEMBER_LABEL = "applyset.kubernetes.io/part-of"
_ID_LABEL = "applyset.kubernetes.io/id"
_KINDS_ANNOTATION = "applyset.kubernetes.io/contains-group-kinds"
_CONFLICT = re.compile(r'conflicts? with "(?P<owner>[^"]+)"')


@dataclass(frozen=True, kw_only=True)
class ApplySet:
    """The objects of one stack in one namespace. Its parent is a ConfigMap there, ``llmagentos-<stack>``."""

    kube: Kube
    stack: str
    namespace: str

    @property
    def parent_name(self) -> str:
        return f"llmagentos-{self.stack}"

    def parent(self) -> KubeObject | None:
        """The ConfigMap, or None before the first apply."""
        found = self.kube.get("configmap", self.parent_name, "-n", self.namespace)
        return found[0] if found else None

    def members(self) -> list[KubeObject]:
        """All objects that carry the set's label, of the kinds that its parent lists."""
        parent = self.parent()
        if parent is None:
            return []
        kinds = parent["metadata"].get("annotations", {}).get(_KINDS_ANNOTATION, "")
        label = f"{MEMBER_LABEL}={parent['metadata']['labels'][_ID_LABEL]}"
        found: list[KubeObject] = []
        for kind in filter(None, kinds.split(",")):
            found += self.kube.get(kind, "-n", self.namespace, "-l", label)
        return found

    def apply(self, objects: Sequence[KubeObject]) -> None:
        """Create and update the objects, and prune members that are not among them.

        Raises:
            UserFault: another field manager owns a field that differs; names it.
            EnvironmentFault: the API server refused something; quotes it.
        """
        done = self.kube.run(
            "apply", "--server-side", f"--field-manager={FIELD_MANAGER}", f"--applyset=configmaps/{self.parent_name}",
            "--prune", "-n", self.namespace, "-f", "-",
            stdin=as_list(objects), check=False, timeout_seconds=300, env={"KUBECTL_APPLYSET": "true"},
        )
        if done.returncode != 0:
            raise_refusal(done.stderr)

    def dry_run(self, objects: Sequence[KubeObject]) -> list[KubeObject]:
        """The objects as the API server would store them: validated, defaulted, and stored nowhere."""
        done = self.kube.run(
            "apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "--dry-run=server", "-o", "json", "-f", "-",
            stdin=as_list(objects), check=False, timeout_seconds=120,
        )
        if done.returncode != 0:
            raise_refusal(done.stderr)
        found = json.loads(done.stdout)
        return found["items"] if found.get("kind") == "List" else [found]


def raise_refusal(stderr: str) -> None:
    """Turn kubectl's words into a fault that names the owner of a conflicting field, or the object refused."""
    lines = [line for line in stderr.strip().splitlines() if not line.startswith(("Warning:", "Please review", "*"))]
    said = "\n    ".join(lines[-12:])
    owners = sorted(set(_CONFLICT.findall(stderr)))
    if owners:
        raise UserFault(
            Fault(
                what=f"fields of this stack were changed by {', '.join(owners)}:\n    {said}", where="cluster",
                fix="put the wanted value into the stack file, or take the field back with "
                "`kubectl apply --server-side --force-conflicts --field-manager=llmagentos`",
            )
        )
    raise EnvironmentFault(
        Fault(what=f"the API server refused:\n    {said}", where="cluster", fix="change what it names and repeat")
    )
