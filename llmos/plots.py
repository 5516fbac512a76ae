"""Pictures of decisions. matplotlib is imported only when one is asked for; nothing else of the program needs it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from planner.catalogue import Catalogue
from planner.faults import EnvironmentFault, Fault, UserFault
from planner.settings import RequestHistory, StackSettings
from planner.sizing import SizedNode, Sizing
from planner.sizing.curve import APPLICATIONS_LAYER, CurvePoint, cost_curve
from planner.sizing.inputs import histories

__all__ = ["plot_costs", "plot_demand", "plot_fill"]

_FORMATS = (".png", ".svg")
_MOST_NODES = 16
"""Nodes that can still be told apart; where there are more, equal ones are drawn once and counted in the label."""
_SHARES = ("GPUs in use", "GPUs busy at the expected traffic", "vCPU requested", "memory requested")


def plot_costs(
    path: Path, settings: StackSettings, catalogue: Catalogue, *, stack: str, where: str, folder: Path
) -> None:
    """Cost per month against load, stacked by model, with the expected traffic and the budget marked.

    Raises:
        UserFault: a file name that is neither .png nor .svg, or a model that nothing can serve.
        EnvironmentFault: matplotlib is not installed.
    """
    with _figure(path) as (figure, pyplot):
        points = cost_curve(settings, catalogue, where=where, folder=folder)
        axes = figure.subplots()
        if not points or not points[0].usd_per_month:
            raise _nothing("no model leaves its hardware open, so there is no cost to draw against load")
        _costs(axes, points, budget=settings.budget.usd_per_month)
        axes.set_title(f"Cost of stack {stack} against load")
        figure.legend(loc="outside right upper")
        del pyplot


def _costs(axes: Any, points: tuple[CurvePoint, ...], *, budget: float | None) -> None:
    loads = [point.load for point in points]
    # What only the stack as a whole pays for lies beneath its models.
    names = sorted(points[0].usd_per_month, key=lambda name: (name != APPLICATIONS_LAYER, name))
    axes.stackplot(
        loads, [[point.usd_per_month[name] for point in points] for name in names], labels=names, step="mid", alpha=0.8
    )
    axes.axvline(1, color="black", linestyle=":", linewidth=1, label="expected traffic")
    if budget is not None:
        axes.axhline(budget, color="firebrick", linestyle="--", linewidth=1.2, label="budget")
    axes.set(
        xlabel="load, as multiple of the expected traffic", ylabel="USD per month", xlim=(loads[0], loads[-1]),
        ylim=(0, None),
    )  # fmt: skip
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", linewidth=0.4)


def plot_fill(path: Path, sizing: Sizing, *, stack: str) -> None:
    """For each node the share of its GPUs, CPU and memory that pods use, and of the GPUs how busy they are.

    Raises: as `plot_costs`.
    """
    with _figure(path) as (figure, pyplot):
        if not _all_nodes(sizing):
            raise _nothing("the stack has no nodes, so there is no fill to draw")
        axes = figure.subplots()
        labels, rows = zip(*_bars(sizing), strict=True)
        colours = dict(zip(_SHARES, pyplot.rcParams["axes.prop_cycle"].by_key()["color"], strict=False))
        for place, row in enumerate(rows):
            height = 0.8 / len(row)
            for number, (name, share) in enumerate(row.items()):
                bars = axes.barh(place - 0.4 + height * (number + 0.5), 100 * share, height=height * 0.9,
                                 color=colours[name], alpha=0.8)  # fmt: skip
                axes.bar_label(bars, fmt="%.0f %%", padding=3, fontsize=7)
        for name in _SHARES:
            if any(name in row for row in rows):
                axes.barh(0, 0, color=colours[name], alpha=0.8, label=name)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_axisbelow(True)
        axes.set(xlabel="percent of the node", xlim=(0, 112), title=f"Fill of the nodes of stack {stack}")
        axes.grid(axis="x", linewidth=0.4)
        figure.set_figheight(max(3.0, 1.2 + 0.8 * len(labels)))
        figure.legend(loc="outside right upper")


def _bars(sizing: Sizing) -> Iterator[tuple[str, dict[str, float]]]:
    """(label, shares) of each node; equal nodes are one bar where there are too many."""
    nodes = _all_nodes(sizing)
    single = sum(node.count for node in nodes) <= _MOST_NODES
    for node in nodes:
        times = f"{node.count} x " if node.count > 1 and not single else ""
        pods = ", ".join(f"{count} x {name.partition('.')[2]}" for name, count in node.pods.items())
        zone = f", {node.zone}" if node.zone else ""
        label = f"{times}{node.instance_type}\n{node.purchase}{zone}\n{pods}"
        for _ in range(node.count if single else 1):
            yield label, _shares(node, sizing)


def _all_nodes(sizing: Sizing) -> tuple[SizedNode, ...]:
    return sizing.nodes + (sizing.applications.nodes if sizing.applications else ())


def _shares(node: SizedNode, sizing: Sizing) -> dict[str, float]:
    asked = {"vCPU requested": node.vcpu_used / node.vcpu, "memory requested": node.memory_gib_used / node.memory_gib}
    if not node.gpus:
        return asked
    pods = {name.removeprefix("models."): count for name, count in node.pods.items()}
    # Models with stated hardware have no known rate; their GPUs count as used only.
    busy = sum(
        sizing.models[name].busy * count * sizing.models[name].gpus for name, count in pods.items()
        if name in sizing.models
    )  # fmt: skip
    return {"GPUs in use": node.gpus_used / node.gpus, "GPUs busy at the expected traffic": busy / node.gpus, **asked}


def plot_demand(path: Path, settings: StackSettings, sizing: Sizing, *, stack: str, folder: Path) -> None:
    """For each history its last week, the forecast of the next with quantiles, and what the schedule keeps ready.

    Raises: as `plot_costs`, or as reading the history does.
    """
    found = histories(settings)
    with _figure(path) as (figure, pyplot):
        if not found:
            raise _nothing("no model and no application has a history, so there is no demand to draw")
        figure.set_figheight(3.6 * len(found) + 0.4)
        panels = figure.subplots(len(found), squeeze=False)[:, 0]
        for axes, (place, history) in zip(panels, found.items(), strict=True):
            subject = ".".join(place.split(".")[:2])
            _demand(axes, history, sizing, subject, folder=folder)
        figure.suptitle(f"Demand of stack {stack}")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper")
        del pyplot


def _demand(axes: Any, history: RequestHistory, sizing: Sizing, subject: str, *, folder: Path) -> None:
    import numpy as np

    from planner.demand.history import WEEK_SECONDS
    from planner.sizing.expected import forecast_of, history_of

    past, ahead = history_of(history, folder=folder).last(WEEK_SECONDS), forecast_of(history, folder=folder)

    def when(seconds: float) -> Any:
        """Calendar time where it is known, days since the start of the file otherwise."""
        if past.anchored:
            return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
        return seconds / 86_400

    before = [when(past.start_seconds + index * past.bin_seconds) for index in range(past.rates.size)]
    after = [when(ahead.start_seconds + index * ahead.bin_seconds) for index in range(ahead.expected.size)]
    axes.plot(before, past.rates, color="black", linewidth=0.7, label="last week")
    axes.plot(after, ahead.expected, color="tab:blue", linewidth=1.2, label="forecast")
    low, high = ahead.quantile(ahead.levels[0]), ahead.quantile(history.quantile)
    axes.fill_between(
        after, low, high, color="tab:blue", alpha=0.25, linewidth=0,
        label=f"{ahead.levels[0]:.0%} to {history.quantile:.0%} quantile",
    )  # fmt: skip
    schedule = sizing.schedules[subject]
    if past.anchored:
        from planner.demand.schedule import hours_of_week
        from planner.sizing.schedules import hourly

        starts = ahead.start_seconds + np.arange(ahead.expected.size) * ahead.bin_seconds
        ready = np.array(hourly(schedule))[hours_of_week(starts)] * schedule.requests_per_second_per_replica
        axes.step(after, ready, where="post", color="tab:orange", linewidth=1.2, label="scheduled capacity")
    axes.axhline(
        schedule.requests_per_second, color="firebrick", linestyle="--", linewidth=1, label="sized for"
    )
    axes.set(title=subject, ylabel="requests/s", ylim=(0, None))
    axes.set_xlabel("time, UTC" if past.anchored else "days since the start of the file")
    axes.tick_params(axis="x", labelrotation=20 if past.anchored else 0)
    axes.grid(axis="y", linewidth=0.4)


@contextmanager
def _figure(path: Path) -> Iterator[tuple[Any, Any]]:
    """A figure that is saved at the end, and pyplot. The same decisions give the same file: no date inside."""
    if path.suffix.lower() not in _FORMATS:
        raise UserFault(
            Fault(what=f"`{path.name}` is neither .png nor .svg", where="--plot", fix="name a file such as cost.png")
        )
    try:
        import matplotlib
    except ImportError as error:
        raise EnvironmentFault(
            Fault(
                what="matplotlib is not installed, and plots are drawn with it", where="--plot",
                fix="python -m pip install -r requirements-dev.txt, or leave --plot out",
            )
        ) from error
    # Draws into files; the default backend asks for a screen.
    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "llmagentos"
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(9, 4.5), layout="constrained")
    try:
        yield figure, pyplot
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    finally:
        pyplot.close(figure)


def _nothing(what: str) -> UserFault:
    return UserFault(Fault(what=what, where="--plot", fix="leave the picture out"))
