"""Keys, sizes, slow clients, queues: everything that protects the application, on real connections."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from app_support import KEY, Running, Start, Stub, begin_events, completion, event, wait_for

_CHAT = "/v1/chat/completions"
_HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}


def _error(answer: httpx.Response) -> tuple[int, str]:
    document = answer.json()
    assert set(document) == {"error"}
    assert set(document["error"]) == {"message", "type", "param", "code"}
    return answer.status_code, document["error"]["code"]


def test_no_key_and_a_wrong_key_are_refused_and_probes_need_none(app: Running) -> None:
    with app.http(key=None) as nobody, app.http(key=KEY + "x") as somebody:
        for http in (nobody, somebody):
            assert _error(http.post(_CHAT, json=_HI)) == (401, "invalid_api_key")
            assert _error(http.get("/v1/models")) == (401, "invalid_api_key")
        assert nobody.post(_CHAT, json=_HI).headers["www-authenticate"] == "Bearer"
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert nobody.get(path).status_code == 200


def test_unknown_paths_methods_and_bodies_get_errors_of_the_same_form(app: Running) -> None:
    with app.http() as http:
        assert _error(http.get("/v1/nothing")) == (404, "unknown_url")
        assert _error(http.get(_CHAT)) == (405, "method_not_allowed")
        assert _error(http.post(_CHAT, content=b"{")) == (400, "invalid_json")
        assert _error(http.post(_CHAT, content=b"\xff")) == (400, "invalid_json")
        assert _error(http.post(_CHAT, json={**_HI, "foo": 1})) == (400, "unknown_parameter")
        assert _error(http.post(_CHAT, content=b"[" * 100_000)) == (400, "invalid_json")


def test_a_body_is_refused_by_its_declared_and_by_its_real_size(start: Start) -> None:
    app = start(MAX_BODY_BYTES="2048")
    large = json.dumps({"messages": [{"role": "user", "content": "x" * 4000}]}).encode()
    with app.http() as http:
        assert _error(http.post(_CHAT, content=large)) == (413, "request_too_large")
        assert _error(http.post(_CHAT, content=iter([large[:1500], large[1500:]]))) == (413, "request_too_large")
        assert http.post(_CHAT, json=_HI).status_code == 200


def test_a_slow_body_gets_408_and_slow_headers_are_cut(start: Start) -> None:
    app = start(CLIENT_READ_SECONDS="0.5")
    head = f"POST {_CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    with app.connect() as body, app.connect() as headers, app.connect() as silent:
        body.sendall(f"{head}content-length: 500\r\n\r\n{{".encode())
        headers.sendall(head.encode())
        assert body.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert _closed(body)
        assert _closed(headers)
        assert _closed(silent)
    with app.http() as http:
        assert http.get("/readyz").status_code == 200


def test_a_client_that_stops_reading_is_cut(start: Start, stub: Stub) -> None:
    broken = threading.Event()

    def endless(handler: Any) -> None:
        begin_events(handler)
        try:
            while True:
                event(handler, "x" * 50_000)
        except OSError:
            broken.set()

    stub.answer = endless
    app = start(BACKEND_URL=stub.url, CLIENT_WRITE_SECONDS="0.5")
    body = json.dumps({**_HI, "stream": True})
    with app.connect() as connection:
        head = f"POST {_CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        assert broken.wait(30), "the stream to the model server was not ended"
    wait_for(lambda: app.metric("assistant_requests_in_flight") == 0, "the request has ended")


def test_a_full_queue_answers_429_and_a_long_wait_503(start: Start, stub: Stub) -> None:
    go_on = threading.Event()

    def slow(handler: Any) -> None:
        go_on.wait(30)
        completion(handler)

    stub.answer = slow
    app = start(BACKEND_URL=stub.url, MAX_CONCURRENT="1", MAX_QUEUED="1", QUEUE_SECONDS="2")
    with app.http() as http, ThreadPoolExecutor(2) as clients:
        first = clients.submit(http.post, _CHAT, json=_HI)
        wait_for(lambda: app.metric("assistant_requests_active") == 1, "the first request is at the model server")
        second = clients.submit(http.post, _CHAT, json=_HI)
        wait_for(lambda: app.metric("assistant_requests_waiting") == 1, "the second request waits")
        third = http.post(_CHAT, json=_HI)
        assert _error(third) == (429, "rate_limit_exceeded")
        assert third.headers["retry-after"] == "1"
        assert _error(second.result()) == (503, "server_overloaded")
        go_on.set()
        assert first.result().status_code == 200
    assert len(stub.requests) == 1


def test_request_ids_are_passed_on_only_when_harmless(app: Running) -> None:
    with app.http() as http:
        assert http.get("/v1/models", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
        assert http.get("/v1/models", headers={"x-request-id": 'a"b c'}).headers["x-request-id"].isalnum()


def _closed(connection: Any) -> bool:
    """Whether the other side ends the connection, orderly or not, within the socket's time limit."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("body", [b"", b"null", b'"x"', b"1e999", b'{"messages": "x"}', b'{"messages": [null]}'])
def test_malformed_bodies_are_the_callers_fault(app: Running, body: bytes) -> None:
    with app.http() as http:
        assert _error(http.post(_CHAT, content=body))[0] == 400
