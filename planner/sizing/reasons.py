"""Why a model got what it got: in words, with what binds, the next best, and what was left out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from planner.allocation import Allocation, Infeasible, allocate_apart
from planner.catalogue import Catalogue, InstanceType, usd_per_month
from planner.choice import Candidate, Choice
from planner.settings import Model
from planner.sizing.build import Prepared
from planner.sizing.placed import Placed, placed
from planner.sizing.types import SizedRejection

__all__ = ["PROVEN_GAP", "binding", "in_words", "rejected", "runner_up", "unusable"]

PROVEN_GAP = 1e-4
_SHOWN_REJECTED = 6
_SHOWN_NAMES = 4


def in_words(candidate: Candidate, instance: InstanceType, there: Placed) -> str:
    """The choice in one line."""
    stages = f" in {candidate.pipeline_parallel} stages" if candidate.pipeline_parallel > 1 else ""
    copies = f"{there.replicas} replica{'s' if there.replicas > 1 else ''} of {candidate.gpus} x {instance.gpu}{stages}"
    price = "price unknown" if instance.usd_per_hour is None else f"at {instance.usd_per_hour:.4f} USD/h"
    parts = []
    if there.owned_nodes:
        parts.append(f"{there.owned_nodes} of them owned")
    if there.spot_replicas:
        parts.append(f"{there.spot_replicas} of the replicas on spot")
    more = f" ({', '.join(parts)})" if parts else ""
    return f"{copies}, {candidate.precision} weights, on {there.nodes} x {instance.name} {price}{more}"


def binding(name: str, model: Model, prepared: Prepared, result: Allocation) -> str:
    """What keeps the model from being cheaper."""
    (choice,) = result.of(name)
    candidate, load = prepared.usable[name, choice.option], prepared.loads[name]
    asked, sustained = f"{load.workload.requests_per_second:.4g}", candidate.requests_per_second
    verb = "asked" if load.forecast is None else "forecast"
    words = [f"{candidate.binding} holds a replica to {sustained:.2f} requests/s, and {asked} are {verb}"]
    if choice.load <= 1:
        words = [f"one replica carries the {asked} requests/s {verb} ({candidate.binding} binds at {sustained:.2f})"]
    needed = max(1, math.ceil(choice.load - 1e-6))
    if choice.replicas > needed:
        asks = "replicas are stated" if "replicas" in model.model_fields_set else "placement asks for more"
        words.append(f"{asks}: {choice.replicas} where {needed} would carry the load")
    problem = prepared.problem
    for cap in problem.caps:
        other = allocate_apart(replace(problem, caps=tuple(c for c in problem.caps if c is not cap)))
        if isinstance(other, Allocation) and other.usd_per_hour < result.usd_per_hour * (1 - PROVEN_GAP):
            saved = usd_per_month(result.usd_per_hour - other.usd_per_hour)
            words.append(f"{cap.name} makes the stack {saved:,.2f} USD/month dearer")
    return "; ".join(words)


def runner_up(name: str, prepared: Prepared, result: Allocation, catalogue: Catalogue) -> str:
    """What this model would run on in the cheapest plan that gives it other GPUs, another precision or another degree:
    the same on a larger machine would tell nothing."""
    (chosen,) = result.of(name)
    taken = _kind(prepared.usable[name, chosen.option])
    workloads = []
    for workload in prepared.problem.workloads:
        options = workload.options
        if workload.name == name:
            options = tuple(option for option in options if _kind(prepared.usable[name, option.name]) != taken)
            if not options:
                return ""
        workloads.append(replace(workload, options=options))
    other = allocate_apart(replace(prepared.problem, workloads=tuple(workloads)), relative_gap=PROVEN_GAP)
    if isinstance(other, Infeasible):
        return ""
    (choice,) = other.of(name)
    candidate = prepared.usable[name, choice.option]
    there = placed(name, other)
    words = in_words(candidate, catalogue.instances[candidate.instance_type], there)
    return f"{words}, {usd_per_month(there.usd_per_hour):,.2f} USD/month"


def _kind(candidate: Candidate) -> tuple[str, int, int, str]:
    return candidate.gpu, candidate.tensor_parallel, candidate.pipeline_parallel, candidate.precision


def rejected(choice: Choice, chosen: InstanceType, catalogue: Catalogue) -> tuple[SizedRejection, ...]:
    """Of each GPU that cheaper machines have, one option that falls out; the dearest machine first."""
    cheaper: dict[str, tuple[float, SizedRejection]] = {}
    most = math.inf if chosen.usd_per_hour is None else chosen.usd_per_hour
    for item in choice.rejected:
        instance = catalogue.instances[item.option.split(" ")[0]]
        price = instance.usd_per_hour
        if price is not None and price < most and instance.gpu and item.constraint != "instance type":
            reason = SizedRejection(
                option=f"{item.option}, {price:.4f} USD/h", reason=f"{item.constraint}: {item.reason}"
            )
            cheaper.setdefault(instance.gpu, (price, reason))
    nearest = sorted(cheaper.values(), key=lambda entry: (-entry[0], entry[1].option))
    return tuple(rejection for _, rejection in nearest[:_SHOWN_REJECTED])


def unusable(choices: Iterable[Choice], catalogue: Catalogue) -> tuple[SizedRejection, ...]:
    """Machines that no model can use whatever it is: accelerators without support, and CPUs, by reason."""
    by_reason: dict[str, list[str]] = {}
    for item in next(iter(choices), Choice(candidates=(), rejected=())).rejected:
        if item.constraint == "instance type":
            by_reason.setdefault(item.reason, []).append(item.option)
    return tuple(
        SizedRejection(option=_some(sorted(names, key=lambda name: (catalogue.instances[name].vcpu, name))),
                       reason=reason)
        for reason, names in sorted(by_reason.items())
    )  # fmt: skip


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")
