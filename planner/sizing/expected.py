"""What is asked of a model: its stated load, or the one that a history of requests lets expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from planner.demand import Forecast, History, forecast, read_history, read_requests
from planner.demand.forecast import DEFAULT_QUANTILES, prepared
from planner.demand.table import has_single_requests
from planner.faults import Fault, UserFault
from planner.lengths import Lengths as Distribution
from planner.settings import Lengths, Model, RequestHistory, StackSettings
from planner.workload import INPUT_SPREAD, OUTPUT_SPREAD, Workload

__all__ = ["Expected", "expected_loads", "forecast_of", "history_of", "scaled"]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Load that a model is sized for.

    Attributes:
        workload: rate and lengths.
        forecast: what the rate comes from; ``None`` when it is stated.
    """

    workload: Workload
    forecast: Forecast | None = None


def expected_loads(settings: StackSettings, *, folder: Path, where: str) -> dict[str, Expected]:
    """Per model with ``hardware: auto``; raises UserFault for a history that cannot be read or says too little."""
    return {
        name: _expected(model, folder=folder, where=f"{where}: models.{name}.traffic")
        for name, model in sorted(settings.models.items())
        if model.hardware == "auto"
    }


def scaled(loads: Mapping[str, Expected], times: float) -> dict[str, Expected]:
    """The same loads with other rates."""
    return {
        name: replace(
            load,
            workload=replace(load.workload, requests_per_second=load.workload.requests_per_second * times),
        )
        for name, load in loads.items()
    }


def _expected(model: Model, *, folder: Path, where: str) -> Expected:
    traffic = model.traffic
    assert traffic is not None, "settings refuse auto without traffic"
    made = None if traffic.history is None else forecast_of(traffic.history, folder=folder)
    rate = traffic.requests_per_second
    if made is not None and traffic.history is not None:
        rate = made.peak(traffic.history.quantile)
    assert rate is not None, "settings demand a rate or a history"
    if traffic.input_tokens is None or traffic.output_tokens is None:
        assert traffic.history is not None, "settings demand lengths or a history"
        workload = Workload.from_requests(
            _requests(traffic.history, model, folder=folder, where=where),
            requests_per_second=rate, context_tokens=model.context_tokens, prefix_share=traffic.prefix_share,
        )
    else:
        inputs = _distribution(traffic.input_tokens, INPUT_SPREAD)
        outputs = _distribution(traffic.output_tokens, OUTPUT_SPREAD)
        mean = inputs.mean() + outputs.mean()
        if mean > model.context_tokens:
            what = f"a request has {mean:,.0f} tokens on average, and the context holds {model.context_tokens:,}"
            fix = "raise context_tokens of the model, or state the lengths of requests that it takes"
            raise UserFault(Fault(what=what, where=where, fix=fix))
        workload = Workload.from_lengths(
            requests_per_second=rate,
            inputs=inputs,
            outputs=outputs,
            context_tokens=model.context_tokens,
            prefix_share=traffic.prefix_share,
        )
    return Expected(workload=workload, forecast=made)


def _distribution(stated: int | Lengths, spread: float) -> Distribution:
    if isinstance(stated, int):
        return Distribution.from_mean(stated, spread=spread)
    if stated.mean is None:
        return Distribution.from_quantiles(stated.quantiles)
    if stated.variation is None:
        return Distribution.from_mean(stated.mean, spread=spread)
    return Distribution.from_variation(stated.mean, stated.variation)


def forecast_of(history: RequestHistory, *, folder: Path) -> Forecast:
    """Next week's demand with quantiles, the stated one among them; raises UserFault as reading and forecasting do."""
    return _forecast(folder / history.file, _changed(folder / history.file), history)


def _changed(path: Path) -> int:
    """A file may change while a process lives (tests, notebooks), so its time is part of what is remembered of it."""
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=16)
def _forecast(path: Path, changed: int, history: RequestHistory) -> Forecast:
    levels = sorted({*DEFAULT_QUANTILES, history.quantile})
    return forecast(_anchored(read_history(path, service=history.service), history.start), quantiles=levels)


def history_of(history: RequestHistory, *, folder: Path) -> History:
    """The past, in the bins and with the gaps that the forecast saw."""
    return prepared(_anchored(read_history(folder / history.file, service=history.service), history.start))


def _anchored(found: History, start: str | None) -> History:
    """Seconds since an unknown start as calendar time, where the start is stated; calendar times stay what they are."""
    if start is None or found.anchored:
        return found
    moment = datetime.fromisoformat(start)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    shifted = found.start_seconds + seconds // found.bin_seconds * found.bin_seconds
    return replace(found, start_seconds=shifted, anchored=True)


def _requests(history: RequestHistory, model: Model, *, folder: Path, where: str) -> list[tuple[float, float]]:
    """(prompt, answer) lengths of the requests that the model takes."""
    lengths = _lengths(folder / history.file, _changed(folder / history.file), history, f"{where}.history")
    if not any(sum(request) <= model.context_tokens for request in lengths):
        what = f"no request of `{history.file}` fits into {model.context_tokens} tokens of context"
        raise UserFault(Fault(what=what, where=f"{where}.history", fix="raise context_tokens of the model"))
    return lengths


@lru_cache(maxsize=16)
def _lengths(path: Path, changed: int, history: RequestHistory, place: str) -> list[tuple[float, float]]:
    fix = "state input_tokens and output_tokens, or give a file with one row per request and its lengths"
    if not has_single_requests(path):
        raise UserFault(Fault(what=f"`{history.file}` has rates, not the lengths of requests", where=place, fix=fix))
    trace = read_requests(path, service=history.service)
    if not (trace.input_tokens.size and trace.output_tokens.size):
        raise UserFault(Fault(what=f"`{history.file}` has no columns for tokens", where=place, fix=fix))
    known = ~(np.isnan(trace.input_tokens) | np.isnan(trace.output_tokens))
    return list(zip(trace.input_tokens[known].tolist(), trace.output_tokens[known].tolist(), strict=True))
