"""What all components share: identity (names, labels) and the base class with its type token."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

__all__ = ["Component", "Identity", "awaited", "meta"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Where the objects of a stack live and how they are recognised.

    Attributes:
        stack: the stack's name; the ``app.kubernetes.io/instance`` of everything.
        namespace: the Kubernetes namespace.
        durable: outside dev, where deleting an object by mistake costs more than an extra step.
        allow_replace: objects that may be deleted and created again all the same, e.g. ``Deployment/chat``.
    """

    stack: str
    namespace: str
    durable: bool
    allow_replace: tuple[str, ...] = ()

    def guarded(self, kind: str, name: str) -> bool:
        """Whether the engine must refuse to delete the object, also as part of a replace (``protect``). A policy
        cannot: it is shown new properties only."""
        return self.durable and f"{kind}/{name}" not in self.allow_replace

    def selector(self, name: str) -> dict[str, str]:
        """Labels that select the pods of a workload. Name and instance only: selectors cannot be changed later
        without deleting the Deployment first, which is an outage."""
        return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": self.stack}

    def labels(self, name: str, component: str) -> dict[str, str]:
        """Labels of every object, after the recommended ones of Kubernetes."""
        return {
            **self.selector(name),
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": "llmagentos",
            "app.kubernetes.io/managed-by": "llmagentos",
        }


def meta(identity: Identity, name: str, component: str, **more: Any) -> dict[str, Any]:
    """Metadata of a namespaced object. The name is explicit: an auto-generated one would change with every replace."""
    return {"name": name, "namespace": identity.namespace, "labels": identity.labels(name, component), **more}


def awaited() -> pulumi.Output[str]:
    """A value that a promotion has yet to write: unknown, as a preview knows what does not exist yet."""
    value: asyncio.Future[Any] = asyncio.get_event_loop().create_future()
    known: asyncio.Future[bool] = asyncio.get_event_loop().create_future()
    value.set_result(None)
    known.set_result(False)
    return pulumi.Output(set(), value, known)


class Component(pulumi.ComponentResource):
    """Base of all components; the type token is ``llmagentos:components:<ClassName>``."""

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None, props: dict[str, Any] | None = None) -> None:
        super().__init__(f"llmagentos:components:{type(self).__name__}", name, props or {}, opts)
        self._waits_for: list[pulumi.Resource] = list((opts and opts.depends_on) or [])

    def child(self, *, depends_on: Sequence[pulumi.Resource] = (), **more: Any) -> pulumi.ResourceOptions:
        """Options of a child resource; ``more`` as ``pulumi.ResourceOptions`` takes it.

        What the component waits for, its children wait for: Pulumi hands a component's ``depends_on`` on to nobody,
        and pods would start before their namespace has its fence.
        """
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._waits_for, *depends_on], **more)
