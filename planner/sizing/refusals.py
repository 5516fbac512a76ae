"""No plan: which demands conflict, and the cheapest change of each that would resolve it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

from planner.allocation import (
    Allocation,
    Infeasible,
    allocate_apart,
    describe_constraint,
    describe_relaxation,
    solve,
)
from planner.catalogue import Catalogue, usd_per_month
from planner.choice import Choice, Rejected
from planner.faults import Fault, UserFault
from planner.lengths import Lengths as Distribution
from planner.settings import Model, StackSettings
from planner.sizing.build import Prepared, choice_of, prepare
from planner.sizing.expected import expected_loads

__all__ = ["refuse_conflicts", "refuse_model"]

_STEPS = (1.1, 1.25, 1.5, 2, 3, 5, 10)
"""Times the promised latency; the least that helps is named."""
_FAR_STEPS = (30, 100, 300, 1000)
"""For both latencies together, where nothing else helps."""
_GAP = 0.01
"""A way out is a suggestion: its cost within a hundredth is enough."""
_SHOWN_REASONS = 3
_SHOWN_TYPES = 4


def refuse_model(
    name: str, settings: StackSettings, catalogue: Catalogue, *, where: str, folder: Path
) -> UserFault:
    """The fault of a model that no instance type can serve as asked."""
    model = settings.models[name]

    def looked_at(stack: StackSettings) -> Choice:
        load = expected_loads(stack, folder=folder, where=where)[name]
        return choice_of(name, stack.models[name], load, catalogue, where=where)

    choice = looked_at(settings)
    if choice.candidates:
        return _nothing_to_be_had(name, model, choice, settings, where=where)
    shown = "; ".join(_largest(choice, catalogue))

    def helps(changed: StackSettings) -> str | None:
        found = looked_at(changed).candidates
        priced = [c.usd_per_hour for c in found if c.usd_per_hour is not None]
        return f"from {usd_per_month(min(priced)):,.0f} USD/month for a replica" if priced else None

    return UserFault(
        Fault(
            what=f"no instance type serves {model.source} as asked ({shown})",
            where=f"{where}: models.{name}",
            nearest=_either(_ways_out(name, settings, catalogue, helps)),
            fix="change the promise, the context or the precision, or state the hardware yourself",
        )
    )


def refuse_conflicts(
    prepared: Prepared, result: Infeasible, settings: StackSettings, catalogue: Catalogue, *, where: str, folder: Path
) -> UserFault:
    """One fault per set of constraints that cannot all hold."""
    explained = solve(prepared.problem) if not result.conflicts else result
    conflicts = explained.conflicts if isinstance(explained, Infeasible) else ()
    if not conflicts:
        return UserFault(
            Fault(
                what=f"the solver {result.solver} found no plan, which does not prove that there is none",
                where=f"{where}: models", fix="set sizing: {solver: highs}, or loosen the budget",
            )
        )

    def helps(changed: StackSettings) -> str | None:
        same = {n: c for n, c in prepared.choices.items() if changed.models[n] is settings.models[n]}
        try:
            again = prepare(changed, catalogue, where=where, folder=folder, known=same)
            found = allocate_apart(again.problem, relative_gap=_GAP)
        except ValueError:
            return None
        return f"{usd_per_month(found.usd_per_hour):,.0f} USD/month" if isinstance(found, Allocation) else None

    named = {relaxation.constraint.name for conflict in conflicts for relaxation in conflict.relaxations}
    others = [
        way
        for name, model in sorted(settings.models.items())
        if model.hardware == "auto" and (name in named or len(settings.models) == 1)
        for way in _ways_out(name, settings, catalogue, helps)
    ]
    faults = []
    for conflict in conflicts:
        names = " and ".join(describe_constraint(item.constraint) for item in conflict.relaxations)
        changes = [describe_relaxation(item) for item in conflict.relaxations if item.needed is not None]
        together = " together" if len(conflict.relaxations) > 1 else ""
        faults.append(
            Fault(
                what=f"no plan satisfies {names}{together}", where=f"{where}: models",
                nearest=_either([*changes, *others]), fix="make one of these changes, and size again",
            )
        )
    return UserFault(faults)


def _largest(choice: Choice, catalogue: Catalogue) -> list[str]:
    """Of each constraint the reason of the machine with most GPU memory: what fails there fails everywhere."""

    def memory(item: Rejected) -> float:
        instance = catalogue.instances[item.option.split(" ")[0]]
        return catalogue.gpus[instance.gpu].memory_gib * instance.gpus if instance.gpu else 0.0

    reasons: dict[str, str] = {}
    for item in sorted(choice.rejected, key=memory, reverse=True):
        if item.constraint != "instance type":
            reasons.setdefault(item.constraint, f"{item.option}: {item.reason}")
    return list(reasons.values())[:_SHOWN_REASONS]


def _nothing_to_be_had(
    name: str, model: Model, choice: Choice, settings: StackSettings, *, where: str
) -> UserFault:
    """Options exist, but none that can be rented at a known price or is owned."""
    # In the order of the table: the best value first.
    usable = list(dict.fromkeys(candidate.instance_type for candidate in choice.candidates))
    shown = ", ".join(usable[:_SHOWN_TYPES]) + (" and others" if len(usable) > _SHOWN_TYPES else "")
    what = f"{model.source} can be served by {shown}, none of which has a known price"
    fix = "add a price to catalog: {instances: [...]}, or loosen the promise"
    if settings.gpu_pool.kind == "existing":
        what = f"{model.source} can be served by {shown}, and the existing pool has none of these"
        fix = "add such nodes to gpu_pool.owned, loosen the promise, or set kind: karpenter"
    return UserFault(Fault(what=what, where=f"{where}: models.{name}", fix=fix))


def _mean_tokens(model: Model) -> float:
    """Mean length of a whole request; infinite where a history has it, so that no shorter context is proposed."""
    traffic = model.traffic
    if traffic is None or traffic.input_tokens is None or traffic.output_tokens is None:
        return math.inf
    return sum(
        n if isinstance(n, int) else n.mean or Distribution.from_quantiles(n.quantiles).mean()
        for n in (traffic.input_tokens, traffic.output_tokens)
    )


def _either(ways: list[str]) -> str:
    return f"any one of: {'; '.join(ways)}" if ways else ""


def _ways_out(
    name: str, settings: StackSettings, catalogue: Catalogue, helps: Callable[[StackSettings], str | None]
) -> list[str]:
    """Changes of one model that help, each alone, with what it costs then; or both latencies, where none does alone."""

    def costed(variant: tuple[str, Model]) -> str | None:
        words, model = variant
        cost = helps(settings.model_copy(update={"models": {**settings.models, name: model}}))
        return f"{words} ({cost})" if cost else None

    def climbed(variants: list[tuple[str, Model]]) -> str | None:
        # A larger step never helps less, so most models are done after one look at the largest.
        least, most = 0, len(variants) - 1
        found = costed(variants[most])
        while found and least < most:
            middle = (least + most) // 2
            other = costed(variants[middle])
            found, least, most = (other, least, middle) if other else (found, middle + 1, most)
        return found

    ways = [way for variants in _variants(name, settings.models[name], catalogue) if (way := climbed(variants))]
    if ways:
        return ways
    both = [_looser(name, settings.models[name], ("ttft_ms", "tpot_ms"), step) for step in (*_STEPS, *_FAR_STEPS)]
    return [way] if (way := climbed(both)) else []


def _looser(name: str, model: Model, keys: tuple[str, ...], step: float) -> tuple[str, Model]:
    """Promised latencies times a step, rounded up."""
    before = {key: getattr(model.slo, key) for key in keys}
    after = {key: math.ceil(value * step) for key, value in before.items()}
    words = " with ".join(f"models.{name}.slo.{key} {before[key]} -> {after[key]}" for key in keys)
    return words, model.model_copy(update={"slo": model.slo.model_copy(update=after)})


def _variants(name: str, model: Model, catalogue: Catalogue) -> Iterator[list[tuple[str, Model]]]:
    """Ladders of changes, each from the least to the largest step."""
    published = catalogue.models[model.source].precision
    if published == "bf16" and "fp8" not in model.quality_steps and model.quantization == "auto":
        yield [(f"models.{name}.quality_steps: [fp8]", model.model_copy(update={"quality_steps": ("fp8",)}))]
    for key in ("ttft_ms", "tpot_ms"):
        yield [_looser(name, model, (key,), step) for step in _STEPS]
    shorter = model.context_tokens // 2
    if shorter >= 2 * _mean_tokens(model):
        words = f"models.{name}.context_tokens {model.context_tokens} -> {shorter}"
        yield [(words, model.model_copy(update={"context_tokens": shorter}))]
