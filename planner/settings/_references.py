"""Faults between parts of a stack file, read from the raw file so that they stand in one report with the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from planner.faults import Fault, nearest
from planner.settings._aws_references import aws_faults
from planner.settings._raw import map_at
from planner.settings._scaling_references import scaling_faults

__all__ = ["reference_faults"]


def reference_faults(raw: Mapping[str, Any], *, where: str) -> list[Fault]:
    """Every fault that concerns two keys at once. Values of a wrong type are skipped: their own fault is reported."""
    return [fault for check in _CHECKS for fault in check(raw, where)]


def _target(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    target = raw.get("target")
    if target == "kubernetes" and not raw.get("context"):
        yield Fault(
            what="target kubernetes needs `context`; the current context of a kubeconfig can change under a stack",
            where=f"{where}: context", fix="add context: <name>; `kubectl config get-contexts` lists the names",
        )
    if target == "local" and raw.get("context"):
        yield Fault(
            what="target local brings its own cluster and takes no context", where=f"{where}: context",
            fix="remove context, or set target: kubernetes",
        )
    if target in ("kubernetes", "aws") and not raw.get("environment"):
        yield Fault(
            what=f"target {target} needs `environment`; which policies hold must be said",
            where=f"{where}: environment",
            fix="add environment: dev, staging or prod",
        )


def _applications(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    if "applications" not in raw and raw.get("cluster") is None:
        yield Fault(
            what="`applications` is missing", where=f"{where}: applications", fix="add the key `applications`",
        )


def _models(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    models = map_at(raw, "models")
    for name, application in map_at(raw, "applications").items():
        model = application.get("model") if isinstance(application, Mapping) else None
        if not isinstance(model, str):
            continue
        key, _, adapter = model.partition("/")
        if key not in models:
            yield Fault(
                what=f"model `{key}` is not defined under models", where=f"{where}: applications.{name}.model",
                nearest=nearest(key, [str(key) for key in models]) or "models is empty",
                fix="name a key of models, or define the model there",
            )
            continue
        adapters = map_at(models[key], "adapters") if isinstance(models[key], Mapping) else {}
        if adapter and adapter not in adapters:
            yield Fault(
                what=f"model `{key}` has no adapter `{adapter}`", where=f"{where}: applications.{name}.model",
                nearest=nearest(adapter, [str(key) for key in adapters]) or f"models.{key}.adapters is empty",
                fix=f"name a key of models.{key}.adapters, or {key} alone for the model itself",
            )


def _gpu_pool(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    pool, models = map_at(raw, "gpu_pool"), map_at(raw, "models")
    on_gpus = [n for n, m in models.items() if isinstance(m, Mapping) and m.get("engine", "vllm") == "vllm"]
    kind = pool.get("kind", "karpenter")
    if raw.get("target") == "kubernetes" and on_gpus and kind == "karpenter" and not pool.get("node_class"):
        yield Fault(
            what=f"models on GPUs ({', '.join(map(str, on_gpus))}) need nodes, and gpu_pool names none of this cluster",
            where=f"{where}: gpu_pool",
            nearest="nodes that exist already: {kind: existing, selector: {nvidia.com/gpu.present: 'true'}}",
            fix="name the selector of existing nodes, or Karpenter's node_class: {group, kind, name}",
        )
    if raw.get("target") in ("local", "kubernetes") and kind in ("managed-node-group", "auto-mode"):
        yield Fault(
            what=f"{kind} is a thing of AWS; target {raw['target']} has none",
            where=f"{where}: gpu_pool.kind", nearest="allowed here: karpenter, existing",
            fix="set kind: karpenter or kind: existing",
        )


def _shared(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """Karpenter makes a node for what its instance type is known to have, and parts of GPUs exist on none of them."""
    if map_at(raw, "gpu_pool").get("kind") == "existing":
        return
    for name, model in map_at(raw, "models").items():
        hardware = model.get("hardware") if isinstance(model, Mapping) else None
        if isinstance(hardware, Mapping) and hardware.get("sharing"):
            yield Fault(
                what="parts of GPUs exist on nodes that somebody divided; no node is made for a pod that asks for one",
                where=f"{where}: models.{name}.hardware.sharing",
                nearest="nodes that exist: gpu_pool: {kind: existing, selector: {nvidia.com/mig.config: all-1g.10gb}}",
                fix="set gpu_pool.kind to existing with a selector of the divided nodes, or remove sharing",
            )


def _handed_on(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    for name, model in map_at(raw, "models").items():
        serving = model.get("serving") if isinstance(model, Mapping) else None
        if raw.get("target") == "local" and serving in ("kserve", "llm-d"):
            yield Fault(
                what=f"the embedded cluster has no {serving}", where=f"{where}: models.{name}.serving",
                nearest="allowed on target local: deployment", fix="set serving: deployment in this stack",
            )


def _auto(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    pool = map_at(raw, "gpu_pool")
    auto = [n for n, m in map_at(raw, "models").items() if isinstance(m, Mapping) and m.get("hardware") == "auto"]
    if auto and pool.get("kind") == "existing" and not pool.get("owned"):
        yield Fault(
            what=f"hardware auto ({', '.join(map(str, auto))}) needs to know the nodes of the existing pool",
            where=f"{where}: gpu_pool.owned",
            fix="state how many nodes of which type it has, e.g. owned: {g6.12xlarge: 2}, or set kind: karpenter",
        )
    for name, model in map_at(raw, "models").items():
        spread = model.get("spread") if isinstance(model, Mapping) else None
        zones = spread.get("zones") if isinstance(spread, Mapping) else None
        offered = pool.get("zones")
        count = len(offered) if isinstance(offered, Sequence) and not isinstance(offered, str) else 0
        if isinstance(zones, int) and zones > max(1, count):
            yield Fault(
                what=f"replicas in {zones} zones need as many zones, and gpu_pool.zones names {count or 'none'}",
                where=f"{where}: models.{name}.spread.zones",
                fix="name them, e.g. gpu_pool: {zones: [us-east-1a, us-east-1b]}, or ask for fewer",
            )


def _names(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    for name in sorted(set(map_at(raw, "applications")) & set(map_at(raw, "models"))):
        yield Fault(
            what=f"`{name}` names an application and a model; both make a Service of that name",
            where=f"{where}: models.{name}", fix="rename one of them",
        )
    taken = {*map_at(raw, "applications"), *map_at(raw, "models")}
    for name, application in map_at(raw, "applications").items():
        if isinstance(application, Mapping) and application.get("canary") is not None and f"{name}-canary" in taken:
            yield Fault(
                what=f"`{name}-canary` is what the Deployment of the canary of `{name}` is called",
                where=f"{where}: applications.{name}.canary", fix=f"rename `{name}-canary`",
            )
    if isinstance(map_at(raw, "gpu_pool").get("spot"), Mapping):
        for name in sorted(f"{name}-spot" for name in map_at(raw, "models")):
            if name in taken:
                yield Fault(
                    what=f"`{name}` is what the Deployment of interruptible replicas of `{name[:-5]}` is called",
                    where=f"{where}: gpu_pool.spot", fix=f"rename `{name}`",
                )


def _registry(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    if raw.get("target") not in ("kubernetes",) or raw.get("registry"):
        return
    for name, application in map_at(raw, "applications").items():
        image = application.get("image") if isinstance(application, Mapping) else None
        if isinstance(image, Mapping) and image.get("build"):
            yield Fault(
                what="an image is built, and no registry is named that the cluster could pull it from",
                where=f"{where}: applications.{name}.image",
                fix="add registry: {server: <host/path>}, or use image.ref",
            )


def _builds(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """What Docker's own BuildKit would leave out without a word: its image store holds neither attestations nor an
    exported cache (unless it is containerd's, which cannot be known before)."""
    builds = map_at(raw, "builds")
    builder = builds.get("builder") or ("engine" if raw.get("target") == "local" else "container")
    wanted = {"sbom": builds.get("sbom") is True, "provenance": builds.get("provenance") in ("min", "max"),
              "cache registry": builds.get("cache") == "registry"}  # fmt: skip
    names = [name for name, asked in wanted.items() if asked]
    if builder == "engine" and names:
        yield Fault(
            what=f"the Docker engine's own builder cannot do {', '.join(names)}",
            where=f"{where}: builds.builder", nearest="builders that can: container, remote",
            fix="set builder: container, or remote with the address of a buildkitd",
        )


def _endpoints(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    for name, application in map_at(raw, "applications").items():
        endpoint = application.get("endpoint") if isinstance(application, Mapping) else None
        if raw.get("target") == "aws" and isinstance(endpoint, Mapping) and endpoint.get("create") is False:
            yield Fault(
                what="target aws makes the load balancer of an endpoint with its Service, and cannot use another's",
                where=f"{where}: applications.{name}.endpoint.create",
                nearest="a Service that exists: target: kubernetes with the cluster's context",
                fix="remove create: false",
            )


_Check = Callable[[Mapping[str, Any], str], Iterator[Fault]]
_CHECKS: tuple[_Check, ...] = (
    _target, _applications, _models, _gpu_pool, _shared, _handed_on, _auto, scaling_faults, _names,
    _registry, _builds, _endpoints, aws_faults,
)  # fmt: skip
