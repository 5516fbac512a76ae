"""From rows of text to catalogue entries; the same checks for the shipped files and for a user's rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from planner.catalogue.types import Gpu, InstanceType, ModelSpec
from planner.faults import Fault, UserFault, nearest

__all__ = ["gpu_from_row", "instance_from_row", "model_from_row", "rows_of"]

Entry = TypeVar("Entry", Gpu, InstanceType, ModelSpec)
_ATTENTION = ("full", "sliding", "mla", "hybrid")
_PRECISION = ("bf16", "fp8", "int4", "mxfp4", "nvfp4")
_NEEDED = {
    "full": ("kv_heads", "heads"),
    "sliding": ("kv_heads", "heads", "window_tokens"),
    "mla": ("kv_lora_rank", "heads"),
    "hybrid": ("kv_heads", "heads", "state_layers", "state_kib"),
}
_CHOICES = {
    "attention": _ATTENTION,
    "precision": _PRECISION,
    "architecture": ("amd64", "arm64"),
    "interconnect": ("nvlink", "pcie"),
}


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file as mappings of column to text, empty cells left out."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {column: cell for column, cell in row.items() if cell}


def gpu_from_row(row: Mapping[str, Any], *, where: str) -> Gpu:
    """A GPU; raises UserFault for an unknown column, a missing one, or a figure that is no number above zero."""
    return _entry(Gpu, row, where=where)


def instance_from_row(row: Mapping[str, Any], *, where: str) -> InstanceType:
    """An instance type; a row with a price needs ``price_date``, because a price without a day cannot be trusted."""
    row = dict(row)
    if "usd_per_hour" in row:
        row.setdefault("price_source", row.get("source", ""))
        if not row.get("price_date"):
            raise UserFault(Fault(what="a price without `price_date`", where=where, fix="add the day it was read"))
    if "spot_usd_per_hour" in row and not row.get("spot_price_date"):
        what = "a spot price without `spot_price_date`"
        raise UserFault(Fault(what=what, where=where, fix="add the day it was read"))
    return _entry(InstanceType, row, where=where)


def model_from_row(row: Mapping[str, Any], *, where: str) -> ModelSpec:
    """A model; by default every parameter is active and every layer of a full-attention or MLA model attends fully."""
    row = dict(row)
    row.setdefault("active_b", row.get("parameters_b", ""))
    if row.get("attention", "full") in ("full", "mla"):
        row.setdefault("full_layers", row.get("layers", ""))
    model = _entry(ModelSpec, row, where=where)
    lacking = [column for column in _NEEDED[model.attention] if not getattr(model, column)]
    if lacking:
        what = f"{model.attention} attention without {', '.join(lacking)}"
        raise UserFault(Fault(what=what, where=where, fix="add these columns to the row"))
    return model


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Evaluating annotations takes most of the load time, so once per kind."""
    return get_type_hints(kind)


def _entry(kind: type[Entry], row: Mapping[str, Any], *, where: str) -> Entry:
    row = {column: cell for column, cell in row.items() if cell is not None}
    hints, known = _hints(kind), {field.name: field for field in fields(kind)}
    faults = [_unknown(column, known, where) for column in row if column not in known]
    missing = [name for name, field in known.items() if field.default is MISSING and name not in row]
    if missing:
        faults.append(Fault(what=f"missing: {', '.join(missing)}", where=where, fix="add these columns to the row"))
    values = {}
    for column in row.keys() & known.keys():
        try:
            values[column] = _value(column, row[column], hints[column])
        except ValueError as error:
            faults.append(Fault(what=f"{column}: {error}", where=where, fix="correct the cell"))
    if faults:
        raise UserFault(faults)
    return kind(**values)


def _unknown(column: str, known: Mapping[str, Any], where: str) -> Fault:
    return Fault(what=f"unknown column `{column}`", where=where, nearest=nearest(column, known), fix="remove or rename")


def _value(column: str, cell: Any, hint: Any) -> Any:
    if column in _CHOICES and cell not in _CHOICES[column]:
        raise ValueError(f"`{cell}` is not one of {', '.join(_CHOICES[column])}")
    if column == "compute_capability":
        major, _, minor = str(cell).partition(".")
        return int(major), int(minor or 0)
    if hint is int or hint in (float, float | None):
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number < float("inf") or (hint is int and number != int(number)):
            raise ValueError(f"`{cell}` is not a {'whole ' if hint is int else ''}number of at least 0")
        return int(number) if hint is int else number
    return str(cell)
