"""The decision: one program over all models of the stack, and its reasons."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from planner.allocation import Allocation, Infeasible, allocate_apart
from planner.catalogue import Catalogue, usd_per_month
from planner.settings import Model, StackSettings
from planner.sizing.applications import sized_applications
from planner.sizing.build import Prepared, prepare
from planner.sizing.fallbacks import with_fallbacks
from planner.sizing.inputs import sizing_hash, sizing_inputs
from planner.sizing.on_cpus import on_cpus
from planner.sizing.placed import nodes_of, placed
from planner.sizing.reasons import PROVEN_GAP, binding, in_words, rejected, runner_up, unusable
from planner.sizing.refusals import refuse_conflicts, refuse_model
from planner.sizing.schedules import schedules_of
from planner.sizing.types import SizedModel, Sizing

__all__ = ["decide"]


def decide(
    settings: StackSettings, catalogue: Catalogue, *, where: str, folder: Path = Path(), times: float = 1.0
) -> Sizing:
    """Choose hardware for every model with ``hardware: auto``, and minimum replicas by hour for every history. The same
    input gives the same result on every machine.

    Args:
        settings: the checked stack file.
        catalogue: facts, with the user's rows laid over them.
        where: the stack file's name, for messages.
        folder: of the stack file, which request histories are relative to.
        times: factor on every load, for curves.

    Raises:
        UserFault: no hardware keeps a promise, or budgets and caps leave no plan, with the cheapest way out of each; or
            a history cannot be read.
    """
    inputs = sizing_inputs(settings, catalogue, folder=folder, where=where)
    try:
        prepared = prepare(settings, catalogue, where=where, folder=folder, times=times)
    except ValueError as error:
        raise refuse_model(str(error), settings, catalogue, where=where, folder=folder) from None
    result = allocate_apart(prepared.problem, solver=settings.sizing.solver)
    if isinstance(result, Infeasible):
        raise refuse_conflicts(prepared, result, settings, catalogue, where=where, folder=folder)
    models = {
        name: _sized(name, settings.models[name], prepared, result, catalogue) for name in sorted(prepared.choices)
    }
    models = with_fallbacks(models, settings, prepared, catalogue, result)
    cpu_pools = {pool.name for pool in prepared.side.problem.pools}
    on_gpus = replace(result, nodes=tuple(node for node in result.nodes if node.pool not in cpu_pools))
    proof = "optimal" if result.gap <= PROVEN_GAP else f"at most {result.gap:.1%} above the optimum"
    return Sizing(
        hash=sizing_hash(inputs),
        inputs=inputs,
        models=models,
        schedules=schedules_of(settings, models, folder=folder),
        nodes=nodes_of(prepared.problem, on_gpus, prepared.book),
        applications=sized_applications(prepared.side, result, book=prepared.book, catalogue=catalogue),
        unusable=unusable(prepared.choices.values(), catalogue),
        usd_per_month=round(usd_per_month(result.usd_per_hour), 2) if prepared.priced else None,
        solver=f"{result.solver}, {proof if math.isfinite(result.bound) else 'nothing proven'}",
    )


def _sized(name: str, model: Model, prepared: Prepared, result: Allocation, catalogue: Catalogue) -> SizedModel:
    (choice,) = result.of(name)
    candidate = prepared.usable[name, choice.option]
    instance = catalogue.instances[candidate.instance_type]
    there = placed(name, result)
    limit = candidate.sequence_limit
    return SizedModel(
        instance_type=instance.name,
        fallbacks=(),
        gpus=candidate.gpus,
        tensor_parallel=candidate.tensor_parallel,
        pipeline_parallel=candidate.pipeline_parallel,
        precision=candidate.precision,
        quantization="fp8" if candidate.precision != catalogue.models[model.source].precision else "auto",
        max_sequences=min(limit, model.max_sequences) if "max_sequences" in model.model_fields_set else limit,
        batched_tokens=candidate.batched_tokens,
        replicas=there.replicas,
        spot_replicas=there.spot_replicas,
        nodes=there.nodes,
        owned_nodes=there.owned_nodes,
        requests_per_second=round(candidate.requests_per_second, 3),
        asked_requests_per_second=round(prepared.loads[name].workload.requests_per_second, 4),
        busy=round(choice.load / choice.replicas, 4),
        ttft_ms=round(candidate.ttft_ms, 1),
        tpot_ms=round(candidate.tpot_ms, 1),
        certainty=candidate.certainty,
        usd_per_month=round(usd_per_month(there.usd_per_hour), 2),
        usd_per_hour=instance.usd_per_hour,
        price_source=instance.price_source,
        price_date=instance.price_date,
        chosen=in_words(candidate, instance, there),
        binding=binding(name, model, prepared, result),
        runner_up=runner_up(name, prepared, result, catalogue),
        rejected=rejected(prepared.choices[name], instance, catalogue),
        on_cpus=on_cpus(model, prepared.loads[name].workload, catalogue),
    )
