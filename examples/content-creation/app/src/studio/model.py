"""The model server behind the studio, by its OpenAI-compatible API; and what stands in when there is none."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator

__all__ = ["ModelError", "ModelServer", "Placeholder"]

# Longest silence, also before the first token: a long queue is slow, a dead server is silent.
_SILENCE_SECONDS = 120


class ModelError(Exception):
    """The model server failed; the text is for logs and callers and holds no prompt."""


class ModelServer:
    """Asks one model of a server."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url.rstrip("/").removesuffix("/v1"), name
        # Never through a proxy: the server is a neighbour, and prompts must not leave the cluster.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ready(self) -> bool:
        """Whether the server answers and has the model."""
        try:
            with self._opener.open(f"{self._url}/v1/models", timeout=5) as answer:
                return self._name in [model["id"] for model in json.load(answer)["data"]]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return False

    def stream(self, messages: list[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """The answer, piece by piece. Raises ``ModelError``."""
        body = {"model": self._name, "messages": messages, "max_tokens": max_tokens, "temperature": 0.8, "stream": True}
        request = urllib.request.Request(
            f"{self._url}/v1/chat/completions", data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=_SILENCE_SECONDS) as answer:
                for line in answer:
                    data = line.decode("utf-8").strip().removeprefix("data:").strip()
                    if data == "[DONE]":
                        return
                    if data:
                        yield from _pieces(json.loads(data))
        except urllib.error.HTTPError as error:
            raise ModelError(f"the model server answered {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ModelError(f"the model server broke off: {type(error).__name__}") from error
        raise ModelError("the model server ended its answer early")


class Placeholder:
    """Without a model server: text that shows the form of an article and says what it is."""

    def ready(self) -> bool:
        return True

    def stream(self, messages: list[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        if messages[-1]["content"].startswith("Give "):
            yield "What it is\nWhy it matters\nWhat comes next"
            return
        yield "Placeholder text: no model server is set (BACKEND_URL). "
        yield "A model would write this section here."


def _pieces(event: dict) -> Iterator[str]:
    if "error" in event:
        raise ModelError("the model server reported an error in its stream")
    for choice in event.get("choices", []):
        if choice.get("delta", {}).get("content"):
            yield choice["delta"]["content"]
