"""Raw stack settings for property tests, drawn from the settings models field by field (not from the JSON schema)."""

from __future__ import annotations

import types
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from planner.settings import StackSettings, _base

__all__ = ["mutated", "settings"]

_SAMPLES = {
    _base._cpu: st.sampled_from(["500m", "2", "0.25", 1, 2.5]),
    _base._memory: st.sampled_from(["512Mi", "4Gi", "1.5G", "1073741824"]),
    _base._tag_ref: st.sampled_from(["ghcr.io/team/app:1.2", "app:v1", "127.0.0.1:5000/a/b:x"]),
    _base._digest_ref: st.sampled_from(["repo/app@sha256:" + "0" * 64, "h.example:5000/a/b:v1@sha256:" + "a" * 64]),
}
# Values of every type at places where most do not belong.
_ODD = st.sampled_from(
    [None, True, False, 0, 1, -1, 3, 3.0, 0.5, 1e9, "", "1", "auto", "lock", "x" * 50, [], ["a"], {}, {"a": 1}, "yes"]
)


@cache
def settings() -> st.SearchStrategy[dict[str, Any]]:
    """Settings of which most are valid field by field; references between parts are mended where that is easy."""
    return _model(StackSettings).map(_mend)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """Settings with up to two values replaced by odd ones."""
    raw = draw(settings())
    for _ in range(draw(st.integers(0, 2))):
        place: Any = raw
        while True:
            key = draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else draw(_index(place))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
                place[key] = draw(_ODD)
                break
            place = place[key]
    return raw


def _index(place: list[Any]) -> st.SearchStrategy[int]:
    return st.integers(0, len(place) - 1)


def _mend(raw: dict[str, Any]) -> dict[str, Any]:
    """Mend what would make nearly every draw invalid: names of models, ranges, what an engine or a target needs."""
    models = raw.get("models") or {}
    raw.pop("aws", None)
    raw.pop("cluster", None)
    for application in raw.setdefault("applications", {"app": {"image": {"build": "./app"}}}).values():
        image = application["image"]
        sources = {key: image[key] for key in ("build", "ref", "tag", "from") if image.get(key)}
        application["image"] = dict([min(sources.items())]) if sources else {"build": "./app"}
        if application.get("model") not in models:
            application.pop("model", None)
        application.pop("command", None)
        if isinstance(application.get("replicas"), dict):
            application["replicas"].pop("history", None)
        _order(application)
    for model in models.values():
        builtin = model["source"] == "builtin:tiny"
        model["engine"] = "llama.cpp" if builtin else "vllm"
        if builtin:
            model.pop("hardware", None)
        elif not isinstance(model.get("hardware"), dict):
            model["hardware"] = {"instance_type": "g6.xlarge"}
        for key in ("quality_steps", "autoscaling", "adapters", "spread"):
            model.pop(key, None)
        if isinstance(model.get("hardware"), dict):
            model["hardware"].pop("pipeline_parallel", None)
        if isinstance(model.get("traffic"), dict):
            model["traffic"] = _traffic(model["traffic"])
        _order(model)
        _mend_weights(model, builtin=builtin)
        _mend_hub(model.get("hub"))
    _mend_hub(raw.get("hub"))
    raw["target"], raw["environment"] = ("local", "dev") if raw["target"] == "local" else ("kubernetes", "prod")
    raw["context"] = None if raw["target"] == "local" else "cluster"
    if raw["target"] == "local" or not (raw.get("observability") or {}).get("prometheus_url"):
        for application in raw["applications"].values():
            if isinstance(application.get("replicas"), dict):
                application["replicas"].pop("queue", None)
    if not raw.get("registry"):
        raw["registry"] = {"server": "registry.example.com/team"}
    raw["gpu_pool"] = {"kind": "existing", "selector": {"gpu": "yes"}}
    return raw


def _traffic(drawn: dict[str, Any]) -> dict[str, Any]:
    """A load that is complete, in the forms that were drawn: a rate or a history, means or distributions."""
    history = drawn.get("history")
    made = {**drawn, "history": history, "requests_per_second": 2 if history is None else None}
    for key in ("input_tokens", "output_tokens"):
        drawn_lengths = drawn.get(key)
        if isinstance(drawn_lengths, dict):
            made[key] = {"mean": 80} if drawn_lengths.get("mean") else {"p50": 80, "p99": 200.5}
        elif drawn_lengths is None:
            made[key] = 80
    return {key: value for key, value in made.items() if value is not None}


