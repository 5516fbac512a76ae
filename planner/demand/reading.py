"""Reads request histories from CSV: rates or counts per bin, or one row per request (`planner.demand.table`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.demand.binning import binned_rates, binned_requests
from planner.demand.history import History
from planner.demand.table import read_table
from planner.faults import Fault, UserFault

__all__ = ["RequestTrace", "read_history", "read_requests"]


@dataclass(frozen=True, kw_only=True)
class RequestTrace:
    """Single requests.

    Attributes:
        arrivals_seconds: times, ascending.
        input_tokens: prompt tokens per request; empty when the file does not say.
        output_tokens: generated tokens per request; empty when the file does not say.
        history: the same requests as rates.
    """

    arrivals_seconds: NDArray[np.float64]
    input_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    history: History


def read_history(path: Path, *, service: str | None = None) -> History:
    """The request rates of one service in ``path``.

    Raises:
        UserFault: one fault per bad cell, with its line (the first 20); unknown columns; several services in the file
            and none, or an unknown one, asked for.
    """
    table = read_table(path, service)
    times = table.values["time"]
    if "rate" in table.values or "count" in table.values:
        counted = "rate" not in table.values
        values = table.values["count" if counted else "rate"]
        return binned_rates(table.name, times, values, counted=counted, anchored=table.anchored)
    return binned_requests(table.name, times, anchored=table.anchored)


def read_requests(path: Path, *, service: str | None = None) -> RequestTrace:
    """Single requests with their lengths, for a file with one row per request; raises as `read_history`."""
    table = read_table(path, service)
    if "rate" in table.values or "count" in table.values:
        raise UserFault(
            Fault(
                what="holds rates or counts per bin, not single requests",
                where=str(path),
                fix="give a file with one row per request, or state input_tokens and output_tokens",
            )
        )
    times = table.values["time"]
    nothing = np.empty(0)
    return RequestTrace(
        arrivals_seconds=times,
        input_tokens=table.values.get("input", nothing),
        output_tokens=table.values.get("output", nothing),
        history=binned_requests(table.name, times, anchored=table.anchored),
    )
