"""Reads the CSV forms of a request history into columns of numbers, reporting every bad cell with its line.

Recognised columns (any order and case; further ones are ignored):

- time: ISO 8601 (without an offset: UTC), seconds or milliseconds since 1970, or seconds since an unknown start;
- then either a rate (`requests_per_second`, `req_per_s`, `rps`, ...), or a count since the row's time (`requests`,
  `count`, ...), or neither: each row is then one request, with token counts when their columns are there;
- `service` (or `model`, `series`) when one file holds several histories.

An empty rate or count means unknown, which is not zero.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from planner.faults import Fault, UserFault

__all__ = ["Table", "has_single_requests", "read_table", "series_names"]

_COLUMNS = {
    "time": ("timestamp", "time", "datetime", "date", "ts", "t_seconds", "seconds", "arrival", "arrived_at", "t"),
    "rate": ("requests_per_second", "req_per_s", "request_rate", "rate", "rps", "qps"),
    "count": ("requests", "request_count", "num_requests", "count", "n"),
    "service": ("service", "model", "series"),
    "input": ("input_tokens", "prompt_tokens", "contexttokens", "request tokens", "request_tokens"),
    "output": ("output_tokens", "completion_tokens", "generatedtokens", "response tokens", "response_tokens"),
}
_FAULTS_SHOWN = 20
# Numbers below this are seconds since an unknown start (ten years of them), above it seconds since 1970.
_EARLIEST_EPOCH_SECONDS = 315_360_000.0
_EARLIEST_EPOCH_MILLISECONDS = 1e11


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of one series, ascending in time: column role -> values (NaN for an empty cell)."""

    name: str
    values: dict[str, NDArray[np.float64]]
    anchored: bool


def read_table(path: Path, service: str | None) -> Table:
    """The rows of one service; raises `UserFault` with one fault per bad cell (the first 20) or file."""
    header, rows, lines = _open(path)
    roles = _roles(header, path)
    chosen = _chosen_service(path, service, roles, rows)
    numbers: dict[str, list[float]] = {role: [] for role in roles if role != "service"}
    read_lines: list[int] = []
    faults: list[Fault] = []
    for line, row in zip(lines, rows, strict=True):
        if "service" in roles and len(row) > roles["service"] and row[roles["service"]].strip() != chosen:
            continue
        read_lines.append(line)
        for role, column in numbers.items():
            cell = row[roles[role]].strip() if len(row) > roles[role] else ""
            value, problem = (_time if role == "time" else _amount)(cell)
            column.append(value)
            if problem:
                fix = "write ISO 8601 in UTC or seconds" if role == "time" else "leave the cell empty when unknown"
                faults.append(Fault(what=f"column `{header[roles[role]]}`: {problem}", where=f"{path}:{line}", fix=fix))
    values = {role: np.array(column) for role, column in numbers.items()}
    if not faults:
        faults = _repeated(path, values, read_lines)
    if faults:
        raise UserFault(faults[:_FAULTS_SHOWN])
    if not read_lines:
        raise _fault(str(path), "has no rows", "give a history with at least a few hours of traffic")
    order = np.argsort(values["time"], kind="stable")
    anchored = bool(values["time"].max() >= _EARLIEST_EPOCH_SECONDS)
    return Table(name=chosen or path.stem, values={k: v[order] for k, v in values.items()}, anchored=anchored)


def series_names(path: Path) -> tuple[str, ...]:
    """The services in a file, in order of appearance; empty when it has no such column."""
    header, rows, _ = _open(path)
    column = _roles(header, path).get("service")
    return () if column is None else tuple(dict.fromkeys(row[column].strip() for row in rows if len(row) > column))


def has_single_requests(path: Path) -> bool:
    """Whether each row of the file is one request, rather than a rate or a count."""
    header, _, _ = _open(path)
    return not {"rate", "count"} & set(_roles(header, path))


def _open(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and the rows' line numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            numbered = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise _fault(str(path), "there is no such file", "correct the path") from None
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise _fault(str(path), f"cannot be read as CSV in UTF-8 ({error})", "export it as CSV in UTF-8") from None
    return header, [row for _, row in numbered], [line for line, _ in numbered]


def _roles(header: list[str], path: Path) -> dict[str, int]:
    """Column index per recognised role."""
    names = [cell.strip().lower() for cell in header]
    roles = {}
    for role, spellings in _COLUMNS.items():
        found = next((names.index(spelling) for spelling in spellings if spelling in names), None)
        if found is not None:
            roles[role] = found
    if "time" not in roles:
        have = ", ".join(f"`{cell}`" for cell in header) or "nothing"
        raise _fault(f"{path}:1", f"has no time column: the header has {have}", "name the time column `timestamp`")
    return roles


def _chosen_service(path: Path, service: str | None, roles: dict[str, int], rows: list[list[str]]) -> str | None:
    if "service" not in roles:
        return service
    names = sorted({row[roles["service"]].strip() for row in rows if len(row) > roles["service"]})
    if service is None and len(names) <= 1:
        return names[0] if names else None
    if service not in names:
        what = "several services and none chosen" if service is None else f"no service `{service}`"
        raise _fault(f"{path}", f"has {what}; it has {', '.join(names)}", f"choose one, e.g. `{names[0]}`")
    return service


def _repeated(path: Path, values: dict[str, NDArray[np.float64]], lines: list[int]) -> list[Fault]:
    """Rows of rates or counts whose time an earlier row has; two requests may share one."""
    if "rate" not in values and "count" not in values:
        return []
    first: dict[float, int] = {}
    faults = []
    for time, line in zip(values["time"].tolist(), lines, strict=True):
        if first.setdefault(time, line) != line:
            what = f"repeats the time of line {first[time]}"
            fix = "keep one row per time, or name the `service` column if these are several histories"
            faults.append(Fault(what=what, where=f"{path}:{line}", fix=fix))
    return faults


def _time(cell: str) -> tuple[float, str]:
    try:
        number = float(cell)
    except ValueError:
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            return np.nan, f"`{cell}` is not a time"
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), ""
    if not np.isfinite(number) or number < 0:
        return np.nan, f"`{cell}` is not a time"
    return number / 1000 if number >= _EARLIEST_EPOCH_MILLISECONDS else number, ""


def _amount(cell: str) -> tuple[float, str]:
    if cell.lower() in ("", "nan", "null"):
        return np.nan, ""
    try:
        number = float(cell)
    except ValueError:
        return np.nan, f"`{cell}` is not a number"
    if not np.isfinite(number) or number < 0:
        return np.nan, f"`{cell}` is not a finite number of at least 0"
    return number, ""


def _fault(where: str, what: str, fix: str) -> UserFault:
    return UserFault(Fault(what=what, where=where, fix=fix))
