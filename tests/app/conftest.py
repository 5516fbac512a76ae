"""Fixtures of the application's tests."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "app" / "src")]

from app_support import Relay, Running, Start, Stub, completion, reply, starter, stop  # noqa: E402


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


@contextmanager
def _serving() -> Iterator[Stub]:
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

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Connections that break are what the tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A running stub of a model server; its default answer is a short completion."""
    with _serving() as state:
        yield state


@pytest.fixture(scope="session")
def _relay(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Relay]:
    made: list[Running] = []
    with _serving() as state:
        app = starter(tmp_path_factory.mktemp("relay"), tiny_model, made)(BACKEND_URL=state.url, BACKEND_MODEL="stub")
        yield Relay(app=app, stub=state)
        stop(made)


@pytest.fixture
def relay(_relay: Relay) -> Relay:
    """One application over a stub, for tests that change nothing but the stub's answer."""
    _relay.stub.answer = completion
    for seen in (_relay.stub.requests, _relay.stub.headers, _relay.stub.connections):
        seen.clear()
    return _relay
