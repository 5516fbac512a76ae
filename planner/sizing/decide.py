"""The decision: one program over all models of the stack, and its reasons."""

from __future__ import annotations

import math
from dataclasses import replace

from planner.allocation import Allocation, Infeasible, Problem, allocate
from planner.catalogue import Catalogue, InstanceType, usd_per_month
from planner.choice import Candidate, Choice
from planner.settings import Model, StackSettings
from planner.sizing.build import Prepared, prepare
from planner.sizing.fallbacks import with_fallbacks
from planner.sizing.inputs import sizing_hash, sizing_inputs
from planner.sizing.refusals import refuse_conflicts, refuse_model
from planner.sizing.types import SizedModel, SizedRejection, Sizing

__all__ = ["decide"]

_SHOWN_REJECTED = 6
_PROVEN_GAP = 1e-4


def decide(settings: StackSettings, catalogue: Catalogue, *, where: str) -> Sizing:
    """Choose hardware for every model with ``hardware: auto``. The same input gives the same result on every machine.

    Args:
        settings: the checked stack file.
        catalogue: facts, with the user's rows laid over them.
        where: the stack file's name, for messages.

    Raises:
        UserFault: no hardware keeps a promise, or budgets and caps leave no plan; with the cheapest way out of each.
    """
    try:
        prepared = prepare(settings, catalogue, where=where)
    except ValueError as error:
        raise refuse_model(str(error), settings, catalogue, where=where) from None
    solver = settings.sizing.solver
    result = allocate(prepared.problem, solver=solver)
    if isinstance(result, Infeasible):
        raise refuse_conflicts(prepared, result, settings, catalogue, where=where)
    models = {
        name: _sized(name, settings.models[name], prepared, result, catalogue) for name in sorted(prepared.choices)
    }
    models = with_fallbacks(models, settings, prepared, catalogue, result.usd_per_hour)
    inputs = sizing_inputs(settings, catalogue)
    proof = "optimal" if result.gap <= _PROVEN_GAP else f"at most {result.gap:.1%} above the optimum"
    return Sizing(
        hash=sizing_hash(inputs),
        inputs=inputs,
        models=models,
        usd_per_month=round(usd_per_month(result.usd_per_hour), 2) if prepared.priced else None,
        solver=f"{result.solver}, {proof if math.isfinite(result.bound) else 'nothing proven'}",
    )


def _sized(name: str, model: Model, prepared: Prepared, result: Allocation, catalogue: Catalogue) -> SizedModel:
    (choice,) = result.of(name)
    candidate = prepared.usable[name, choice.option]
    instance = catalogue.instances[candidate.instance_type]
    nodes = _nodes(choice.replicas, candidate, instance)
    assert instance.usd_per_hour is not None
    limit = candidate.sequence_limit
    return SizedModel(
        instance_type=instance.name,
        fallbacks=(),
        gpus=candidate.gpus,
        tensor_parallel=candidate.tensor_parallel,
        precision=candidate.precision,
        quantization="fp8" if candidate.precision != catalogue.models[model.source].precision else "auto",
        max_sequences=min(limit, model.max_sequences) if "max_sequences" in model.model_fields_set else limit,
        batched_tokens=candidate.batched_tokens,
        replicas=choice.replicas,
        nodes=nodes,
        requests_per_second=round(candidate.requests_per_second, 3),
        ttft_ms=round(candidate.ttft_ms, 1),
        tpot_ms=round(candidate.tpot_ms, 1),
        certainty=candidate.certainty,
        usd_per_month=round(usd_per_month(instance.usd_per_hour) * nodes, 2),
        usd_per_hour=instance.usd_per_hour,
        price_source=instance.price_source,
        price_date=instance.price_date,
        chosen=_in_words(candidate, instance, choice.replicas, nodes),
        binding=_binding(name, model, candidate, choice.load, choice.replicas, prepared.problem, result),
        runner_up=_runner_up(name, prepared, result, catalogue),
        rejected=_rejected(prepared.choices[name], instance, catalogue),
    )


def _nodes(replicas: int, candidate: Candidate, instance: InstanceType) -> int:
    return math.ceil(replicas / (instance.gpus // candidate.gpus))


def _in_words(candidate: Candidate, instance: InstanceType, replicas: int, nodes: int) -> str:
    copies = f"{replicas} replica{'s' if replicas > 1 else ''} of {candidate.gpus} x {instance.gpu}"
    machines = f"{nodes} x {instance.name}"
    return f"{copies}, {candidate.precision} weights, on {machines} at {instance.usd_per_hour:.4f} USD/h"


def _binding(
    name: str, model: Model, candidate: Candidate, load: float, replicas: int, problem: Problem, result: Allocation
) -> str:
    assert model.traffic is not None
    asked, sustained = model.traffic.requests_per_second, candidate.requests_per_second
    words = [f"{candidate.binding} holds a replica to {sustained:.2f} requests/s, and {asked:g} are asked"]
    if load <= 1:
        words = [f"one replica carries the {asked:g} requests/s asked ({candidate.binding} binds at {sustained:.2f})"]
    if replicas > math.ceil(load - 1e-6):
        words.append(f"replicas are stated: {replicas} where {max(1, math.ceil(load - 1e-6))} would carry the load")
    for cap in problem.caps:
        other = allocate(replace(problem, caps=tuple(c for c in problem.caps if c is not cap)))
        if isinstance(other, Allocation) and other.usd_per_hour < result.usd_per_hour * (1 - _PROVEN_GAP):
            saved = usd_per_month(result.usd_per_hour - other.usd_per_hour)
            words.append(f"{cap.name} makes the stack {saved:,.2f} USD/month dearer")
    return "; ".join(words)


def _runner_up(name: str, prepared: Prepared, result: Allocation, catalogue: Catalogue) -> str:
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
    other = allocate(replace(prepared.problem, workloads=tuple(workloads)), relative_gap=_PROVEN_GAP)
    if isinstance(other, Infeasible):
        return ""
    (choice,) = other.of(name)
    candidate = prepared.usable[name, choice.option]
    instance = catalogue.instances[candidate.instance_type]
    assert instance.usd_per_hour is not None
    nodes = _nodes(choice.replicas, candidate, instance)
    month = usd_per_month(instance.usd_per_hour) * nodes
    return f"{_in_words(candidate, instance, choice.replicas, nodes)}, {month:,.2f} USD/month"


def _kind(candidate: Candidate) -> tuple[str, int, str]:
    return candidate.gpu, candidate.tensor_parallel, candidate.precision


def _rejected(choice: Choice, chosen: InstanceType, catalogue: Catalogue) -> tuple[SizedRejection, ...]:
    """Of each GPU that cheaper machines have, one option that falls out; the dearest machine first."""
    cheaper: dict[str, tuple[bool, float, SizedRejection]] = {}
    assert chosen.usd_per_hour is not None
    for item in choice.rejected:
        kind = item.option.split(" ")[0]
        instance = catalogue.instances[kind]
        price = instance.usd_per_hour
        accelerator = instance.gpu or instance.unsupported_reason
        if price is not None and price < chosen.usd_per_hour and accelerator:
            text = f"{item.option}, {price:.4f} USD/h"
            reason = SizedRejection(option=text, reason=f"{item.constraint}: {item.reason}")
            cheaper.setdefault(accelerator, (item.constraint == "instance type", price, reason))
    # Machines that can serve models at all come first.
    nearest = sorted(cheaper.values(), key=lambda entry: (entry[0], -entry[1], entry[2].option))
    return tuple(rejection for _, _, rejection in nearest[:_SHOWN_REJECTED])
