"""Settings and catalogue as one problem for the allocation: what each model may run on, and what caps them together.

Rented nodes are counted per model, exactly as the plan's cost and the policies' budgets count them: where Karpenter
packs two models on one node, the bill is lower than stated here. Nodes that exist already are shared by all models, and
nodes without a GPU by all pods that need none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.allocation import Option, Problem, Workload
from planner.allocation import Spread as Apart
from planner.catalogue import Catalogue, InstanceType
from planner.choice import Candidate, Choice, Constraints, candidates
from planner.faults import Fault, UserFault, nearest
from planner.gpu_sharing import cards_for
from planner.nodes import pod_share
from planner.settings import Hardware, Model, StackSettings
from planner.sizing.cpu_side import CpuSide, cpu_side
from planner.sizing.expected import Expected, expected_loads, scaled
from planner.sizing.inputs import replica_bounds
from planner.sizing.limits import caps_of, pool_faults, spot_rule
from planner.sizing.pools import PoolBook
from planner.workload import Slo as Promise

__all__ = ["Prepared", "choice_of", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The problem, and what its names stand for.

    Attributes:
        problem: one workload per model on GPU nodes, and the pods of applications where their nodes are rented.
        choices: per model with ``hardware: auto`` every option looked at.
        usable: the same as (model, option) -> candidate, those that can be had only.
        loads: the same models -> what is expected of them.
        book: what the names of the pools stand for.
        side: the pods without a GPU, and their nodes.
        priced: whether every stated instance type has a price.
    """

    problem: Problem
    choices: Mapping[str, Choice]
    usable: Mapping[tuple[str, str], Candidate]
    loads: Mapping[str, Expected]
    book: PoolBook
    side: CpuSide
    priced: bool


def prepare(
    settings: StackSettings,
    catalogue: Catalogue,
    *,
    where: str,
    folder: Path = Path(),
    known: Mapping[str, Choice] | None = None,
    times: float = 1.0,
) -> Prepared:
    """The problem of a stack.

    Args:
        settings: the checked stack file.
        catalogue: facts.
        where: the stack file's name, for messages.
        folder: of the stack file, which request histories are relative to.
        known: choices that were made before.
        times: factor on every load.

    Raises:
        ValueError: with the name of a model that has no option, which `planner.sizing.refusals` turns into a fault.
        UserFault: owned nodes or quotas of types that do not exist; a history that cannot be read.
    """
    faults = pool_faults(settings.gpu_pool, catalogue, where=where)
    if faults:
        raise UserFault(faults)
    loads = scaled(expected_loads(settings, folder=folder, where=where), times)
    choices: dict[str, Choice] = {}
    usable: dict[tuple[str, str], Candidate] = {}
    book = PoolBook(settings.gpu_pool)
    workloads: list[Workload] = []
    priced = True
    for name, model in sorted(settings.models.items()):
        if model.hardware == "auto":
            choices[name] = (known or {}).get(name) or choice_of(name, model, loads[name], catalogue, where=where)
            found = {
                candidate.name: candidate
                for candidate in choices[name].candidates
                if book.add(name, catalogue.instances[candidate.instance_type])
            }
            if not found:
                raise ValueError(name)
            usable |= {(name, key): candidate for key, candidate in found.items()}
            workloads.append(_workload(name, model, loads[name], found, book, catalogue, settings))
        elif isinstance(model.hardware, Hardware):
            instance = catalogue.instance(model.hardware.instance_type, where=f"{where}: models.{name}.hardware")
            priced = priced and instance.usd_per_hour is not None
            book.add(name, instance, stated=True)
            workloads.append(_fixed(name, model, model.hardware, instance, book, settings, catalogue))
    side = cpu_side(settings, catalogue, book, where=where)
    pools = tuple(pool for pool in book.pools() if pool.gpus or side.counted)
    problem = Problem(
        pools=pools,
        workloads=tuple(workloads),
        applications=side.problem.applications if side.counted else (),
        caps=tuple(caps_of(settings, pools)),
        objective="owned" if settings.sizing.objective == "utilisation" else "cost",
    )
    return Prepared(problem=problem, choices=choices, usable=usable, loads=loads, book=book, side=side, priced=priced)


def choice_of(name: str, model: Model, load: Expected, catalogue: Catalogue, *, where: str) -> Choice:
    """Every way to serve the model."""
    spec = catalogue.models.get(model.source)
    if spec is None:
        raise UserFault(_unknown(name, model.source, catalogue, where=where))
    wants_fp8 = model.quantization == "fp8" and spec.precision != "fp8"
    steps = ("fp8",) if wants_fp8 else () if model.quantization == "none" else model.quality_steps
    asked = Constraints(context_tokens=model.context_tokens, quality_steps=steps)
    promise = Promise(ttft_ms=model.slo.ttft_ms, tpot_ms=model.slo.tpot_ms)
    found = candidates(spec, load.workload, promise, catalogue, asked)
    if not wants_fp8:
        return found
    return Choice(
        candidates=tuple(c for c in found.candidates if c.precision == "fp8"),
        rejected=tuple(r for r in found.rejected if " bf16 " not in f"{r.option} "),
    )


def _unknown(name: str, source: str, catalogue: Catalogue, *, where: str) -> Fault:
    hint = nearest(source, catalogue.models)
    return Fault(
        what=f"model `{source}` is not in the catalogue, so its memory and speed are not known",
        where=f"{where}: models.{name}.source", nearest=hint if hint.startswith("did you mean") else "",
        fix="name its config.json as a file (config: ./config.json), or add a row to catalog: {models: [...]}",
    )


def _workload(
    name: str,
    model: Model,
    load: Expected,
    found: Mapping[str, Candidate],
    book: PoolBook,
    catalogue: Catalogue,
    settings: StackSettings,
) -> Workload:
    least, most = replica_bounds(model)
    return Workload(
        name=name,
        options=tuple(
            _option(key, catalogue.instances[candidate.instance_type], candidate.gpus, book.names(name, candidate),
                    rates=candidate.bucket_requests_per_second)
            for key, candidate in sorted(found.items())
        ),
        demand=tuple(load.workload.requests_per_second * bucket.share for bucket in load.workload.buckets),
        min_replicas=least,
        max_replicas=most,
        # One Deployment has one pod template, so all replicas of a model are alike.
        max_options=1,
        spread=_apart(model),
        spot=spot_rule(settings.gpu_pool),
    )  # fmt: skip


def _fixed(
    name: str,
    model: Model,
    hardware: Hardware,
    instance: InstanceType,
    book: PoolBook,
    settings: StackSettings,
    catalogue: Catalogue,
) -> Workload:
    # Parts of GPUs are counted as the cards that they fill.
    shared = hardware.sharing is not None
    count = cards_for(model.maximum_replicas, hardware, instance, catalogue) if shared else model.maximum_replicas
    option = _option(instance.name, instance, hardware.gpus, book.names(name, hardware))
    return Workload(
        name=name, options=(option,), min_replicas=count, max_replicas=count, spread=_apart(model),
        spot=spot_rule(settings.gpu_pool),
    )


def _option(
    name: str, instance: InstanceType, gpus: int, pools: tuple[str, ...], *, rates: tuple[float, ...] = ()
) -> Option:
    vcpu, memory = pod_share(instance, gpus)
    return Option(
        name=name, requests_per_second=rates, gpu_type=instance.gpu, gpus=gpus, vcpu=vcpu, memory_gib=memory,
        pools=pools,
    )


def _apart(model: Model) -> Apart:
    return Apart(max_per_node=1 if model.spread.one_per_node else None, min_zones=model.spread.zones)
