"""What only a comparison with the cluster shows to be refused; policies see new properties and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from llmos.checks.findings import Finding
from llmos.engines.adoption import adoption_findings
from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.replaces import replace_findings
from planner.faults import Fault, UserFault

__all__ = ["gate_findings", "refuse"]


def gate_findings(actions: Iterable[EngineAction], run: EngineRun) -> tuple[Finding, ...]:
    """Replaces and adoptions that the run does not allow by name."""
    rows = list(actions)
    replaces = replace_findings(rows, allowed=run.allow_replace)
    return (*replaces, *adoption_findings(rows, allowed=run.adopt))


def refuse(actions: Iterable[EngineAction], run: EngineRun) -> None:
    """Raise for them.

    Raises:
        UserFault: one fault for each.
    """
    rows = gate_findings(actions, run)
    if rows:
        raise UserFault(
            Fault(
                what=f"policy {row.rule}: {row.message}", where=": ".join(filter(None, (row.object, row.path))),
                fix=row.fix,
            )
            for row in rows
        )
