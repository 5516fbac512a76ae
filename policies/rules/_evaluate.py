"""Running one rule: unknown values, exemptions and failures of the rule itself are handled here, once for all rules."""

from __future__ import annotations

import datetime
import fnmatch
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._model import Resource, Stack
from ._node import UnknownAt
from ._rule import Cell, Context, Rule, Violation

__all__ = ["Outcome", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a rule found: texts to report as (text, urn), and the paths it could not check."""

    reports: tuple[tuple[str, str], ...]
    unchecked: tuple[tuple[str, str], ...]


def evaluate(rule: Rule, *, resource: Resource | None, stack: Stack, config: Mapping[str, Any]) -> Outcome:
    """Run a rule on a resource or, for a stack rule, on the stack."""
    cells = tuple(_cells(rule, resource, stack))
    if not cells:
        return _NOTHING
    settings = rule.defaults | dict(config)
    context = Context(config=settings, stack=stack)
    reports: dict[tuple[str, str], None] = {}
    unchecked: dict[tuple[str, str], None] = {}
    for cell, violation in _violations(rule, cells, context, unchecked):
        text = _report(rule, cell, violation, settings.get("exemptions") or ())
        if text:
            reports[(text, cell.urn)] = None
    return Outcome(reports=tuple(reports), unchecked=tuple(unchecked))


_NOTHING = Outcome(reports=(), unchecked=())


def _cells(rule: Rule, resource: Resource | None, stack: Stack) -> Iterable[Cell]:
    if rule.stack_cells is not None:
        return rule.stack_cells(stack)
    assert rule.cells is not None and resource is not None
    return rule.cells(resource)


def _violations(
    rule: Rule, cells: Iterable[Cell], context: Context, unchecked: dict[tuple[str, str], None]
) -> Iterator[tuple[Cell, Violation]]:
    for cell in cells:
        for check in rule.checks:
            try:
                for violation in check(cell, context):
                    yield cell, violation
            except UnknownAt as unknown:
                unchecked[(cell.object, unknown.path)] = None
            except Exception as error:
                yield cell, _own_failure(check, error)


def _own_failure(check: Callable[..., Any], error: Exception) -> Violation:
    """A rule that breaks must not pass anything, nor print what the exception quotes."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Violation(
        path="",
        message=f"the rule itself failed ({type(error).__name__} at {where} in `{check.__name__}`), so nothing is "
        f"known "
        "about this object",
        fix="check that the object is well-formed; if it is, this is a fault of the rule, which can be set to advisory "
        "until it is mended",
    )


def _report(rule: Rule, cell: Cell, violation: Violation, exemptions: Iterable[Mapping[str, Any]]) -> str:
    """The text of a finding, or nothing where a valid exemption covers it."""
    expired = ""
    control = violation.control or ", ".join(rule.controls)
    for exemption in exemptions:
        if not fnmatch.fnmatchcase(cell.object, exemption["object"]):
            continue
        if "control" in exemption and exemption["control"] not in control.split(", "):
            continue
        if _expiry(exemption["expires"]) >= datetime.date.today():
            return ""
        expired = f" (not exempt: the exemption of {exemption['owner']} expired on {exemption['expires']})"
    lines = {
        "At": violation.path,
        "To fix": violation.fix or rule.fix,
        "Object": cell.object,
        "Control": control,
    }
    return violation.message + expired + "".join(f"\n  {label}: {text}" for label, text in lines.items() if text)


def _expiry(text: str) -> datetime.date:
    """The last day of an exemption; one whose date is no date has expired."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return datetime.date.min
