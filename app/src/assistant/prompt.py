"""From a caller's request to the model server's: the preset fills in what the caller left open."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from assistant.presets import Preset
from assistant.schema import ChatRequest

__all__ = ["Prompt", "prepare"]

# Bookkeeping of the hosted API: it says nothing to a model and is not passed on.
_NOT_FOR_THE_MODEL = {"user", "metadata", "store"}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A request as the model server gets it.

    Attributes:
        body: JSON.
        stream: whether the answer comes as server-sent events.
        deterministic: whether the same request may be given the same answer again: greedy sampling or a fixed seed.
    """

    body: bytes
    stream: bool
    deterministic: bool

    def cache_key(self, caller: str) -> bytes:
        """Key of the answer for this caller alone: a shared one would tell, by its speed, what others have asked."""
        return hashlib.sha256(caller.encode() + b"\0" + self.body).digest()


def prepare(request: ChatRequest, *, preset: Preset, model: str) -> Prompt:
    """The request with the preset's system prompt, temperature and length where it states none."""
    values: dict[str, Any] = request.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude=_NOT_FOR_THE_MODEL
    )
    values["model"] = model
    values.setdefault("temperature", preset.temperature)
    if "max_completion_tokens" not in values:
        values.setdefault("max_tokens", preset.max_tokens)
    if preset.system_prompt and values["messages"][0]["role"] not in ("system", "developer"):
        values["messages"].insert(0, {"role": "system", "content": preset.system_prompt})
    return Prompt(
        body=json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(),
        stream=bool(request.stream),
        deterministic=values["temperature"] == 0 or request.seed is not None,
    )
