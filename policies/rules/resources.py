"""Requests and limits: what a container may take from its node."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ._model import Container
from ._quantity import quantity
from ._rule import Context, Rule, Violation, each_container

__all__ = ["RULES"]

_DOCS = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"


def _has(kind: str, resource: str) -> Callable[[Container, Context], Iterable[Violation]]:
    def check(container: Container, context: Context) -> Iterable[Violation]:
        if container.role == "ephemeralContainers":  # the API allows them no resources
            return
        amount = container.node.get("resources", kind, resource)
        if quantity(amount) is None:
            yield Violation(path=amount.path, message=f"the container has no {resource} {kind[:-1]}")

    return check


def _rule(kind: str, resource: str, why: str) -> Rule:
    return Rule(
        id=f"{resource}-{kind}",
        title=f"Every container has a {resource} {kind[:-1]}.",
        why=why,
        fix=f"set resources.{kind}.{resource}",
        sources=(_DOCS,),
        controls=("nsa/resource-policies", "owasp-llm/LLM10:2025"),
        cells=each_container,
        checks=(_has(kind, resource),),
    )


RULES = (
    _rule("requests", "cpu", "The scheduler packs a container without one onto nodes that have nothing left."),
    _rule("requests", "memory", "The scheduler packs a container without one onto nodes that have nothing left."),
    _rule("limits", "cpu", "A busy container without one takes the processors of its neighbours."),
    _rule("limits", "memory", "A leaking container without one takes its node, and every pod on it, down."),
)
