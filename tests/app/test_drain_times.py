"""The times that stopping takes fit each other: pod, application and model server."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
from app_support import Start, Stub, begin_events, event, wait_for

from assistant.settings import Settings
from planner.plan import make_plan
from planner.settings import parse
from tests.support import by_name, stack_file


@pytest.fixture(scope="module")
def dev_pods() -> dict[str, dict[str, Any]]:
    """Specs of the pods of the dev stack by the name of their Deployment."""
    found = by_name(stack_file("dev"))
    return {name: item["spec"]["template"]["spec"] for (kind, name), item in found.items() if kind == "Deployment"}


def _seconds(pod: dict[str, Any], name: str) -> int:
    return int(next(entry["value"] for entry in pod["containers"][0]["env"] if entry["name"] == name))


def _pre_stop(pod: dict[str, Any]) -> int:
    return pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_a_stream_may_begin_as_late_as_requests_are_taken_and_still_ends_whole(dev_pods: dict[str, Any]) -> None:
    pod = dev_pods["assistant"]
    longest = make_plan(parse(stack_file("dev"), where="Pulumi.dev.yaml"), stack="dev").applications[0].stream_seconds
    assert _seconds(pod, "DRAIN_SECONDS") - Settings.drain_delay_seconds >= longest
    # Two seconds are what the server itself takes to close and end.
    assert pod["terminationGracePeriodSeconds"] >= _pre_stop(pod) + _seconds(pod, "DRAIN_SECONDS") + 2


def test_no_model_server_gets_a_request_after_its_sigterm(dev_pods: dict[str, Any]) -> None:
    """The application gives connections up before the preStop is over, and news of endpoints may take a second."""
    assert {"tiny", "chat"} <= dev_pods.keys()
    assert all(_pre_stop(pod) >= Settings.backend_connection_seconds + 1 for pod in dev_pods.values())


def test_idle_connections_are_closed_as_requests_are_refused(start: Start, stub: Stub) -> None:
    """A client's next request on one would be lost; on a new connection it reaches another replica."""
    go_on = threading.Event()

    def paused(handler: Any) -> None:
        begin_events(handler)
        event(handler, "a")
        go_on.wait(60)
        event(handler, "[DONE]")

    stub.answer = paused
    app = start(BACKEND_URL=stub.url, DRAIN_SECONDS="60")
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    with app.connect() as idle, app.http() as http, http.stream("POST", "/v1/chat/completions", json=body) as stream:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += idle.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 ")
        lines = stream.iter_lines()
        first = next(lines)
        app.terminate()
        assert idle.recv(4096) == b""
        wait_for(lambda: _refused(app.http()), "new requests are refused")
        assert app.process.poll() is None, "the stream is still open"
        go_on.set()
        assert [line for line in (first, *lines) if line][-1] == "data: [DONE]"
    assert app.exit_status() == 0


def _refused(client: httpx.Client) -> bool:
    with client:
        return client.get("/v1/models").status_code == 503
