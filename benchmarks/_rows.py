"""Rows of measurements that others wrote: what is missing or odd in one leaves out that row, and says so."""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from planner.catalogue import Catalogue, ModelSpec
from planner.demand import History, read_history, series_names
from planner.faults import LlmosError

__all__ = ["base_name", "numbered_rows", "positive", "read_services", "same_model", "whole"]

_SUFFIX = re.compile(r"(-(instruct|it|fp8|fp4|nvfp4|awq|bf16|dynamic|kv|gptq|int4|w4a16|w8a8|\d{4}))+$")


def numbered_rows(path: Path, *, needed: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line, row), every cell as text; ends the program with code 1 where the file or a needed column is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = [column for column in needed if column not in (reader.fieldnames or ())]
            if missing:
                raise _stop(f"{path}: has no column {', '.join(missing)}")
            for row in reader:
                yield reader.line_num, {key: (value or "").strip() for key, value in row.items() if key is not None}
    except OSError as error:
        raise _stop(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise _stop(f"{path}: is no CSV file in UTF-8: {error}") from None


def _stop(what: str) -> SystemExit:
    print(what, file=sys.stderr)
    return SystemExit(1)


def positive(text: str) -> float | None:
    """A finite number above 0; ``None`` for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def whole(text: str) -> int | None:
    """The same without a fraction."""
    number = positive(text)
    return int(number) if number is not None and number.is_integer() else None


def base_name(name: str) -> str:
    """Of a model without its organisation, and without what only says how its weights are kept or tuned."""
    last = name.split("/")[-1].split(" ")[0].lower().replace("meta-llama", "llama")
    return _SUFFIX.sub("", last)


def same_model(name: str, catalogue: Catalogue, *, layers: int = 0) -> ModelSpec | None:
    """The catalogue's model of that name: exactly, or with other weights of the same architecture."""
    known = sorted(catalogue.models.values(), key=lambda model: (len(model.id), model.id))
    exact = [model for model in known if model.id == name]
    last = name.split("/")[-1].split(" ")[0].lower()
    exact = exact or [model for model in known if model.id.split("/")[-1].lower() == last]
    alike = [m for m in known if base_name(m.id) == base_name(name) and layers in (0, m.layers)]
    return next(iter(exact or alike), None)


def read_services(path: Path) -> tuple[list[History], dict[str, str]]:
    """Every service of a file of rates that can be read, and why the others cannot; raises for the file itself."""
    names = series_names(path)
    if len(names) < 2:
        return [read_history(path, service=names[0] if names else None)], {}
    histories, left_out = [], {}
    for name in names:
        try:
            histories.append(read_history(path, service=name))
        except LlmosError as error:
            left_out[name] = error.faults[0].what
    return histories, left_out