def _mend_weights(model: dict[str, Any], *, builtin: bool) -> None:
    """One place of weights of those that are drawn."""
    weights = model.get("weights") or {}
    if builtin:
        model.pop("weights", None)
        model.pop("hub", None)
    elif weights.get("image"):
        model["weights"] = {"image": weights["image"]}
    elif weights.get("claim"):
        model["weights"] = {"claim": {**weights["claim"], "access": "ReadWriteMany"}}
    elif weights:
        kept = {key: weights[key] for key in ("storage_class", "size") if weights.get(key)}
        pins = {"download": "init", "sha256": weights["sha256"]} if weights.get("sha256") else {}
        model["weights"] = {**kept, **pins}


def _mend_hub(hub: dict[str, Any] | None) -> None:
    if not hub:
        return
    hub.pop("proxy_secret", None)
    if hub.get("ca"):
        hub["ca"] = {"config_map": "corp-ca"}
    hub["egress"] = [{"cidr": place.get("cidr") or "10.0.0.5/32"} for place in hub.get("egress") or []]


def _order(owner: dict[str, Any]) -> None:
    replicas = owner.get("replicas")
    if isinstance(replicas, dict) and {"min", "max"} <= replicas.keys():
        replicas["min"], replicas["max"] = sorted((replicas["min"], replicas["max"]))
    elif isinstance(replicas, dict):
        replicas.pop("min", None)


# Made once: building strategies, and reading their patterns, costs more than all that is drawn from them.
@cache
def _model(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    required, optional = {}, {}
    for name, field in model.model_fields.items():
        target = required if field.is_required() else optional
        target[field.alias or name] = _annotated(field.annotation, field.metadata)
    return st.fixed_dictionaries(required, optional=optional)


def _value(annotation: Any) -> st.SearchStrategy[Any]:
    metadata: list[Any] = []
    while get_origin(annotation) is Annotated:
        metadata += annotation.__metadata__
        annotation = annotation.__origin__
    return _annotated(annotation, metadata)


def _annotated(annotation: Any, metadata: Iterable[Any]) -> st.SearchStrategy[Any]:
    if get_origin(annotation) is Annotated:
        return _annotated(annotation.__origin__, [*annotation.__metadata__, *metadata])
    limits = list(_limits(metadata))
    sample = next((_SAMPLES[m.func] for m in limits if isinstance(m, AfterValidator) and m.func in _SAMPLES), None)
    if sample is not None:
        return sample
    bounds = _found(limits, "ge", "gt", "le", "lt")
    return _plain(annotation, bounds, _found(limits, "pattern", "max_length", "min_length"))


def _found(limits: Iterable[Any], *keys: str) -> dict[str, Any]:
    return {key: value for item in limits for key in keys if (value := getattr(item, key, None)) is not None}


def _limits(metadata: Iterable[Any]) -> Iterable[Any]:
    for item in metadata:
        yield from [item, *(item.metadata if isinstance(item, FieldInfo) else [])]


def _plain(annotation: Any, bounds: dict[str, Any], texts: dict[str, Any]) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _model(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of([_value(argument) for argument in arguments])
    if origin is dict:
        least = texts.get("min_length", 0)
        return st.dictionaries(_value(arguments[0]), _value(arguments[1]), min_size=least, max_size=2)
    if origin is tuple:
        return st.lists(_value(arguments[0]), min_size=texts.get("min_length", 0), max_size=2)
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        low = bounds.get("ge", bounds.get("gt", 0) + (1 if "gt" in bounds else 0))
        return st.integers(low, bounds.get("le", low + 1000))
    if annotation is float:
        high = bounds.get("le", bounds.get("lt", 1e4))
        drawn = st.floats(max(0.5, bounds.get("ge", 0.5)), high, exclude_max="lt" in bounds)
        return drawn | st.integers(1, int(high)) if high > 1 else drawn
    if annotation is type(None):
        return st.none()
    if annotation is str and "pattern" in texts:
        drawn = st.from_regex(texts["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
        return drawn.map(lambda text: text.strip("\n")[: texts.get("max_length", 80)])
    return st.sampled_from(["a", "text", "./app", "8"])
