"""Holding a synthesised program against the policies, and turning what they refuse into faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmos.packs import Finding, PackResource, evaluate
from llmos.synth import Program
from planner.faults import Fault, UserFault

__all__ = ["judge", "mandatory_faults", "refuse_mandatory", "resources_of"]


def judge(program: Program, *, environment: str, preview: bool) -> tuple[Finding, ...]:
    """What the policy pack finds, asked as the engine would ask it.

    Args:
        program: what ``synth`` returned.
        environment: selects the limits.
        preview: whether unknown values are normal; at ``up`` they must be known.
    """
    return evaluate(resources_of(program), environment=environment, preview=preview)


def resources_of(program: Program) -> list[PackResource]:
    """The program's resources as a pack is asked about them."""
    return [
        PackResource(
            type=resource.type,
            name=resource.name,
            urn=resource.urn,
            properties=resource.properties,
            parent=resource.parent,
            dependencies=resource.dependencies,
            protect=bool(resource.options.get("protect")),
        )
        for resource in program.resources
    ]


def mandatory_faults(findings: Iterable[Finding]) -> list[Fault]:
    """One fault per mandatory finding."""
    return [
        Fault(
            what=f"policy {row.rule}: {row.message}",
            where=": ".join(filter(None, (row.object, row.path))) or "stack",
            fix=row.fix,
        )
        for row in findings
        if row.level == "mandatory"
    ]


def refuse_mandatory(findings: Iterable[Finding]) -> Sequence[Finding]:
    """Raise for mandatory findings; return the advisory ones.

    Raises:
        UserFault: one fault per mandatory finding.
    """
    rows = list(findings)
    faults = mandatory_faults(rows)
    if faults:
        raise UserFault(faults)
    return rows
