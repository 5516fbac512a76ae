"""From the lock to stated hardware: whether the lock is current, and the settings with its choices put in.

Nothing here imports a solver; only where sizing in memory is allowed and needed, it is imported then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from planner.catalogue import Catalogue
from planner.faults import Fault, UserFault
from planner.huggingface import model_from_file
from planner.settings import Hardware, Model, ModelReplicas, StackSettings
from planner.sizing.inputs import CONSTANTS, CONTENT, histories, sizing_hash, sizing_inputs
from planner.sizing.types import SizedModel, SizedSchedule, Sizing

__all__ = ["differences", "needs_sizing", "read_sizing", "resolve", "with_hardware", "with_own_rows"]

_SHOWN_DIFFERENCES = 4


def needs_sizing(settings: StackSettings) -> bool:
    """Whether a model leaves its hardware to sizing, or a history of requests is to be forecast."""
    return any(model.hardware == "auto" for model in settings.models.values()) or bool(histories(settings))


def read_sizing(raw: Mapping[str, Any], *, where: str) -> Sizing | None:
    """``sizing`` of a lock; ``None`` when there is none. Raises UserFault when it is not what the program writes."""
    if not raw:
        return None
    try:
        return Sizing.model_validate(raw)
    except ValidationError as error:
        paths = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_url=False)[:3])
        raise UserFault(
            Fault(
                what=f"not a sizing as the program writes it: {paths}", where=f"{where}: sizing",
                fix="restore the file from version control, or write it anew with `python3 -m llmos size`",
            )
        ) from error


def resolve(
    settings: StackSettings,
    *,
    locked: Mapping[str, Any],
    catalogue: Catalogue,
    stack: str,
    where: str,
    folder: Path = Path(),
) -> tuple[StackSettings, Sizing | None]:
    """The settings with the lock's hardware where they say ``auto``, and the sizing it comes from.

    Environment ``dev`` is sized in memory when the lock has no current sizing: the first preview should work at once.
    Everywhere else the lock is what people reviewed.

    Raises:
        UserFault: the sizing is missing or stale, with what has changed; or nothing fits.
    """
    if not needs_sizing(settings):
        return settings, None
    place = f"locks/{stack}.json"
    sizing = read_sizing(locked, where=place)
    inputs = sizing_inputs(settings, catalogue, folder=folder, where=where)
    auto = sorted(name for name, model in settings.models.items() if model.hardware == "auto")
    scheduled = {".".join(path.split(".")[:2]) for path in histories(settings)}
    whole = sizing is not None and set(auto) <= set(sizing.models) and scheduled <= set(sizing.schedules)
    if sizing is not None and whole and sizing.hash == sizing_hash(inputs):
        return with_hardware(settings, sizing), sizing
    if settings.environment == "dev":
        from planner.sizing.decide import decide

        made = decide(settings, catalogue, where=where, folder=folder)
        return with_hardware(settings, made), made
    asks = f"hardware of {', '.join(auto)} is auto" if auto else f"{', '.join(sorted(scheduled))} has a history"
    what = f"{asks}, and the lock has no sizing"
    if sizing is not None:
        what = f"the sizing is stale: {'; '.join(differences(sizing.inputs, inputs)) or 'the file was edited by hand'}"
    raise UserFault(
        Fault(
            what=what, where=f"{place}: sizing",
            fix=f"run `python3 -m llmos size --stack {stack}`, and commit {place} after a look at the difference",
        )
    )


def with_own_rows(
    catalogue: Catalogue, settings: StackSettings, *, where: str, folder: Path = Path()
) -> Catalogue:
    """The catalogue with the stack file's rows over it, and the models whose ``config.json`` it names; raises UserFault
    for a wrong row or file."""
    rows = settings.catalog
    catalogue = catalogue.with_rows(
        gpus=rows.gpus, instances=rows.instances, models=rows.models, where=f"{where}: catalog"
    )
    for _, model in sorted(settings.models.items()):
        if model.config is not None:
            catalogue = catalogue.with_model(model_from_file(folder / model.config, model_id=model.source))
    return catalogue


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What has changed between two sets of inputs, in words; long lists end in a count."""
    words = [_difference(path, old, new) for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
    rest = len(words) - _SHOWN_DIFFERENCES
    return [*words[:_SHOWN_DIFFERENCES], f"{rest} more"] if rest > 0 else words


def _difference(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if path.startswith("catalogue."):
        return f"{path.removeprefix('catalogue.')} of the catalogue have changed (prices, figures or rows)"
    if path.endswith(f".{CONTENT}") and path in old and path in new:
        return f"the file of {path.removesuffix(f'.{CONTENT}')} has changed"
    if path == CONSTANTS:
        return "the constants or the method of sizing have changed with this version"
    if path not in old:
        return f"{path} is new ({new[path]})"
    if path not in new:
        return f"{path} is gone (was {old[path]})"
    before, after = ("unset" if value is None else value for value in (old[path], new[path]))
    return f"{path} was {before} and is {after}"


def with_hardware(settings: StackSettings, sizing: Sizing) -> StackSettings:
    """The settings as if their author had stated what was sized."""
    models = {
        name: _scheduled(
            _stated(model, sizing.models[name]) if model.hardware == "auto" else model,
            sizing.schedules.get(f"models.{name}"),
        )
        for name, model in settings.models.items()
    }
    return settings.model_copy(update={"models": models})


def _scheduled(model: Model, schedule: SizedSchedule | None) -> Model:
    """Under an autoscaler the minimum outside all windows is the schedule's."""
    if schedule is None or model.autoscaling != "keda":
        return model
    most = max(model.maximum_replicas, schedule.otherwise)
    return model.model_copy(update={"replicas": ModelReplicas(min=schedule.otherwise, max=most)})


def _stated(model: Model, sized: SizedModel) -> Model:
    scaled = model.autoscaling == "keda" and isinstance(model.replicas, ModelReplicas)
    hardware = Hardware(
        instance_type=sized.instance_type,
        gpus=sized.gpus,
        pipeline_parallel=sized.pipeline_parallel,
        fallbacks=sized.fallbacks,
    )
    return model.model_copy(
        update={
            "hardware": hardware,
            "quality_steps": (),
            "quantization": sized.quantization,
            "max_sequences": sized.max_sequences,
            "batched_tokens": sized.batched_tokens,
            "replicas": model.replicas if scaled else sized.replicas,
        }
    )
