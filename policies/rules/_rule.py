"""A rule: what it demands, of what, why, and on which source it rests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from ._model import Container, KubeObject, Pod, Resource, Stack

__all__ = ["Cell", "Check", "Context", "Option", "Rule", "Violation"]

Level = Literal["advisory", "mandatory", "remediate", "disabled"]


class Cell(Protocol):
    """The smallest thing a rule looks at: a resource, an object, a pod, a container."""

    @property
    def object(self) -> str: ...

    @property
    def urn(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One finding. Texts name fields and objects; they never contain a property's value, which may be a secret.

    Attributes:
        path: the property path, empty for the object as a whole.
        message: what is wrong.
        fix: what to do; the rule's own remedy by default.
        control: the one control broken; all of the rule's controls by default.
    """

    path: str
    message: str
    fix: str = ""
    control: str = ""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a check may consult beside its cell: the rule's configuration and, for stack rules, the whole stack."""

    config: Mapping[str, Any]
    stack: Stack


Check = Callable[[Any, Context], Iterable[Violation]]


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting of a rule: its JSON schema, its default and what it means."""

    schema: Mapping[str, Any]
    default: Any
    about: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of the pack.

    Attributes:
        id: its name, as written in configuration and findings.
        title: what it demands, one sentence.
        why: what goes wrong otherwise, one sentence.
        fix: the usual remedy, in the imperative.
        sources: addresses of the advisories, standards or documentation it rests on.
        checks: functions that yield violations of one cell.
        cells: the cells of one resource; None for a stack rule.
        stack_cells: the cells of a stack; None for a resource rule.
        controls: names of controls in published catalogues.
        options: its settings beside `exemptions`.
        level: the default; an environment's file overrides it.
        remediate: returns corrected properties of a resource, or None where nothing needs correcting.
    """

    id: str
    title: str
    why: str
    fix: str
    sources: tuple[str, ...]
    checks: tuple[Check, ...]
    cells: Callable[[Resource], Iterable[Cell]] | None = None
    stack_cells: Callable[[Stack], Iterable[Cell]] | None = None
    controls: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    level: Level = "mandatory"
    remediate: Callable[[Resource, Any], Any] | None = None

    def __post_init__(self) -> None:
        if (self.cells is None) == (self.stack_cells is None):
            raise ValueError(f"rule {self.id}: exactly one of cells and stack_cells must be given")

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The settings where nothing is configured."""
        return {name: option.default for name, option in self.options.items()}


def each_object(*kinds: str) -> Callable[[Resource], Iterable[KubeObject]]:
    """The Kubernetes objects of these kinds; of every kind if none is given."""
    return lambda resource: (found for found in resource.objects if not kinds or found.kind in kinds)


def each_pod(resource: Resource) -> Iterable[Pod]:
    """The pods and pod templates of a resource."""
    return (pod for found in resource.objects for pod in found.pods)


def each_container(resource: Resource) -> Iterable[Container]:
    """Init, regular and ephemeral containers."""
    return resource.containers


def each_resource(*types: str) -> Callable[[Resource], Iterable[Resource]]:
    """The resource itself, if its Pulumi type is one of these."""
    return lambda resource: (resource,) if resource.type in types else ()
