"""SIGTERM: open streams finish, new requests are turned away, the process ends with 0."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from app_support import Running, Start, Stub, begin_events, completion, event, wait_for

_CHAT = "/v1/chat/completions"
_HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
_STREAM = {**_HI, "stream": True}


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """The stub's streams stop after the first event until this is set."""
    made = threading.Event()
    yield made
    made.set()


def _paused(go_on: threading.Event) -> Any:
    def answer(handler: Any) -> None:
        begin_events(handler)
        event(handler, "a")
        go_on.wait(60)
        for text in ("b", "c", "[DONE]"):
            event(handler, text)

    return answer


def _readiness(app: Running) -> tuple[int, str]:
    with app.http() as http:
        answer = http.get("/readyz")
        return answer.status_code, answer.json().get("reason", "")


def _not_ready(app: Running) -> bool:
    return _readiness(app) == (503, "draining")


def _text(lines: Iterator[str]) -> str:
    events = [line.removeprefix("data: ") for line in lines if line]
    assert events[-1] == "[DONE]"
    return "".join(json.loads(one)["choices"][0]["delta"]["content"] for one in events[:-1])


def test_open_streams_finish_new_requests_are_refused_and_it_ends_with_0(
    start: Start, stub: Stub, go_on: threading.Event
) -> None:
    stub.answer = _paused(go_on)
    app = start(BACKEND_URL=stub.url, DRAIN_SECONDS="60")
    with app.http() as http, app.http() as kept_alive, http.stream("POST", _CHAT, json=_STREAM) as stream:
        lines = stream.iter_lines()
        first = next(lines)
        assert kept_alive.get("/v1/models").status_code == 200
        app.terminate()
        wait_for(lambda: _not_ready(app), "not ready")
        for client in (kept_alive, app.http()):
            refused = wait_for(lambda c=client: _refusal(c), "refused")
            assert refused.json()["error"]["code"] == "shutting_down"
            assert refused.headers["connection"] == "close"
            assert refused.headers["retry-after"] == "1"
        assert app.http().get("/healthz").status_code == 200
        assert app.process.poll() is None
        go_on.set()
        assert _text(iter([first, *lines])) == "abc"
    assert app.exit_status() == 0


def _refusal(client: httpx.Client) -> httpx.Response | None:
    answer = client.post(_CHAT, json=_HI)
    return answer if answer.status_code == 503 else None


def test_during_the_delay_requests_are_answered_and_connections_closed(start: Start, stub: Stub) -> None:
    stub.answer = completion
    app = start(BACKEND_URL=stub.url, DRAIN_DELAY_SECONDS="4", DRAIN_SECONDS="60")
    with app.http() as http:
        assert "connection" not in http.get("/v1/models").headers
        app.terminate()
        wait_for(lambda: _not_ready(app), "not ready", seconds=3)
        answer = http.post(_CHAT, json=_HI)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert app.exit_status() == 0


def test_streams_without_end_are_cut_when_the_time_is_over(start: Start, stub: Stub, go_on: threading.Event) -> None:
    stub.answer = _paused(go_on)
    app = start(BACKEND_URL=stub.url, DRAIN_SECONDS="0.3")
    with app.http() as http, http.stream("POST", _CHAT, json=_STREAM) as stream:
        lines = stream.iter_lines()
        next(lines)
        app.terminate()
        assert app.exit_status() == 0
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    assert "open requests are cut" in app.output()


def test_a_second_signal_ends_it_at_once(start: Start, stub: Stub, go_on: threading.Event) -> None:
    stub.answer = _paused(go_on)
    app = start(BACKEND_URL=stub.url, DRAIN_SECONDS="600")
    with app.http() as http, http.stream("POST", _CHAT, json=_STREAM) as stream:
        lines = stream.iter_lines()
        next(lines)
        app.terminate()
        wait_for(lambda: _not_ready(app), "not ready")
        app.terminate()
        assert app.exit_status() == 0


def test_the_model_server_finishes_what_it_computes(start: Start) -> None:
    server = start("--port=0", "--host=127.0.0.1", "--served-model-name=chat", module="assistant.model_server")
    app = start(BACKEND_URL=server.url, BACKEND_MODEL="chat")
    with server.http(key=None) as direct:
        assert direct.get("/health").json() == {"status": "ok"}
        assert [model["id"] for model in direct.get("/v1/models").json()["data"]] == ["chat"]
        assert "llamacpp:requests_processing 0" in direct.get("/metrics").text
    long = {**_STREAM, "max_tokens": 800, "temperature": 0}
    with app.http(timeout=120) as http, http.stream("POST", _CHAT, json=long) as stream:
        lines = stream.iter_lines()
        next(lines)
        server.terminate()
        events = [line for line in lines if line]
    assert events[-1] == "data: [DONE]"
    assert len(events) >= 800
    assert server.exit_status() == 0


def test_load_during_a_stop_loses_nothing_before_requests_are_refused(start: Start) -> None:
    delay_seconds = 1.0
    app = start(DRAIN_DELAY_SECONDS=str(delay_seconds))
    stopping = threading.Event()

    def client(_: int) -> tuple[set[int], float]:
        """Statuses of one request after the other, and when no answer came any more."""
        statuses: set[int] = set()
        with app.http() as http:
            while not (stopping.is_set() and 503 in statuses):
                try:
                    statuses.add(http.post(_CHAT, json=_HI).status_code)
                except httpx.TransportError:
                    break
        return statuses, time.monotonic()

    with ThreadPoolExecutor(6) as clients:
        results = [clients.submit(client, number) for number in range(6)]
        wait_for(lambda: app.output().count('"status": 200') > 20, "load has begun")
        stopping.set()
        stopped = time.monotonic()
        app.terminate()
        for result in results:
            statuses, ended = result.result()
            assert 200 in statuses
            assert statuses <= {200, 503}
            assert ended - stopped >= delay_seconds
    assert app.exit_status() == 0
