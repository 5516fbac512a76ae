"""The content-creation example's application at its edges: the model server that it asks, its process, its image."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from studio.model import ModelError, ModelServer

from tests.examples.studio_support import KEY, SOURCE, post, serve


class OpenAi(BaseHTTPRequestHandler):
    """A model server as far as the studio uses it; the model's name says how its stream ends."""

    def do_GET(self) -> None:
        self._send(json.dumps({"data": [{"id": "writer"}]}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["stream"] and self.path == "/v1/chat/completions"
        if asked["model"] == "broken":
            self.send_error(500)
            return
        events = [{"choices": [{"delta": {"role": "assistant"}}]}, {"choices": [{"delta": {"content": "grüß"}}]}]
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        if asked["model"] == "erring":
            lines.append('data: {"error": {"message": "secret prompt"}}\n\n')
        if asked["model"] != "short":
            lines.append("data: [DONE]\n\n")
        self._send("".join(lines).encode())

    def _send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def backend() -> Iterator[str]:
    yield from serve(ThreadingHTTPServer(("127.0.0.1", 0), OpenAi))


@pytest.mark.parametrize("path", ["", "/", "/v1"])
def test_the_model_server_is_asked_by_its_openai_api(backend: str, path: str) -> None:
    server = ModelServer(backend + path, "writer")
    assert server.ready() and not ModelServer(backend, "another").ready()
    assert list(server.stream([{"role": "user", "content": "x"}], max_tokens=5)) == ["grüß"]


@pytest.mark.parametrize(("name", "words"), [("broken", "500"), ("erring", "error in its stream"), ("short", "early")])
def test_failures_of_the_model_server_are_told_apart(backend: str, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        list(ModelServer(backend, name).stream([], max_tokens=5))
    assert "secret prompt" not in str(caught.value)
    with pytest.raises(ModelError, match="broke off"):
        list(ModelServer("http://127.0.0.1:9", name).stream([], max_tokens=5))


def run_studio(port: int, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "studio"], stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PORT": str(port), **env},
    )  # fmt: skip


def free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), OpenAi) as server:
        return server.server_port


def test_it_does_not_start_open_to_everybody() -> None:
    process = run_studio(free_port(), API_KEYS="", ALLOW_ANONYMOUS="")
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1 and "API_KEYS is empty" in said


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process there at once")
def test_it_ends_when_it_is_told_to() -> None:
    port = free_port()
    process = run_studio(port, API_KEYS=KEY, DRAIN_SECONDS="10")
    try:
        assert process.stderr is not None
        assert "started" in process.stderr.readline()
        assert "Placeholder text" in post(f"http://127.0.0.1:{port}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert "stopped" in process.stderr.read()
        with pytest.raises((urllib.error.URLError, http.client.HTTPException)):
            post(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_the_image_copies_only_the_source() -> None:
    from llmos.images.context import context_files

    folder = Path(SOURCE).parent
    files = context_files(folder, dockerfile=folder / "Dockerfile")
    assert files and all(name.startswith("src/studio/") and name.endswith(".py") for name in files)
