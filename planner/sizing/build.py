"""Settings and catalogue as one problem for the allocation: what each model may run on, and what caps them together.

Every model has pools of its own, so each is counted on nodes of its own, exactly as the plan's cost and the policies'
budgets count it. Where Karpenter packs two models on one node, the bill is lower than what is stated here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from planner.allocation import HOURS_PER_MONTH, Cap, Option, Pool, Problem, Workload
from planner.catalogue import Catalogue, InstanceType
from planner.choice import Candidate, Choice, Constraints, candidates
from planner.faults import Fault, UserFault, nearest
from planner.settings import Hardware, Model, StackSettings, memory_gib
from planner.sizing.inputs import replica_bounds
from planner.workload import Slo as Promise
from planner.workload import Workload as Load

__all__ = ["Prepared", "choice_of", "prepare"]

# What the plan lets pods request of a node, and what it gives a server on CPUs.
_NODE_SHARE, _CPU_SERVER_GIB = 0.75, 0.5


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The problem, and what its names stand for.

    Attributes:
        problem: one workload per model on rented nodes.
        choices: per model with ``hardware: auto`` every option looked at.
        usable: the same as (model, option) -> candidate, those with a known price only.
        priced: whether every stated instance type has a price.
    """

    problem: Problem
    choices: Mapping[str, Choice]
    usable: Mapping[tuple[str, str], Candidate]
    priced: bool


def prepare(
    settings: StackSettings, catalogue: Catalogue, *, where: str, known: Mapping[str, Choice] | None = None
) -> Prepared:
    """The problem of a stack; ``known`` holds choices that were made before. Raises ValueError with the name of a model
    that has no option, which `planner.sizing.refusals` turns into a fault."""
    choices: dict[str, Choice] = {}
    usable: dict[tuple[str, str], Candidate] = {}
    pools: dict[str, Pool] = {}
    workloads: list[Workload] = []
    priced = True
    for name, model in sorted(settings.models.items()):
        if model.hardware == "auto":
            choices[name] = (known or {}).get(name) or choice_of(name, model, catalogue, where=where)
            found = {c.name: c for c in choices[name].candidates if c.usd_per_hour is not None}
            if not found:
                raise ValueError(name)
            usable |= {(name, key): candidate for key, candidate in found.items()}
            for kind in sorted({candidate.instance_type for candidate in found.values()}):
                pools[f"{name} {kind}"] = _pool(name, catalogue.instances[kind])
            workloads.append(_workload(name, model, found))
        elif isinstance(model.hardware, Hardware):
            instance = catalogue.instance(model.hardware.instance_type, where=f"{where}: models.{name}.hardware")
            priced = priced and instance.usd_per_hour is not None
            pools[f"{name} {instance.name}"] = _pool(name, instance)
            workloads.append(_fixed(name, model, model.hardware, instance))
    problem = Problem(pools=tuple(pools.values()), workloads=tuple(workloads), caps=tuple(_caps(settings)))
    return Prepared(problem=problem, choices=choices, usable=usable, priced=priced)


def choice_of(name: str, model: Model, catalogue: Catalogue, *, where: str) -> Choice:
    """Every way to serve the model. Pipeline stages would need a replica of several pods, which is not deployed."""
    spec = catalogue.models.get(model.source)
    if spec is None:
        raise UserFault(_unknown(name, model.source, catalogue, where=where))
    wants_fp8 = model.quantization == "fp8" and spec.precision != "fp8"
    steps = ("fp8",) if wants_fp8 else () if model.quantization == "none" else model.quality_steps
    asked = Constraints(context_tokens=model.context_tokens, quality_steps=steps)
    promise = Promise(ttft_ms=model.slo.ttft_ms, tpot_ms=model.slo.tpot_ms)
    found = candidates(spec, _load(model), promise, catalogue, asked)
    if not wants_fp8:
        return found
    return Choice(
        candidates=tuple(c for c in found.candidates if c.precision == "fp8"),
        rejected=tuple(r for r in found.rejected if " bf16 " not in f"{r.option} "),
    )


