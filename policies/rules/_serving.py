"""Telling which containers serve models, from what is deployed: the image's name, the command line, telltale flags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from ._model import Container, Pod, Resource
from ._node import UNKNOWN, UnknownAt
from ._once import once

__all__ = ["image_name", "is_vllm", "model_servers", "serves_model", "vllm_servers"]

_VLLM_WORDS = re.compile(r"(?:^|/)vllm(?:$|[-.])")
_VLLM_FLAGS = frozenset({"tensor-parallel-size", "max-model-len", "gpu-memory-utilization", "pipeline-parallel-size"})
_SERVERS = re.compile(
    r"vllm|sglang|text-generation-(?:inference|launcher)|lmdeploy|tritonserver|tensorrt[-_]?llm|llama[-_.]?(?:cpp|server)|ollama"
)


def image_name(container: Container) -> str:
    """The image reference without its digest; empty while it is unknown."""
    raw = container.node.get("image").raw if container.node.raw is not UNKNOWN else None
    return raw.partition("@")[0] if isinstance(raw, str) else ""


def _repository(container: Container) -> str:
    head, slash, tail = image_name(container).rpartition("/")
    return (head + slash + tail.partition(":")[0]).lower()


def is_vllm(container: Container) -> bool:
    """Whether the container runs vLLM: by its command line, or by its image where that says what runs."""
    if _named(container, re.compile(r"(?:^|[/_-])vllm")):
        return True
    words = container.arguments
    return any(_VLLM_WORDS.search(word.text) for word in words) or any(word.flag in _VLLM_FLAGS for word in words)


def _named(container: Container, image: re.Pattern[str]) -> bool:
    """Whether the image's name shows a server. The image of one is also used to prepare what it needs: an init
    container, and a Job with a command of its own, are judged by their command line alone."""
    if not container.is_long_running:
        return False
    if container.pod.owner.kind in ("Job", "CronJob") and container.node.get("command").exists:
        return False
    return bool(image.search(_repository(container)))


def serves_model(container: Container) -> bool:
    """Whether the container runs any known model server."""
    if is_vllm(container) or _named(container, _SERVERS):
        return True
    return any(not word.flag and _SERVERS.search(word.text) for word in container.arguments)


@once
def vllm_servers(resource: Resource) -> Iterable[Container]:
    """The containers that run vLLM."""
    return tuple(_running(resource.containers, is_vllm))


def model_servers(pod: Pod) -> Iterable[Container]:
    """The containers that run a model server."""
    return _running(pod.containers, serves_model)


def _running(containers: Iterable[Container], test: Callable[[Container], bool]) -> Iterator[Container]:
    """Those that pass; where the command line is unknown, the container counts, so that its rules say what they
    miss."""
    for container in containers:
        try:
            if test(container):
                yield container
        except UnknownAt:
            yield container
