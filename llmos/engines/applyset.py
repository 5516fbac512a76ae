"""ApplySets: how kubectl remembers which objects belong to a stack, and removes those that no longer do."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmos.engines.asking import raise_refused
from llmos.kube import Kube, KubeObject, as_list, identity

__all__ = ["FIELD_MANAGER", "MEMBER_LABEL", "ApplySet", "State", "delete_objects", "raise_refusal"]

FIELD_MANAGER = "llmagentos"
MEMBER_LABEL = "applyset.kubernetes.io/part-of"
_KINDS_ANNOTATION = "applyset.kubernetes.io/contains-group-kinds"
# What of this engine's no namespace takes along when somebody deletes it by hand, the set's parent included.
_CLUSTER_KINDS = ("NodePool.karpenter.sh", "KWOKNodeClass.karpenter.kwok.sh")


@dataclass(frozen=True, kw_only=True)
class State:
    """A set as it is in the cluster.

    Attributes:
        listed: kinds that its parent lists, as ``Deployment.apps``; none before the first apply.
        members: the objects that carry its label.
    """

    listed: frozenset[str]
    members: tuple[KubeObject, ...]

    def strays(self, objects: Iterable[KubeObject]) -> list[KubeObject]:
        """Members that are not among the objects and that kubectl would not prune, because their kind is not listed."""
        kept = {identity(item) for item in objects}
        return [item for item in self.members if identity(item) not in kept and _group_kind(item) not in self.listed]

    def is_settled(self, objects: Iterable[KubeObject]) -> bool:
        """Whether the last apply came to its end: the parent lists exactly the kinds of the objects, and each is a
        member."""
        wanted = [item for item in objects if item["kind"] != "Namespace"]
        members = {identity(item) for item in self.members}
        return {identity(item) for item in wanted} <= members and self.listed == {_group_kind(item) for item in wanted}


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

    @property
    def id(self) -> str:
        """Value of the members' label. It follows from the parent's name (KEP-3659), so that members are found even
        when somebody deleted the parent."""
        digest = hashlib.sha256(f"{self.parent_name}.{self.namespace}.ConfigMap.".encode()).digest()
        return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"

    def members(self) -> tuple[KubeObject, ...]:
        """All objects that carry the set's label; see :meth:`state`."""
        return self.state().members

    def state(self) -> State:
        """What the set has now. Members are looked for among the kinds that its parent lists; where the parent is gone,
        because somebody deleted the namespace by hand, among those that a stack can have outside namespaces."""
        parent = self.parent()
        noted = parent["metadata"].get("annotations", {}).get(_KINDS_ANNOTATION, "") if parent else ""
        listed = frozenset(filter(None, noted.split(",")))
        return State(listed=listed, members=tuple(self._labelled(sorted(listed if parent else _CLUSTER_KINDS))))

    def _labelled(self, kinds: Sequence[str]) -> list[KubeObject]:
        where = ("-n", self.namespace, "-l", f"{MEMBER_LABEL}={self.id}")
        if not kinds:
            return []
        done = self.kube.run("get", ",".join(kinds), *where, "-o", "json", check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)["items"]
        # One kind that the cluster does not know fails the question about all of them.
        return [item for kind in kinds for item in self.kube.get(kind, *where)]

    def add(self, objects: Sequence[KubeObject], *, force: bool = False) -> None:
        """Create and update the objects as members and prune nothing; for what the set does not have for good.

        Their kinds are noted in the parent first, so that the next ``apply`` finds and prunes what is left of them.

        Raises:
            As for ``apply``.
        """
        state = self.state()
        kinds = ",".join(sorted(state.listed | {_group_kind(item) for item in objects}))
        self.kube.run(
            "annotate", "configmap", self.parent_name, "-n", self.namespace, "--overwrite",
            f"{_KINDS_ANNOTATION}={kinds}",
        )
        marked = copy.deepcopy(list(objects))
        for item in marked:
            item["metadata"].setdefault("labels", {})[MEMBER_LABEL] = self.id
        self._send(marked, force=force)

    def apply(self, objects: Sequence[KubeObject], *, force: bool = False) -> None:
        """Create and update the objects, and prune members that are not among them.

        Args:
            objects: all members.
            force: take over fields that other managers own.

        Raises:
            UserFault: another field manager owns a field that differs; names it.
            EnvironmentFault: the API server refused something; quotes it.
        """
        prune = (f"--applyset=configmaps/{self.parent_name}", "--prune", "-n", self.namespace)
        self._send(objects, *prune, force=force)

    def _send(self, objects: Sequence[KubeObject], *words: str, force: bool) -> None:
        done = self.kube.run(
            "apply", "--server-side", f"--field-manager={FIELD_MANAGER}", *words, "-f", "-",
            *(["--force-conflicts"] if force else []), stdin=as_list(objects), check=False, timeout_seconds=300,
            env={"KUBECTL_APPLYSET": "true"},
        )  # fmt: skip
        if done.returncode != 0:
            raise_refusal(done.stderr)


def delete_objects(kube: Kube, items: Iterable[KubeObject], *, wait_seconds: int = 180) -> None:
    """Delete the objects and wait until they are gone; those that are gone already are none of its business."""
    listed = [
        {
            "apiVersion": item["apiVersion"], "kind": item["kind"],
            "metadata": {key: item["metadata"][key] for key in ("name", "namespace") if key in item["metadata"]},
        }
        for item in items
    ]  # fmt: skip
    if listed:
        kube.run(
            "delete", "--ignore-not-found", "--wait=true", f"--timeout={wait_seconds}s", "-f", "-",
            stdin=as_list(listed), timeout_seconds=wait_seconds + 20,
        )


def _group_kind(item: KubeObject) -> str:
    """As an ApplySet's parent lists it: ``Deployment.apps``, ``Secret``."""
    group = item["apiVersion"].rpartition("/")[0]
    return f"{item['kind']}.{group}" if group else item["kind"]


def raise_refusal(stderr: str) -> None:
    """Turn kubectl's words into a fault that names the owner of a conflicting field, or quotes the server's reason."""
    raise_refused({("cluster", "", ""): stderr})
