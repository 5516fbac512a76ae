"""What rules talk about: resources, Kubernetes objects, their pods and containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ._arguments import Argument, parse
from ._node import UNKNOWN, Node
from ._walk import kind_of, known_text, pod_templates

__all__ = ["CONTAINER_LISTS", "Container", "KubeObject", "Pod", "Resource", "Stack"]

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")

_TEMPLATES = {
    "Pod": (), "PodTemplate": ("template",), "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "DeploymentConfig", "Job"),
        ("spec", "template"),
    ),
}
_NEVER_PODS = {"ConfigMap", "Secret", "CustomResourceDefinition"}


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as the engine presents it.

    Attributes:
        type: Pulumi token, e.g. ``kubernetes:apps/v1:Deployment``.
        urn: unique in the stack.
        name: logical name.
        root: its properties.
        dependencies: URNs of what it was made from; empty outside stack rules.
        protect: whether the engine refuses to delete it.
    """

    type: str
    urn: str
    name: str
    root: Node
    dependencies: tuple[str, ...] = ()
    protect: bool = False

    @property
    def object(self) -> str:
        """How findings and exemptions name it."""
        return f"{self.type}/{self.name}"

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """Init, regular and ephemeral containers of all its pods."""
        return tuple(container for found in self.objects for pod in found.pods for container in pod.containers)

    @cached_property
    def objects(self) -> tuple[KubeObject, ...]:
        """The Kubernetes objects in it: one, several for a List kind, none for other providers."""
        package, _, rest = self.type.partition(":")
        if package != "kubernetes" or rest.startswith(("yaml", "helm.sh", "kustomize")):
            return ()
        kind = self.type.rpartition(":")[2].removesuffix("Patch")
        raw = self.root.raw
        if kind.endswith("List") and isinstance(raw, dict) and isinstance(raw.get("items"), list):
            return tuple(
                KubeObject(resource=self, kind=kind_of(item, kind.removesuffix("List")), root=item)
                for item in self.root.get("items").elements()
            )
        return (KubeObject(resource=self, kind=kind, root=self.root),)


@dataclass(frozen=True, kw_only=True)
class KubeObject:
    """A Kubernetes object."""

    resource: Resource
    kind: str
    root: Node

    @property
    def urn(self) -> str:
        return self.resource.urn

    @cached_property
    def name(self) -> str:
        return known_text(self.root, "metadata", "name") or self.resource.name

    @cached_property
    def namespace(self) -> str:
        """The namespace, empty where none is set (or where it is not known yet)."""
        return known_text(self.root, "metadata", "namespace") or ""

    @property
    def object(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods it creates, found by kind, and in custom resources wherever a pod specification stands."""
        if self.kind in _NEVER_PODS:
            return ()
        if self.kind in _TEMPLATES:
            template = self.root
            for key in _TEMPLATES[self.kind]:
                if template.raw is UNKNOWN:
                    break
                template = template.get(key)
            found = (Pod(owner=self, template=template),) if template.raw is not None else ()
            if found and (template.raw is UNKNOWN or template.get("spec").raw is not None):
                return found
        return tuple(Pod(owner=self, template=template) for template in pod_templates(self.root))


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod, or the template of one; ``template`` holds ``metadata`` and ``spec``."""

    owner: KubeObject
    template: Node

    @property
    def object(self) -> str:
        return self.owner.object

    @property
    def urn(self) -> str:
        return self.owner.urn

    @property
    def spec(self) -> Node:
        return (
            self.template.get("spec") if self.template.raw is UNKNOWN or "spec" in self.template.raw else self.template
        )

    @property
    def is_windows(self) -> bool:
        return self.spec.get("os", "name").text == "windows"

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """Init, regular and ephemeral containers. A list that is unknown is one container whose fields are unknown."""
        if self.template.raw is UNKNOWN or self.spec.raw is UNKNOWN:
            unknown = self.template if self.template.raw is UNKNOWN else self.spec
            return (Container(pod=self, node=unknown, role="containers"),)
        found: list[Container] = []
        for role in CONTAINER_LISTS:
            node = self.spec.get(role)
            if node.raw is UNKNOWN:
                found.append(Container(pod=self, node=node, role=role))
            else:
                found += [Container(pod=self, node=element, role=role) for element in node.elements()]
        return tuple(found)

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels whose values are known; a label that is unknown can match no selector yet."""
        if self.template.raw is UNKNOWN or self.template.get("metadata").raw is UNKNOWN:
            return {}
        # KServe writes the labels of its pods beside their specification.
        place = ("labels",) if self.owner.kind == "InferenceService" else ("metadata", "labels")
        raw = self.template.get(*place).raw
        return {key: str(value) for key, value in raw.items() if value is not UNKNOWN} if isinstance(raw, dict) else {}


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of a pod; ``role`` is the list it stands in."""

    pod: Pod
    node: Node
    role: str

    @property
    def object(self) -> str:
        return self.pod.object

    @property
    def urn(self) -> str:
        return self.pod.urn

    @property
    def security(self) -> Node:
        return self.node.get("securityContext")

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The command line. Raises UnknownAt where part of it is not known."""
        return parse(self.node)

    def flag(self, *names: str) -> Argument | None:
        """The last of these flags, as command lines are read; None where none is given."""
        found = [argument for argument in self.arguments if argument.flag in names]
        return found[-1] if found else None

    def switch(self, name: str) -> Argument | None:
        """A flag that is on: not followed by ``--no-name``, nor set to false."""
        found = self.flag(name, f"no-{name}")
        if found is None or found.flag != name:
            return None
        return None if (found.value or "").lower() in ("false", "0") else found

    @property
    def is_long_running(self) -> bool:
        """Whether it lives as long as its pod: a regular container, or an init container that restarts (a sidecar)."""
        return self.role == "containers" or (
            self.role == "initContainers" and self.node.get("restartPolicy").text == "Always"
        )


@dataclass(frozen=True, kw_only=True)
class Stack:
    """All resources of a stack, for rules about how they fit together."""

    resources: Sequence[Resource]

    @cached_property
    def objects(self) -> tuple[KubeObject, ...]:
        return tuple(found for resource in self.resources for found in resource.objects)

    @cached_property
    def _by_kind(self) -> dict[str, list[KubeObject]]:
        kinds: dict[str, list[KubeObject]] = {}
        for found in self.objects:
            kinds.setdefault(found.kind, []).append(found)
        return kinds

    def of_kind(self, *kinds: str) -> Iterator[KubeObject]:
        """The objects of these kinds."""
        return (found for kind in kinds for found in self._by_kind.get(kind, ()))

    @cached_property
    def workloads(self) -> tuple[KubeObject, ...]:
        return tuple(found for found in self.objects if found.pods)
