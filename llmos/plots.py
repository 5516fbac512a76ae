"""Pictures of decisions. matplotlib is imported only when one is asked for; nothing else of the program needs it."""

from __future__ import annotations

from pathlib import Path

from planner.catalogue import Catalogue
from planner.faults import EnvironmentFault, Fault, UserFault
from planner.settings import StackSettings
from planner.sizing.curve import CurvePoint, cost_curve

__all__ = ["plot_costs"]

_FORMATS = (".png", ".svg")


def plot_costs(path: Path, settings: StackSettings, catalogue: Catalogue, *, stack: str, where: str) -> None:
    """Cost per month against load, stacked by model, with the stated traffic and the budget marked.

    Raises:
        UserFault: a file name that is neither .png nor .svg, or a model that nothing can serve.
        EnvironmentFault: matplotlib is not installed.
    """
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
    path.parent.mkdir(parents=True, exist_ok=True)
    _draw(path, cost_curve(settings, catalogue, where=where), budget=settings.budget.usd_per_month, stack=stack)


def _draw(path: Path, points: tuple[CurvePoint, ...], *, budget: float | None, stack: str) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    loads = [point.load for point in points]
    names = sorted(points[0].usd_per_month)
    axes.stackplot(
        loads, [[point.usd_per_month[name] for point in points] for name in names], labels=names, step="mid", alpha=0.8
    )
    axes.axvline(1, color="black", linestyle=":", linewidth=1, label="stated traffic")
    if budget is not None:
        axes.axhline(budget, color="firebrick", linestyle="--", linewidth=1.2, label="budget")
    axes.set(
        title=f"Cost of stack {stack} against load", xlabel="load, as multiple of the stated traffic",
        ylabel="USD per month, list prices", xlim=(loads[0], loads[-1]), ylim=(0, None),
    )  # fmt: skip
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", linewidth=0.4)
    figure.legend(loc="outside right upper")
    # No date inside: the same sizing gives the same file.
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    pyplot.close(figure)
