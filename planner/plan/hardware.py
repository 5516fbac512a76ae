"""Stated hardware: whether it can be had, and what stands beside it in the catalogue."""

from __future__ import annotations

from planner.catalogue import Catalogue, InstanceType
from planner.faults import Fault, nearest
from planner.gpu_sharing import resource_of, sharing_faults
from planner.plan.parts import stated
from planner.plan.types import Decision, Rejected
from planner.settings import Hardware, StackSettings
from planner.sizing import SizedApplications, SizedModel, Sizing

__all__ = ["decide_hardware", "hardware_faults"]

_SHOWN_REJECTED = 5


def hardware_faults(settings: StackSettings, *, catalogue: Catalogue, where: str) -> list[Fault]:
    """One fault for each model whose hardware is unknown, has no usable GPU or too few of them."""
    faults = []
    for name, model in sorted(settings.models.items()):
        hardware = stated(model)
        for kind in hardware.instance_types if hardware else ():
            wanted = Hardware(instance_type=kind, gpus=hardware.gpus)
            faults += _faults_of(wanted, catalogue, where=f"{where}: models.{name}.hardware")
        if hardware and hardware.sharing:
            faults += sharing_faults(model, hardware, catalogue=catalogue, where=f"{where}: models.{name}")
    return faults


def _faults_of(hardware: Hardware, catalogue: Catalogue, *, where: str) -> list[Fault]:
    instance = catalogue.instances.get(hardware.instance_type)
    usable = [kind.name for kind in catalogue.instances.values() if kind.supported and kind.gpus]
    if instance is None:
        what, hint = f"instance type `{hardware.instance_type}` is not in the catalogue", _near(hardware, usable)
    elif not instance.supported:
        what, hint = f"`{instance.name}` cannot be used: {instance.unsupported_reason}", _near(hardware, usable)
    elif not instance.gpus:
        what, hint = f"`{instance.name}` has no GPU, and vLLM is run on GPUs", _near(hardware, usable)
    elif hardware.gpus > instance.gpus:
        larger = _cheapest(catalogue, instance.gpu, at_least=hardware.gpus)
        what = f"{hardware.gpus} GPUs are asked of `{instance.name}`, which has {instance.gpus}"
        hint = f"nearest with {hardware.gpus} or more of the same GPU: {larger}" if larger else ""
    else:
        return []
    return [Fault(what=what, where=where, nearest=hint, fix="name an instance type that has the GPUs")]


def _near(hardware: Hardware, usable: list[str]) -> str:
    """The usable type with the closest name; with none close, the first few, since the whole list fills a screen."""
    hint = nearest(hardware.instance_type, usable)
    return hint if hint.startswith("did you mean") else f"for example: {', '.join(sorted(usable)[:6])}"


def _cheapest(catalogue: Catalogue, gpu: str | None, *, at_least: int) -> str:
    fitting = [
        kind for kind in catalogue.instances.values() if kind.supported and kind.gpu == gpu and kind.gpus >= at_least
    ]
    return min(fitting, key=_by_price).name if fitting else ""


def _by_price(instance: InstanceType) -> tuple[float, str]:
    return (instance.usd_per_hour if instance.usd_per_hour is not None else float("inf"), instance.name)


def decide_hardware(
    settings: StackSettings, *, catalogue: Catalogue, sizing: Sizing | None = None
) -> tuple[Decision, ...]:
    """Per model on GPUs: what was sized, with sizing's reasons; or what is stated, the cheapest other type that offers
    as much, and what is cheaper but less."""
    sized = sizing.models if sizing else {}
    decisions = tuple(
        _sized(name, sized[name]) if name in sized else _decide(name, hardware, catalogue)
        for name, model in sorted(settings.models.items())
        if (hardware := stated(model))
    )
    return (*decisions, _of_applications(sizing.applications)) if sizing and sizing.applications else decisions


def _of_applications(sized: SizedApplications) -> Decision:
    return Decision(
        subject="applications.nodes",
        chosen=sized.chosen if sized.counted else f"{sized.chosen} (the cluster's, not in the total)",
        binding=sized.binding,
        runner_up=sized.runner_up,
        rejected=tuple(Rejected(option=item.option, reason=item.reason) for item in sized.rejected),
        price_source=sized.price_source,
        price_date=sized.price_date,
    )


def _sized(name: str, sized: SizedModel) -> Decision:
    spare = f"; {', '.join(sized.fallbacks)} may stand in" if sized.fallbacks else ""
    return Decision(
        subject=f"models.{name}.hardware",
        chosen=f"{sized.chosen}{spare}",
        binding=sized.binding,
        runner_up=sized.runner_up,
        rejected=tuple(Rejected(option=item.option, reason=item.reason) for item in sized.rejected),
        price_source=sized.price_source,
        price_date=sized.price_date,
    )


def _decide(name: str, hardware: Hardware, catalogue: Catalogue) -> Decision:
    chosen = catalogue.instances[hardware.instance_type]
    if hardware.sharing:
        # What stands beside a part of a node that exists cannot be read off a catalogue of whole ones.
        return Decision(
            subject=f"models.{name}.hardware", chosen=f"{resource_of(hardware)} of {chosen.gpu} on {chosen.name}",
            binding="stated in the stack file", runner_up="", rejected=(), price_source="", price_date="",
        )
    memory = _gpu_memory_gib(chosen, catalogue)
    priced = [kind for kind in catalogue.instances.values() if kind.supported and kind.gpus and kind.usd_per_hour]
    others = sorted((kind for kind in priced if kind.name != chosen.name), key=_by_price)
    enough = [k for k in others if k.gpus >= hardware.gpus and _gpu_memory_gib(k, catalogue) >= memory]
    cheaper = [k for k in others if k not in enough and _by_price(k) < _by_price(chosen)]
    return Decision(
        subject=f"models.{name}.hardware",
        chosen=f"{hardware.gpus} x {chosen.gpu} on {chosen.name}, {_price(chosen)}",
        binding="stated in the stack file",
        runner_up=f"{enough[0].name} ({enough[0].gpu}), {_price(enough[0])}" if enough else "",
        rejected=tuple(
            Rejected(option=f"{kind.name}, {_price(kind)}", reason=_why_not(kind, hardware, memory, catalogue))
            for kind in cheaper[-_SHOWN_REJECTED:]
        ),
        price_source=chosen.price_source,
        price_date=chosen.price_date,
    )


def _gpu_memory_gib(instance: InstanceType, catalogue: Catalogue) -> float:
    return catalogue.gpus[instance.gpu].memory_gib if instance.gpu else 0.0


def _price(instance: InstanceType) -> str:
    return "price unknown" if instance.usd_per_hour is None else f"{instance.usd_per_hour:.4f} USD/h"


def _why_not(instance: InstanceType, hardware: Hardware, memory_gib: float, catalogue: Catalogue) -> str:
    if instance.gpus < hardware.gpus:
        return f"has {instance.gpus} of the {hardware.gpus} GPUs"
    return f"{instance.gpu} has {_gpu_memory_gib(instance, catalogue):.1f} of {memory_gib:.1f} GiB usable GPU memory"
