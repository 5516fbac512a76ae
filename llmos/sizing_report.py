"""What sizing decided, for people: tables on a terminal, Markdown for a pull request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from rich import box
from rich.table import Table

from llmos.report import console, money
from planner.sizing import SizedApplications, SizedModel, SizedNode, SizedSchedule, Sizing
from planner.sizing.compare import SizingChange

__all__ = ["changes_markdown", "markdown", "print_changes", "print_sizing"]


def print_sizing(sizing: Sizing, *, today: dt.date) -> None:
    """Per model: what was chosen, why, the next best, what was rejected, and how old the price is."""
    screen = console()
    for name, model in sizing.models.items():
        table = _pairs(f"models.{name}")
        for label, text in _rows(model, today=today):
            table.add_row(label, text)
        screen.print(table)
    if sizing.applications:
        table = _pairs("applications")
        for label, text in _application_rows(sizing.applications, today=today):
            table.add_row(label, text)
        screen.print(table)
    for name, schedule in sizing.schedules.items():
        table = _pairs(name)
        for label, text in _schedule_rows(schedule):
            table.add_row(label, text)
        screen.print(table)
    nodes = _all_nodes(sizing)
    if nodes:
        table = Table("nodes", "type", "got as", "on each", "GPUs", "vCPU", "GiB", box=box.SIMPLE_HEAD, pad_edge=False)
        for node in nodes:
            table.add_row(*_node_cells(node))
        screen.print(table)
    screen.print(f"Cost {money(sizing.usd_per_month)} per month, list prices ({sizing.solver})")


def _pairs(title: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=False, pad_edge=False
    )
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def print_changes(changes: Sequence[SizingChange], after: Sizing) -> None:
    """The differences as a table."""
    screen = console()
    if not changes:
        screen.print(f"No difference: {money(after.usd_per_month)} per month")
        return
    table = Table("subject", "what", "before", "after", box=box.SIMPLE_HEAD, pad_edge=False)
    for change in changes:
        table.add_row(*_cells(change))
    screen.print(table)


def markdown(sizing: Sizing) -> str:
    """The whole sizing as Markdown."""
    lines = ["| model | chosen | because | next best | USD/month |", "|---|---|---|---|---|"]
    for name, model in sizing.models.items():
        cells = (name, model.chosen, model.binding, model.runner_up or "none", f"{model.usd_per_month:,.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Total: {money(sizing.usd_per_month)} per month, list prices ({sizing.solver})."]
    for name, model in sizing.models.items():
        if model.rejected:
            lines += ["", f"Rejected for {name}:", ""]
            lines += [f"- {item.option}: {item.reason}" for item in model.rejected]
            lines += [f"- on CPUs: {model.on_cpus}"] if model.on_cpus else []
    for name, schedule in sizing.schedules.items():
        lines += ["", f"Minimum replicas of {name} (UTC), kept by {schedule.kept_by}:", ""]
        lines += ["| days | hours | replicas |", "|---|---|---|"]
        lines += [f"| {w.days} | {w.hours} | {w.replicas} |" for w in schedule.windows]
        lines += [f"| otherwise | | {schedule.otherwise} |", ""]
        lines += [f"- {text}" for _, text in _schedule_rows(schedule)[1:] if text]
    if sizing.applications:
        lines += ["", "Applications:", ""]
        lines += [f"- {label}: {text}" for label, text in _application_rows(sizing.applications, today=None)]
    nodes = _all_nodes(sizing)
    if nodes:
        lines += ["", "| nodes | type | got as | on each | GPUs | vCPU | GiB |", "|---|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(_node_cells(node))} |" for node in nodes]
    if sizing.unusable:
        lines += ["", "Not looked at:", ""]
        lines += [f"- {item.option}: {item.reason}" for item in sizing.unusable]
    return "\n".join(lines)


def changes_markdown(changes: Sequence[SizingChange]) -> str:
    """The differences as Markdown."""
    if not changes:
        return "No difference."
    lines = ["| subject | what | before | after |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(change))} |" for change in changes)])


def _rows(model: SizedModel, *, today: dt.date) -> list[tuple[str, str]]:
    source = _source(model.price_source, model.price_date, today=today)
    speed = (
        f"{model.requests_per_second:.2f} requests/s for a replica at TTFT {model.ttft_ms:.0f} ms and TPOT "
        f"{model.tpot_ms:.0f} ms ({model.certainty})"
    )
    rows = [
        ("chosen", model.chosen),
        ("may stand in", ", ".join(model.fallbacks) or "no other type is equivalent within the budget"),
        ("sustains", speed),
        ("because", model.binding),
        ("cost", f"{money(model.usd_per_month)} per month; {source}"),
        ("next best", model.runner_up or "none"),
    ]
    rows += [("rejected", f"{item.option}: {item.reason}") for item in model.rejected]
    return rows + ([("on CPUs", model.on_cpus)] if model.on_cpus else [])


def _source(source: str, date: str, *, today: dt.date | None) -> str:
    if not date:
        return "no price is known"
    age = f" ({(today - dt.date.fromisoformat(date)).days} days old)" if today else ""
    return f"{source}, {date}{age}"


def _application_rows(sized: SizedApplications, *, today: dt.date | None) -> list[tuple[str, str]]:
    counted = "" if sized.counted else ", not in the total: the nodes are the cluster's"
    rows = [
        ("chosen", sized.chosen),
        ("because", sized.binding),
        (
            "cost",
            f"{money(sized.usd_per_month)} per month{counted}; "
            f"{_source(sized.price_source, sized.price_date, today=today)}",
        ),
        ("next best", sized.runner_up or "none"),
    ]
    return rows + [("rejected", f"{item.option}: {item.reason}") for item in sized.rejected]


def _all_nodes(sizing: Sizing) -> tuple[SizedNode, ...]:
    return sizing.nodes + (sizing.applications.nodes if sizing.applications else ())


def _schedule_rows(schedule: SizedSchedule) -> list[tuple[str, str]]:
    """The first row holds the windows."""
    windows = [f"{window.days} {window.hours}  {window.replicas}" for window in schedule.windows]
    rows = [
        ("minimum", "; ".join([*windows, f"otherwise {schedule.otherwise}"]) + " replicas (UTC)"),
        ("kept by", schedule.kept_by),
        (
            "because",
            f"the {schedule.quantile:.0%} quantile of the forecast is {schedule.requests_per_second:.4g} requests/s at "
            f"the highest, and a replica serves {schedule.requests_per_second_per_replica:.4g} ({schedule.history})",
        ),
    ]
    return rows + [("backtest", text) for text in schedule.accuracy] + [("mind", text) for text in schedule.warnings]


def _node_cells(node: SizedNode) -> tuple[str, ...]:
    return (
        str(node.count),
        node.instance_type,
        f"{node.purchase}, {node.zone}" if node.zone else node.purchase,
        ", ".join(f"{count} x {name}" for name, count in node.pods.items()),
        f"{node.gpus_used}/{node.gpus}",
        f"{node.vcpu_used:g}/{node.vcpu:g}",
        f"{node.memory_gib_used:g}/{node.memory_gib:g}",
    )


def _cells(change: SizingChange) -> tuple[str, str, str, str]:
    return change.subject, change.what.replace("_", " "), _text(change.before), _text(change.after)


def _text(value: str | float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
