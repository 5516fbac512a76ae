"""Tables for people: what was chosen and why, what it costs, what changes, what runs."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmos.cluster.contents import is_simulated
from llmos.engines.base import EngineAction
from llmos.kube import KubeObject
from llmos.packs import Finding
from llmos.stack_diff import Row
from planner.plan import CostItem, Plan, ServiceCost

__all__ = [
    "actions_table",
    "console",
    "cost_table",
    "decisions_table",
    "differences_table",
    "findings_table",
    "money",
    "workloads_table",
]

_STYLE = {"create": "green", "update": "yellow", "delete": "red", "same": "dim", "unknown": "magenta"}


def console() -> Console:
    """Standard output; at least 100 columns where the width is not known, so that logs stay readable."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=max(made.width, 120))


def money(usd: float | None) -> str:
    """USD as people write it; "unknown" where a price is not known, never 0."""
    return "unknown" if usd is None else f"{usd:,.2f} USD"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def decisions_table(plan: Plan) -> Table:
    """Which hardware was chosen, why, what stands beside it and what was rejected."""
    table = _table("Hardware")
    for column in ("decision", "chosen", "because", "next best", "rejected"):
        table.add_column(column, overflow="fold")
    for decision in plan.decisions:
        rejected = "\n".join(f"{item.option}: {item.reason}" for item in decision.rejected)
        table.add_row(decision.subject, decision.chosen, decision.binding, decision.runner_up or "none", rejected)
    return table


def cost_table(plan: Plan, *, today: dt.date) -> Table:
    """Cost per month at the minimum and maximum of replicas, with source and age of each price."""
    # The services of target aws are paid for by other units than hours.
    what, each = ("what", "USD each") if plan.services else ("nodes", "USD/h")
    table = _table("Cost per month (730 h, list prices)")
    for column in ("for", what, each, "at least", "at most", "price from"):
        side = "left" if column in ("for", what, "price from") else "right"
        table.add_column(column, justify=side, overflow="fold")
    for item in plan.costs:
        nodes = str(item.nodes_min) if item.nodes_min == item.nodes_max else f"{item.nodes_min}-{item.nodes_max}"
        price = "unknown" if item.usd_per_hour is None else f"{item.usd_per_hour:.4f}"
        table.add_row(
            item.subject, f"{nodes} x {item.instance_type}", price, money(item.usd_per_month_min),
            money(item.usd_per_month_max), _source(item, today),
        )
    for service in plan.services:
        table.add_row(
            service.subject, _amount(service), "unknown" if service.usd is None else f"{service.usd:g}",
            money(service.usd_per_month_min), money(service.usd_per_month_max), _source(service, today),
        )
    table.add_section()
    table.add_row("total", "", "", money(plan.usd_per_month_min), money(plan.usd_per_month), "")
    return table


def _amount(service: ServiceCost) -> str:
    why = f" ({service.assumption})" if service.assumption else ""
    return f"{service.service}: {service.quantity_max:g} {service.unit}{why}"


def _source(priced: CostItem | ServiceCost, today: dt.date) -> str:
    if not priced.price_date:
        return "no price known"
    age = (today - dt.date.fromisoformat(priced.price_date)).days
    return f"{priced.price_source}, {priced.price_date} ({age} days old)"


def actions_table(actions: Sequence[EngineAction]) -> Table | Text:
    """What happens to each object; unchanged ones are only counted."""
    counts = Counter(action.action for action in actions)
    summary = ", ".join(f"{counts[name]} {name}" for name in _STYLE if counts[name]) or "nothing"
    if all(action.action == "same" for action in actions):
        return Text(f"Objects: {summary}")
    table = _table(f"Objects: {summary}")
    shown = [action for action in actions if action.action != "same"]
    noted = any(_note(action) for action in shown)
    for column in ("action", "kind", "namespace", "name", *(["note"] if noted else [])):
        table.add_column(column, overflow="fold")
    for action in shown:
        style = _STYLE[action.action]
        cells = [f"[{style}]{action.action}[/]", action.kind, action.namespace, action.name]
        table.add_row(*cells, *([_note(action)] if noted else []))
    return table


def _note(action: EngineAction) -> str:
    """Why it is replaced, that it is not new, or that the server was asked about it with a digest that nothing has."""
    if action.replaces:
        return f"replaced: {', '.join(action.replaces)} cannot be changed in place"
    if action.adopts:
        return "exists already, and is taken over"
    return "validated with a stand-in digest" if action.stand_in_digest else ""


def findings_table(findings: Iterable[Finding]) -> Table:
    """What the policies found, and what to do about it."""
    table = _table("Policies")
    for column in ("level", "rule", "object", "message", "fix"):
        table.add_column(column, overflow="fold")
    for row in findings:
        place = ": ".join(filter(None, (row.object, row.path)))
        style = "red" if row.level == "mandatory" else "yellow"
        table.add_row(f"[{style}]{row.level}[/]", row.rule, place, row.message, row.fix)
    return table


def differences_table(section: str, stacks: Sequence[str], rows: Sequence[Row]) -> Table:
    """What of one section differs between two stacks."""
    table = _table(section.capitalize())
    for column in ("what", *stacks):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(Text(row.path), Text(row.first or "-"), Text(row.second or "-"))
    return table


def workloads_table(
    deployments: Sequence[KubeObject], pods: Sequence[KubeObject], nodes: Sequence[KubeObject], plan: Plan
) -> Table:
    """What runs where, since when, at which cost. Nodes that are simulated say so."""
    table = _table(f"Stack {plan.stack} in namespace {plan.namespace.name}")
    for column in ("workload", "available", "runs on", "since", "USD/month now"):
        table.add_column(column, overflow="fold")
    known = {node["metadata"]["name"]: node for node in nodes}
    costs = {item.subject.removeprefix("models."): item for item in plan.costs}
    for deployment in sorted(deployments, key=lambda item: item["metadata"]["name"]):
        name, status = deployment["metadata"]["name"], deployment.get("status", {})
        own = [pod for pod in pods if pod["metadata"]["labels"].get("app.kubernetes.io/name") == name]
        places = Counter(_place(pod, known) for pod in own)
        where = "\n".join(f"{count} x {place}" if count > 1 else place for place, count in sorted(places.items()))
        cost = money(costs[name].usd_per_month_min) if name in costs else "on nodes you have"
        available = f"{status.get('availableReplicas', 0)}/{deployment['spec'].get('replicas', 1)}"
        table.add_row(name, available, where, _since(own), cost)
    return table


def _place(pod: KubeObject, nodes: dict[str, KubeObject]) -> str:
    name = pod["spec"].get("nodeName")
    if not name:
        return "no node yet"
    labels = nodes.get(name, {}).get("metadata", {}).get("labels", {})
    kind = labels.get("node.kubernetes.io/instance-type", "")
    gpus = next(
        (c["resources"]["limits"]["nvidia.com/gpu"] for c in pod["spec"]["containers"]
         if "nvidia.com/gpu" in c.get("resources", {}).get("limits", {})), "",
    )  # fmt: skip
    simulated = "simulated" if is_simulated(nodes.get(name, {})) else ""
    details = ", ".join(filter(None, (kind, f"{gpus} GPU" if gpus else "", simulated)))
    return f"{name} ({details})" if details else name


def _since(pods: Sequence[KubeObject]) -> str:
    starts = [pod["status"]["startTime"] for pod in pods if pod.get("status", {}).get("startTime")]
    return min(starts).replace("T", " ").replace("Z", " UTC") if starts else ""
