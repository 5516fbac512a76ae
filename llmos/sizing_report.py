"""What sizing decided, for people: tables on a terminal, Markdown for a pull request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from rich import box
from rich.table import Table

from llmos.report import console, money
from planner.sizing import SizedModel, Sizing
from planner.sizing.compare import SizingChange

__all__ = ["changes_markdown", "markdown", "print_changes", "print_sizing"]


def print_sizing(sizing: Sizing, *, today: dt.date) -> None:
    """Per model: what was chosen, why, the next best, what was rejected, and how old the price is."""
    screen = console()
    for name, model in sizing.models.items():
        table = Table(
            title=f"models.{name}", title_justify="left", title_style="bold", box=box.SIMPLE, show_header=False,
            pad_edge=False,
        )
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in _rows(model, today=today):
            table.add_row(label, text)
        screen.print(table)
    screen.print(f"Cost {money(sizing.usd_per_month)} per month, list prices ({sizing.solver})")


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
    return "\n".join(lines)


def changes_markdown(changes: Sequence[SizingChange]) -> str:
    """The differences as Markdown."""
    if not changes:
        return "No difference."
    lines = ["| subject | what | before | after |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(change))} |" for change in changes)])


def _rows(model: SizedModel, *, today: dt.date) -> list[tuple[str, str]]:
    age = (today - dt.date.fromisoformat(model.price_date)).days
    speed = (
        f"{model.requests_per_second:.2f} requests/s for a replica at TTFT {model.ttft_ms:.0f} ms and TPOT "
        f"{model.tpot_ms:.0f} ms ({model.certainty})"
    )
    rows = [
        ("chosen", model.chosen),
        ("may stand in", ", ".join(model.fallbacks) or "no other type is equivalent within the budget"),
        ("sustains", speed),
        ("because", model.binding),
        ("cost", f"{money(model.usd_per_month)} per month; {model.price_source}, {model.price_date} ({age} days old)"),
        ("next best", model.runner_up or "none"),
    ]
    return rows + [("rejected", f"{item.option}: {item.reason}") for item in model.rejected]


def _cells(change: SizingChange) -> tuple[str, str, str, str]:
    return change.subject, change.what.replace("_", " "), _text(change.before), _text(change.after)


def _text(value: str | float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
