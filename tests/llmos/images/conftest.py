"""A stand-in for the `docker` program that records how it was called, addresses of builders, and a registry."""

from __future__ import annotations

import http.server
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmos.images import buildx, host
from llmos.images.engine import Engine
from llmos.images.recipe import Recipe
from llmos.images.registry_client import Registry

_PROGRAM = """#!{python}
import json, os, sys
from pathlib import Path
words = sys.argv[1:]
files = {{}}
for word in words:
    if word.startswith("--secret="):
        path = word.partition(",src=")[2]
        files[path] = Path(path).read_text(encoding="utf-8")
call = {{"words": words, "files": files, "host": os.environ.get("DOCKER_HOST"), "environment": dict(os.environ)}}
with open({log!r}, "a", encoding="utf-8") as log:
    log.write(json.dumps(call) + "\\n")
for start, (status, out, err) in json.loads({answers!r}).items():
    if " ".join(words).startswith(start):
        print(out, end="")
        print(err, end="", file=sys.stderr)
        sys.exit(status)
sys.exit(9)
"""


class StandIn:
    """One `docker` program in a folder of its own, with fixed answers by the beginning of its arguments."""

    def __init__(self, folder: Path, answers: dict[str, tuple[int, str, str]]) -> None:
        self.folder, self._log = folder, folder / "calls.jsonl"
        folder.mkdir(parents=True)
        self.program = folder / "docker"
        text = _PROGRAM.format(python=sys.executable, log=str(self._log), answers=json.dumps(answers))
        self.program.write_text(text, encoding="utf-8")
        self.program.chmod(0o755)

    @property
    def calls(self) -> list[dict]:
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., StandIn]:
    """Make a `docker` program: ``stand_in(name, {"version": (0, "20.10.24\\n", "")})``; exit status 9 for the rest."""
    return lambda name, answers: StandIn(tmp_path / "programs" / name, answers)


class FakeRegistry(Registry):
    """A registry whose images are ``(repository, tag or digest) -> digest``; counts nothing, refuses nothing."""

    images: dict[tuple[str, str], str]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    images: dict[tuple[str, str], str] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.end_headers()

        def do_HEAD(self) -> None:
            repository, _, reference = self.path.removeprefix("/v2/").partition("/manifests/")
            digest = images.get((repository, reference))
            accepted = "application/vnd.oci.image.manifest.v1+json" in self.headers["Accept"]
            self.send_response(404 if digest is None else 200 if accepted else 500)
            if digest:
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    fake = FakeRegistry(address=f"127.0.0.1:{server.server_port}")
    object.__setattr__(fake, "images", images)
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No unit test may find, or touch, what the user's own cache folder holds."""
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def listening() -> Iterator[str]:
    """An address at which something accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address at which nothing listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def program(stand_in, monkeypatch):
    """A `docker` with the plugin, first on PATH, with these answers."""
    monkeypatch.setattr(host, "_pip_config_list", lambda: "")

    def make(answers: dict[str, tuple[int, str, str]] | None = None):
        found = {"buildx version": (0, "", ""), "--version": (0, "Docker version 28.2.2\n", ""), **(answers or {})}
        made = stand_in("docker", found)
        monkeypatch.setenv("PATH", os.pathsep.join([str(made.folder), os.environ["PATH"]]))
        monkeypatch.setattr(buildx, "ensure_engine", lambda **_: engine_of(made))
        return made

    return make


def engine_of(made, *, host: str | None = None, plugin: bool = True) -> Engine:
    return Engine(client=made.program, buildx=plugin, host=host, version="28.2.2")


def recipe_of(folder: Path, **more) -> Recipe:
    values = {"build_args": {}, **more}
    return Recipe(context=folder, dockerfile=folder / "Dockerfile", repository="reg.example/team/app", **values)
