"""URNs of a program and the ones they were known by before, as the engine works them out from ``aliases``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from llmos.synth import Program, Resource

__all__ = ["lines", "moved"]


def lines(program: Program) -> list[str]:
    """One line for each resource: its URN and, where it is an object of Kubernetes, kind, namespace and name."""
    return [" ".join(filter(None, (resource.urn, _object(resource)))) for resource in program.resources]


def moved(golden: Iterable[str], program: Program) -> list[str]:
    """Objects that had another URN in the golden file, and whose resource does not carry it as an alias.

    The engine takes such an object for a new one: it creates it under a name that is taken, and fails.
    """
    by_urn = {resource.urn: resource for resource in program.resources}
    now = {_object(resource): resource for resource in program.resources if _object(resource)}
    before = [line.partition(" ")[::2] for line in golden]
    return [
        f"{name}: {urn} -> {now[name].urn}"
        for urn, name in before
        if name in now and urn != now[name].urn and urn not in _known_as(now[name], by_urn)
    ]


def _object(resource: Resource) -> str:
    if not resource.type.startswith("kubernetes:"):
        return ""
    metadata = resource.inputs.get("metadata", {})
    kind = resource.type.rpartition(":")[2]
    kind = resource.inputs.get("kind", kind)
    return "/".join(filter(None, (kind, metadata.get("namespace"), metadata.get("name"))))


def _known_as(resource: Resource, by_urn: Mapping[str, Resource]) -> set[str]:
    """The URN and every one that an alias of the resource, or of a parent, stands for."""
    head, _, name = resource.urn.rpartition("::")
    project = head.rpartition("::")[0]
    own = [{"name": name, "type": resource.type}, *_specs(resource)]
    found = {alias["urn"] for alias in resource.options.get("aliases", ()) if "urn" in alias}
    for spec in own:
        parents = {spec["parentUrn"]} if spec.get("parentUrn") else _parents(resource, by_urn)
        for parent in parents:
            chain = parent.split("::")[2] if parent else ""
            type_ = spec.get("type") or resource.type
            qualified = type_ if chain in ("", "pulumi:pulumi:Stack") else f"{chain}${type_}"
            found.add(f"{project}::{qualified}::{spec.get('name') or name}")
    return found


def _specs(resource: Resource) -> Iterator[Mapping[str, str]]:
    return (alias["spec"] for alias in resource.options.get("aliases", ()) if "spec" in alias)


def _parents(resource: Resource, by_urn: Mapping[str, Resource]) -> set[str]:
    parent = by_urn.get(resource.parent)
    return _known_as(parent, by_urn) if parent else {resource.parent}
