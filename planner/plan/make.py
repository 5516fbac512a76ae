"""Putting the plan together: each part is decided by its own module, in the order in which they depend."""

from __future__ import annotations

from pathlib import Path

from planner.catalogue import Catalogue, load
from planner.faults import UserFault
from planner.lock import Lock, Release
from planner.plan.applications import plan_applications
from planner.plan.aws_make import aws_faults, in_region, with_aws
from planner.plan.builds import plan_builds
from planner.plan.capacity import namespace_name, plan_gpu_pool, plan_namespace
from planner.plan.cost import application_costs, plan_costs, total_per_month
from planner.plan.hardware import decide_hardware, hardware_faults
from planner.plan.images import plan_images, promoted
from planner.plan.models import plan_models
from planner.plan.parts import plan_parts
from planner.plan.serving import plan_scrape
from planner.plan.types import Plan, RegistryPlan
from planner.plan.weights import weights_faults
from planner.settings import StackSettings
from planner.sizing import resolve, with_own_rows

__all__ = ["LOCAL_REGISTRY", "make_plan"]

# A fixed port keeps image references, and with them plans, equal on all machines; Docker trusts loopback without TLS.
LOCAL_REGISTRY = "127.0.0.1:5000"


def make_plan(
    settings: StackSettings,
    *,
    stack: str,
    lock: Lock | None = None,
    catalogue: Catalogue | None = None,
    stack_file: str = "",
    folder: Path = Path(),
) -> Plan:
    """Decide everything that can be decided without touching a cluster.

    Args:
        settings: the checked stack file.
        stack: the stack's name, e.g. ``dev``; names derive from it.
        lock: the stack's lock; an empty one by default.
        catalogue: instance types and models, under the stack file's own rows; the shipped one by default.
        stack_file: the file's name for messages; ``Pulumi.<stack>.yaml`` by default.
        folder: of the stack file, which the files it names are relative to; the working directory by default.

    Raises:
        UserFault: with every fault that shows only against the catalogue and the lock.
    """
    lock = lock or Lock()
    where = stack_file or f"Pulumi.{stack}.yaml"
    catalogue = with_own_rows(catalogue or load(), settings, where=where, folder=folder)
    catalogue = in_region(catalogue, settings)
    settings, sizing = resolve(
        settings, locked=lock.sizing, catalogue=catalogue, stack=stack, where=where, folder=folder
    )
    images, faults = plan_images(settings, lock=lock, where=where)
    parts = plan_parts(settings, sizing)
    pool, pool_faults = plan_gpu_pool(settings, stack=stack, catalogue=catalogue, parts=parts, where=where)
    from_lock = promoted(settings.applications)
    faults += hardware_faults(settings, catalogue=catalogue, where=where) + pool_faults
    faults += aws_faults(settings, catalogue=catalogue, where=where)
    faults += weights_faults(settings, lock=lock, from_lock=from_lock, folder=folder, where=where)
    if faults:
        raise UserFault(faults)
    applications = plan_applications(
        settings, images=images, namespace=namespace_name(settings, stack=stack), sizing=sizing,
        lock_file=f"locks/{stack}.json",
    )
    models = plan_models(
        settings, lock=lock, catalogue=catalogue, images=images, pool=pool, parts=parts, sizing=sizing,
        lock_file=f"locks/{stack}.json", folder=folder,
    )
    costs = plan_costs(models, pool=pool, catalogue=catalogue) + application_costs(sizing, catalogue=catalogue)
    plan = Plan(
        stack=stack,
        environment=settings.environment,
        target=settings.target,
        context=settings.context or "",
        namespace=plan_namespace(settings, stack=stack, applications=applications, models=models),
        registry=_registry(settings),
        builds=plan_builds(settings, stack=stack),
        images=tuple(sorted(set(images.values()), key=lambda image: image.name)),
        applications=applications,
        models=models,
        gpu_pool=pool,
        prometheus_url=settings.observability.prometheus_url or "",
        scrape=plan_scrape(settings),
        budget=settings.budget.model_dump(exclude_none=True),
        costs=costs,
        usd_per_month_min=total_per_month([cost.usd_per_month_min for cost in costs]),
        usd_per_month=total_per_month([cost.usd_per_month_max for cost in costs]),
        decisions=decide_hardware(settings, catalogue=catalogue, sizing=sizing),
        stack_file=where,
        released=from_lock,
        allow_replace=settings.allow_replace,
        adopt=settings.adopt,
        source_commit=lock.release.source_commit if from_lock else "",
        signatures=_signatures(lock.release) if from_lock else (),
    )
    return with_aws(plan, settings, catalogue=catalogue)


def _registry(settings: StackSettings) -> RegistryPlan:
    if settings.registry:
        return RegistryPlan(server=settings.registry.server, pull_secret=settings.registry.pull_secret or "")
    return RegistryPlan(server=LOCAL_REGISTRY if settings.target == "local" else "", pull_secret="")


def _signatures(release: Release) -> tuple[tuple[str, str], ...]:
    found = {(one.payload, one.signature) for signatures in release.signatures.values() for one in signatures}
    return tuple(sorted(found))
