"""What the tests of the application share: a real process on loopback, and a stub of a model server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

SOURCE = Path(__file__).parents[2] / "app" / "src"

KEY = "sk-test-0123456789"
_START_SECONDS = 60.0
_LISTENING = re.compile(r"(?:running on|at) (http://[\w.:]+)")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """The first true value of ``condition``; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds:g} s")


@dataclass(kw_only=True)
class Running:
    """A started process: the application or the model server."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    def http(self, *, key: str | None = KEY, timeout: float = 30.0) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def connect(self) -> socket.socket:
        """A bare TCP connection, for clients that misbehave."""
        url = httpx.URL(self.url)
        return socket.create_connection((url.host, url.port), timeout=30)

    def metric(self, name: str) -> float:
        """Value of a series without labels."""
        with self.http() as http:
            found = re.search(rf"^{re.escape(name)} (\S+)$", http.get("/metrics").text, re.MULTILINE)
        assert found, f"no series {name}"
        return float(found[1])

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_status(self, seconds: float = 30.0) -> int:
        return self.process.wait(timeout=seconds)

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")


Start = Callable[..., Running]


def _spawn(folder: Path, module: str, arguments: list[str], environment: dict[str, str]) -> Running:
    log = folder / f"{module}-{time.monotonic_ns()}.log"
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SYSTEMROOT")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**clean, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1", **environment},
        )

    def listening() -> re.Match[str] | None:
        assert process.poll() is None, f"{module} ended with {process.returncode}:\n{log.read_text(encoding='utf-8')}"
        return _LISTENING.search(log.read_text(encoding="utf-8"))

    try:
        url = wait_for(listening, f"{module} listens", _START_SECONDS)[1]
    except BaseException:
        process.kill()
        raise
    return Running(process=process, log=log, url=url)


def starter(folder: Path, model: Path, made: list[Running]) -> Start:
    def start(*arguments: str, module: str = "assistant", **settings: str) -> Running:
        defaults = {"HOST": "127.0.0.1", "PORT": "0", "API_KEYS": KEY, "DRAIN_DELAY_SECONDS": "0"}
        environment = {**defaults, "BUILTIN_MODEL_PATH": str(model), **settings}
        made.append(_spawn(folder, module, list(arguments), environment))
        return made[-1]

    return start


def stop(made: list[Running]) -> None:
    for running in made:
        running.process.kill()
        running.process.wait()


@dataclass(kw_only=True)
class Stub:
    """A model server that does what a test says.

    ``answer`` gets the handler of one chat request and writes the response; ``requests`` are the bodies that came.
    """

    url: str = ""
    model: str = "stub"
    answer: Callable[[Any], None]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Relay:
    """An application and the stub behind it."""

    app: Running
    stub: Stub


def reply(handler: Any, status: int, body: bytes, media_type: str = "application/json", **headers: str) -> None:
    """Write a complete response."""
    handler.send_response(status)
    for name, value in {"content-type": media_type, "content-length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def begin_events(handler: Any) -> None:
    """Start a chunked stream of server-sent events."""
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()


def event(handler: Any, text: str) -> None:
    """Send one event with a delta of ``text``; ``[DONE]`` ends the stream."""
    document = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "stub"}
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    data = b"[DONE]" if text == "[DONE]" else json.dumps({**document, "choices": [choice]}).encode()
    line = b"data: " + data + b"\n\n"
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line) + (b"0\r\n\r\n" if text == "[DONE]" else b""))
    handler.wfile.flush()


def completion(handler: Any, text: str = "hello") -> None:
    """Answer with a whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    document = {"id": "x", "object": "chat.completion", "created": 1, "model": "stub", "choices": [choice]}
    reply(handler, 200, json.dumps({**document, "usage": usage}).encode())