def _load(model: Model) -> Load:
    traffic = model.traffic
    assert traffic is not None, "settings refuse auto without traffic"
    return Load.from_means(
        requests_per_second=traffic.requests_per_second,
        input_tokens=traffic.input_tokens,
        output_tokens=traffic.output_tokens,
        context_tokens=model.context_tokens,
    )


def _unknown(name: str, source: str, catalogue: Catalogue, *, where: str) -> Fault:
    hint = nearest(source, catalogue.models)
    return Fault(
        what=f"model `{source}` is not in the catalogue, so its memory and speed are not known",
        where=f"{where}: models.{name}.source", nearest=hint if hint.startswith("did you mean") else "",
        fix="add a row to catalog: {models: [...]} with the figures of its config.json, or state its hardware",
    )


def _workload(name: str, model: Model, found: Mapping[str, Candidate]) -> Workload:
    least, most = replica_bounds(model)
    load = _load(model)
    return Workload(
        name=name,
        options=tuple(
            Option(
                name=key,
                requests_per_second=candidate.bucket_requests_per_second,
                gpu_type=candidate.gpu,
                gpus=candidate.gpus,
                pools=(f"{name} {candidate.instance_type}",),
            )
            for key, candidate in sorted(found.items())
        ),
        demand=tuple(load.requests_per_second * bucket.share for bucket in load.buckets),
        min_replicas=least,
        max_replicas=most,
        # One Deployment has one pod template, so all replicas of a model are alike.
        max_options=1,
    )


def _fixed(name: str, model: Model, hardware: Hardware, instance: InstanceType) -> Workload:
    count = model.maximum_replicas
    option = Option(
        name=instance.name, gpu_type=instance.gpu, gpus=hardware.gpus, pools=(f"{name} {instance.name}",)
    )
    return Workload(name=name, options=(option,), min_replicas=count, max_replicas=count)


def _pool(model: str, instance: InstanceType) -> Pool:
    """Nodes of one type for one model. Pods fit by their GPUs; memory is what they request, for the budget's sake."""
    unpriced = instance.usd_per_hour is None
    return Pool(
        name=f"{model} {instance.name}",
        vcpu=instance.vcpu,
        memory_gib=instance.memory_gib * _NODE_SHARE,
        gpus=instance.gpus,
        gpu_type=instance.gpu,
        usd_per_hour=instance.usd_per_hour,
        # Stated hardware without a known price is counted in GPUs and memory; the total then prints as unknown.
        owned_nodes=1000 if unpriced else 0,
    )


def _caps(settings: StackSettings) -> Iterator[Cap]:
    budget = settings.budget
    if budget.usd_per_month is not None:
        yield Cap(name="budget.usd_per_month", unit="usd_per_hour", limit=budget.usd_per_month / HOURS_PER_MONTH)
    if budget.gpus is not None:
        yield Cap(name="budget.gpus", unit="gpus", limit=budget.gpus)
    if settings.gpu_pool.max_gpus is not None:
        yield Cap(name="gpu_pool.max_gpus", unit="gpus", limit=settings.gpu_pool.max_gpus)
    if budget.memory_gib is not None:
        rest = budget.memory_gib - sum(_other_memory_gib(settings))
        yield Cap(name="budget.memory_gib (less what runs on CPUs)", unit="memory_gib", limit=max(0.0, rest))


def _other_memory_gib(settings: StackSettings) -> Iterator[float]:
    for application in settings.applications.values():
        replicas = application.replicas
        count = replicas if isinstance(replicas, int) else replicas.max
        yield count * memory_gib(application.resources.memory)
    for model in settings.models.values():
        if model.hardware is None:
            yield model.maximum_replicas * _CPU_SERVER_GIB
