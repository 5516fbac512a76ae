"""The application over a model server by URL: what it sends, and what its failures become."""

from __future__ import annotations

import json
import threading
from typing import Any

import openai
import pytest
from app_support import KEY, Relay, Start, Stub, begin_events, completion, event, reply, wait_for

_CHAT = "/v1/chat/completions"
_HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}


def test_the_model_server_gets_its_own_key_name_and_the_preset(start: Start, stub: Stub) -> None:
    app = start(BACKEND_URL=stub.url + "/v1/", BACKEND_API_KEY="sk-back", BACKEND_MODEL="stub", PRESET="code-assistant")
    with app.http() as http:
        answer = http.post(_CHAT, json={**_HI, "model": "stub", "user": "me"})
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    [sent] = stub.requests
    assert sent["model"] == "stub"
    assert sent["messages"][0]["role"] == "system"
    assert (sent["temperature"], "user" in sent) == (0, False)
    assert stub.headers[0]["authorization"] == "Bearer sk-back"
    assert KEY not in json.dumps(stub.headers)


@pytest.mark.parametrize(
    ("status", "body", "expected", "code"),
    [
        (400, {"error": {"message": "bad stop"}}, 400, "invalid_request"),
        (400, {"error": {"message": "exceeds the available context size"}}, 400, "context_length_exceeded"),
        (400, {"message": "This model's maximum context length is 8"}, 400, "context_length_exceeded"),
        (422, {"error": "no"}, 400, "invalid_request"),
        (401, {"error": {"message": "wrong key sk-back"}}, 502, "backend_error"),
        (404, {"error": {"message": "no such model"}}, 502, "backend_error"),
        (429, {}, 429, "rate_limit_exceeded"),
        (500, {"error": {"message": "stack trace"}}, 502, "backend_error"),
        (503, {"error": {"message": "Loading model"}}, 503, "backend_unavailable"),
    ],
)
def test_refusals_and_failures_become_errors_of_the_openai_api(
    relay: Relay, status: int, body: dict[str, Any], expected: int, code: str
) -> None:
    relay.stub.answer = lambda handler: reply(handler, status, json.dumps(body).encode(), retry_after="7")
    with relay.app.http() as http:
        for stream in (False, True):
            answer = http.post(_CHAT, json={**_HI, "stream": stream})
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (expected, code)
            assert "sk-back" not in answer.text
            assert "stack trace" not in answer.text
            assert answer.headers.get("retry-after") == ("7" if status in (429, 503) else None)


def test_a_model_server_that_is_away_is_503_and_not_ready_until_it_is_back(start: Start, stub: Stub) -> None:
    app = start(BACKEND_URL="http://127.0.0.1:9", BACKEND_MODEL="stub", BACKEND_CONNECT_SECONDS="0.5")
    with app.http() as http:
        assert http.get("/healthz").status_code == 200
        ready = http.get("/readyz")
        assert (ready.status_code, "cannot be reached" in ready.json()["reason"]) == (503, True)
        answer = http.post(_CHAT, json=_HI)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
        assert answer.headers["retry-after"] == "1"
    stub.model = "other"
    wrong = start(BACKEND_URL=stub.url, BACKEND_MODEL="stub")
    with wrong.http() as http:
        assert "does not serve 'stub', only other" in http.get("/readyz").json()["reason"]
        stub.model = "stub"
        wait_for(lambda: http.get("/readyz").status_code == 200, "ready again")


def test_a_silent_model_server_is_504_and_a_broken_one_502(start: Start, stub: Stub) -> None:
    release = threading.Event()
    app = start(BACKEND_URL=stub.url, BACKEND_SILENCE_SECONDS="0.4")
    with app.http() as http:
        stub.answer = lambda _: release.wait(30)
        answer = http.post(_CHAT, json=_HI)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "backend_timeout")
        release.set()
        stub.answer = lambda handler: reply(handler, 200, b"<html>", "text/html")
        for stream in (False, True):
            answer = http.post(_CHAT, json={**_HI, "stream": stream})
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "backend_error")


def test_a_connection_that_dies_before_the_answer_is_tried_once_more(relay: Relay) -> None:
    def die_first(handler: Any) -> None:
        if len(relay.stub.requests) == 1:
            handler.close_connection = True
        else:
            completion(handler)

    relay.stub.answer = die_first
    with relay.app.http() as http:
        assert http.post(_CHAT, json=_HI).status_code == 200
        assert len(relay.stub.requests) == 2
        relay.stub.answer = lambda handler: setattr(handler, "close_connection", True)
        answer = http.post(_CHAT, json=_HI)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "backend_error")
    assert len(relay.stub.requests) == 4


def test_a_stream_that_breaks_ends_with_an_error_the_client_raises(relay: Relay) -> None:
    def break_off(handler: Any) -> None:
        begin_events(handler)
        event(handler, "a")
        event(handler, "b")
        handler.close_connection = True

    relay.stub.answer = break_off
    seen = []
    with openai.OpenAI(base_url=f"{relay.app.url}/v1", api_key=KEY, max_retries=0) as client:
        stream = client.chat.completions.create(model="stub", messages=_HI["messages"], stream=True)
        with pytest.raises(openai.APIError, match="broke"):
            seen.extend(chunk.choices[0].delta.content for chunk in stream)
    assert seen == ["a", "b"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_ends_its_request_at_the_model_server(relay: Relay, stream: bool) -> None:
    arrived, ended = threading.Event(), threading.Event()

    def watch(handler: Any) -> None:
        if stream:
            begin_events(handler)
            event(handler, "a")
        arrived.set()
        # Nothing more comes from the application but the end of the connection.
        if handler.connection.recv(1) == b"":
            ended.set()
        handler.close_connection = True

    relay.stub.answer = watch
    body = json.dumps({**_HI, "stream": stream})
    with relay.app.connect() as connection:
        head = f"POST {_CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        assert arrived.wait(30)
    assert ended.wait(30), "the model server still works for nobody"
    wait_for(lambda: relay.app.metric("assistant_requests_active") == 0, "the place is free again")
    wait_for(lambda: '"client_gone": true' in relay.app.output(), "the log says so")


def test_connections_are_reused_for_a_while_only(start: Start, stub: Stub) -> None:
    app = start(BACKEND_URL=stub.url, BACKEND_MODEL="stub")
    with app.http() as http:
        for _ in range(5):
            assert http.post(_CHAT, json=_HI).status_code == 200
        assert len(stub.connections) == 1
    stub.connections.clear()
    app = start(BACKEND_URL=stub.url, BACKEND_MODEL="stub", BACKEND_CONNECTION_SECONDS="0")
    with app.http() as http:
        for _ in range(3):
            assert http.post(_CHAT, json=_HI).status_code == 200
    assert len(stub.connections) == 3
    stub.connections.clear()
    app = start(BACKEND_URL=stub.url, BACKEND_MODEL="stub", BACKEND_CONNECTION_SECONDS="0.1")
    with app.http() as http:
        wait_for(
            lambda: http.post(_CHAT, json=_HI).status_code == 200 and len(stub.connections) >= 3,
            "connections are replaced under load",
        )
