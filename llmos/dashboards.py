"""A picture of a stack's dashboard, drawn from any Prometheus: for a report, or where no Grafana is at hand.

``python3 -m llmos aws dashboard --prometheus URL --out dashboard.png`` draws the panels that Grafana gets.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmos.synth import Program
from planner.faults import EnvironmentFault, Fault

__all__ = ["dashboard_of", "draw", "legend", "prometheus"]

Series = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
Ask = Callable[[str], list[Series]]

_STEPS = 240
_UNITS = {
    "s": ("seconds", 1.0), "percentunit": ("%", 100.0), "percent": ("%", 1.0), "currencyUSD": ("USD per hour", 1.0),
    "reqps": ("per second", 1.0), "short": ("", 1.0),
}  # fmt: skip


def dashboard_of(program: Program) -> dict[str, Any] | None:
    """The dashboard that a stack brings; None where it brings none."""
    for resource in program.of_type("kubernetes:core/v1:ConfigMap"):
        inputs = resource.inputs
        if inputs["metadata"].get("labels", {}).get("grafana_dashboard"):
            (text,) = inputs["data"].values()
            return dict(json.loads(text))
    return None


def prometheus(url: str, *, hours: float, now: float) -> Ask:
    """Queries over the last hours, put to Prometheus' HTTP API.

    Raises:
        EnvironmentFault: when asked, and Prometheus does not answer or refuses the query.
    """
    start, step = now - hours * 3600, max(15.0, hours * 3600 / _STEPS)

    def ask(query: str) -> list[Series]:
        fields = {"query": query, "start": f"{start:.0f}", "end": f"{now:.0f}", "step": f"{step:.0f}"}
        address = f"{url.rstrip('/')}/api/v1/query_range?{urllib.parse.urlencode(fields)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                found = json.load(answer)["data"]["result"]
        except (OSError, KeyError, ValueError) as error:
            fix = "check --prometheus; `kubectl port-forward` makes one of the cluster reachable"
            raise EnvironmentFault(Fault(what=f"Prometheus does not answer: {error}", where=url, fix=fix)) from error
        return [
            (one["metric"], [(float(at), float(value)) for at, value in one["values"] if value != "NaN"])
            for one in found
        ]  # fmt: skip

    return ask


def legend(pattern: str, labels: Mapping[str, str]) -> str:
    """Grafana's legend: names in double braces stand for the values of labels."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), pattern)


def draw(dashboard: Mapping[str, Any], ask: Ask, *, out: Path, now: float) -> int:
    """Draw every panel in its place, and return how many of them have data."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = dashboard["panels"]
    width = max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in found)
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in found)
    figure = pyplot.figure(figsize=(width * 0.75, height * 0.42), layout="constrained")
    grid = figure.add_gridspec(height, width)
    figure.suptitle(dashboard["title"])
    filled = 0
    for panel in found:
        place = panel["gridPos"]
        axes = figure.add_subplot(grid[place["y"]:place["y"] + place["h"], place["x"]:place["x"] + place["w"]])
        filled += _panel(axes, panel, ask, now)
    figure.savefig(out, dpi=75)
    pyplot.close(figure)
    return filled


def _panel(axes: Any, panel: Mapping[str, Any], ask: Ask, now: float) -> bool:
    defaults = panel["fieldConfig"]["defaults"]
    unit, factor = _UNITS.get(defaults["unit"], (defaults["unit"], 1.0))
    drawn = False
    for target in panel["targets"]:
        for labels, values in ask(target["expr"]):
            hours = [(at - now) / 3600 for at, _ in values]
            axes.plot(hours, [value * factor for _, value in values], label=legend(target["legendFormat"], labels))
            drawn = drawn or bool(values)
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is not None:
            axes.axhline(step["value"] * factor, color="tab:red", linewidth=1, linestyle="--")
    axes.set_title(panel["title"], fontsize=10)
    axes.set_ylabel(unit, fontsize=8)
    axes.set_xlabel("hours", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.margins(y=0.15)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend(fontsize=7, loc="best")
    else:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes, color="gray")
    return drawn
