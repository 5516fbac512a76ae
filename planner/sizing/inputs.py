"""What a sizing follows from, by path, so that a stale one can say in words what has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from planner.catalogue import Catalogue
from planner.faults import Fault, UserFault
from planner.settings import ApplicationReplicas, Model, ModelSpread, RequestHistory, StackSettings
from planner.settings._base import Settings

__all__ = ["CONSTANTS", "CONTENT", "INSTANCES", "histories", "replica_bounds", "sizing_hash", "sizing_inputs"]

INSTANCES, CONSTANTS, CONTENT = "catalogue.instances", "sizing constants", "content"
_METHOD = 3
"""Raised whenever the same inputs would give another choice."""
_DATA = Path(__file__).parent.parent / "data"
_SIZED_BY = (
    "source", "context_tokens", "max_sequences", "quantization", "quality_steps", "slo", "traffic", "autoscaling",
)  # fmt: skip


def replica_bounds(model: Model) -> tuple[int, int | None]:
    """Fewest and most replicas that may be sized: any number when ``replicas`` is not stated.

    Under an autoscaler the maximum is sized for, because budgets count it.
    """
    if "replicas" not in model.model_fields_set:
        return 1, None
    if isinstance(model.replicas, int):
        return model.replicas, model.replicas
    return (model.replicas.max if model.autoscaling == "keda" else model.replicas.min), model.replicas.max


def sizing_inputs(
    settings: StackSettings, catalogue: Catalogue, *, folder: Path = Path(), where: str = "stack file"
) -> dict[str, Any]:
    """Path -> value of every setting that sizing looks at, and digests of the facts, constants and files it uses.

    Args:
        settings: the checked stack file.
        catalogue: facts.
        folder: of the stack file, which request histories are relative to.
        where: the stack file's name, for messages.

    Raises:
        UserFault: a request history is not there.
    """
    inputs: dict[str, Any] = {"sizing.solver": settings.sizing.solver, "gpu_pool.max_gpus": settings.gpu_pool.max_gpus}
    inputs |= _unless_default("sizing", settings.sizing, ("objective", "applications"))
    inputs |= _unless_default("gpu_pool", settings.gpu_pool, ("kind", "spot", "owned", "quotas", "zones"))
    inputs |= {f"budget.{key}": value for key, value in settings.budget.model_dump().items()}
    for name, model in settings.models.items():
        inputs |= _flat(f"models.{name}", _of_model(model))
    for name, application in settings.applications.items():
        replicas = application.replicas
        inputs[f"applications.{name}.replicas"] = replicas if isinstance(replicas, int) else replicas.max
        inputs[f"applications.{name}.cpu"] = application.resources.cpu
        inputs[f"applications.{name}.memory"] = application.resources.memory
        if application.image.platforms:
            inputs[f"applications.{name}.platforms"] = ", ".join(sorted(application.image.platforms))
    for path, history in histories(settings).items():
        inputs |= _flat(path, history.model_dump(mode="json", exclude_defaults=True))
        inputs[f"{path}.{CONTENT}"] = _file_digest(folder / history.file, where=f"{where}: {path}.file")
    used = {model.source for model in settings.models.values()}
    inputs[INSTANCES] = _digest(catalogue.instances.values())
    inputs["catalogue.gpus"] = _digest(catalogue.gpus.values())
    inputs["catalogue.models"] = _digest(catalogue.models[name] for name in sorted(used & set(catalogue.models)))
    inputs[CONSTANTS] = _constants()
    return dict(sorted(inputs.items()))


def sizing_hash(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of the inputs."""
    return f"sha256:{hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()}"


def _of_model(model: Model) -> dict[str, Any]:
    least, most = replica_bounds(model)
    if model.hardware == "auto":
        stated = model.model_dump(mode="json", include=set(_SIZED_BY))
        stated["traffic"] = _of_traffic(model)
        if model.spread != ModelSpread():
            stated["spread"] = model.spread.model_dump(mode="json", exclude_defaults=True)
        if "max_sequences" not in model.model_fields_set:
            del stated["max_sequences"]
        return {**stated, "hardware": "auto", "replicas": {"min": least, "max": most}}
    hardware = model.hardware.model_dump(mode="json") if model.hardware else None
    if hardware and hardware["pipeline_parallel"] == 1:
        del hardware["pipeline_parallel"]
    return {"hardware": hardware, "replicas": model.maximum_replicas}


def _of_traffic(model: Model) -> dict[str, Any]:
    """Without the history, which has a path of its own."""
    assert model.traffic is not None
    stated = model.traffic.model_dump(mode="json", exclude={"history"}, exclude_none=True)
    if not stated["prefix_share"]:
        del stated["prefix_share"]
    return stated


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{path}.{key}", item)
    else:
        yield path, value


def histories(settings: StackSettings) -> dict[str, RequestHistory]:
    """YAML path -> request history, of models and applications."""
    found = {}
    for name, model in sorted(settings.models.items()):
        if model.traffic is not None and model.traffic.history is not None:
            found[f"models.{name}.traffic.history"] = model.traffic.history
    for name, application in sorted(settings.applications.items()):
        if isinstance(application.replicas, ApplicationReplicas) and application.replicas.history is not None:
            found[f"applications.{name}.replicas.history"] = application.replicas.history
    return found


def _unless_default(path: str, settings: Settings, keys: tuple[str, ...]) -> dict[str, Any]:
    """The stated ones of some keys: a lock that was written before a setting existed stays current without it."""
    return dict(_flat(path, settings.model_dump(mode="json", include=set(keys), exclude_defaults=True)))


def _file_digest(path: Path, *, where: str) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise UserFault(
            Fault(
                what=f"the history cannot be read: {error.strerror or error}", where=where,
                fix="correct the path (it is relative to the folder of the stack file), or restore the file",
            )
        ) from error


def _digest(rows: Iterable[Any]) -> str:
    """Of the figures; where they were read does not change a choice."""
    facts = [{k: v for k, v in dataclasses.asdict(row).items() if k not in ("source", "date")} for row in rows]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _constants() -> str:
    digest = hashlib.sha256(str(_METHOD).encode())
    for name in ("efficiencies.toml", "efficiencies_cpu.toml", "engines.csv"):
        # Line ends differ between checkouts on Windows and elsewhere.
        digest.update((_DATA / name).read_text(encoding="utf-8").encode())
    return digest.hexdigest()[:16]
