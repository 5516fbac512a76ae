"""Fixtures of the application's tests."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "app" / "src")]

from app_support import Running, Start, Stub, completion, reply, starter, stop  # noqa: E402


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file, made as in the image."""
    from assistant.tiny_model import write

    path = tmp_path_factory.mktemp("model") / "tiny-random.gguf"
    write(path)
    return path


@pytest.fixture
def start(tmp_path: Path, tiny_model: Path) -> Iterator[Start]:
    """Starts processes that this test alone uses; settings are environment variables."""
    made: list[Running] = []
    yield starter(tmp_path, tiny_model, made)
    stop(made)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Running]:
    """One application over the tiny model, for tests that leave it as it was."""
    made: list[Running] = []
    yield starter(tmp_path_factory.mktemp("app"), tiny_model, made)()
    stop(made)


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A running stub; its default answer is a short completion."""
    state = Stub(answer=completion)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply(self, 200, json.dumps({"object": "list", "data": [{"id": state.model}]}).encode())

        def do_POST(self) -> None:
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            state.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            state.connections.add(self.client_address)
            state.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
