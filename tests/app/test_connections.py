"""Clients that are slow, too large or no HTTP clients: each gets an error of the OpenAI form, on real connections."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable

import pytest
from app_support import KEY, Running, Start, wait_for

from assistant.connection import MOST_HEAD_BYTES

_HEAD = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n".encode()
_BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}).encode()


def _received(connection: socket.socket) -> bytes:
    """Everything until the other side closes, orderly or not."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def _error(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    document = json.loads(body)
    assert set(document) == {"error"} and set(document["error"]) == {"message", "type", "param", "code"}
    assert b"content-type: application/json" in head.lower()
    return int(head.split()[1]), document["error"]["code"]


def _trickle(connection: socket.socket, data: Iterable[int], stop: threading.Event) -> None:
    """A byte every 50 ms, for ever if need be."""
    for one in data:
        if stop.wait(0.05):
            return
        try:
            connection.sendall(bytes([one]))
        except OSError:
            return


@pytest.mark.parametrize(
    ("first", "rest"),
    [(_HEAD + b"content-length: 500\r\n\r\n", b"{" * 500), (_HEAD[:20], _HEAD[20:] + b"x: " + b"y" * 500)],
    ids=["body", "headers"],
)
def test_a_request_that_trickles_in_gets_408_and_is_closed(start: Start, first: bytes, rest: bytes) -> None:
    app = start(CLIENT_READ_SECONDS="0.5")
    stop = threading.Event()
    with app.connect() as connection:
        connection.sendall(first)
        sender = threading.Thread(target=_trickle, args=(connection, rest, stop))
        sender.start()
        try:
            assert _error(_received(connection)) == (408, "request_timeout")
        finally:
            stop.set()
            sender.join()
    assert wait_for(lambda: app.metric("assistant_requests_in_flight") == 0, "the request has ended")
    with app.http() as http:
        assert http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"x" * 4 * MOST_HEAD_BYTES,
        _HEAD + b"x-long: " + b"y" * 4 * MOST_HEAD_BYTES,
        _HEAD + b"x: y\r\n" * MOST_HEAD_BYTES,
    ],
    ids=["path", "one header", "many headers"],
)
def test_a_head_without_end_is_refused_while_it_comes(app: Running, request_bytes: bytes) -> None:
    with app.connect() as connection:
        connection.sendall(request_bytes[: MOST_HEAD_BYTES - 1000])
        connection.sendall(request_bytes[MOST_HEAD_BYTES - 1000 : MOST_HEAD_BYTES + 1000])
        assert _error(_received(connection)) == (431, "headers_too_large")


def test_a_trailer_without_end_cuts_the_connection(app: Running) -> None:
    with app.connect() as connection:
        connection.sendall(_HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nx: " % (len(_BODY), _BODY))
        try:
            for _ in range(200):
                connection.sendall(b"y" * MOST_HEAD_BYTES)
        except OSError:
            return
        raise AssertionError("6 MiB of trailer were taken")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NOT HTTP\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        _HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        _HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        _HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        _HEAD + b"content-length: -5\r\n\r\n",
    ],
    ids=["tls", "no http", "bytes in the path", "two lengths", "length and chunks", "no chunk", "negative length"],
)
def test_what_is_no_http_gets_an_error_or_is_cut_and_never_an_answer(app: Running, request_bytes: bytes) -> None:
    with app.connect() as connection:
        connection.sendall(request_bytes)
        answer = _received(connection)
    # A body that breaks after its head was taken has a request in work, which ends without an answer.
    assert answer == b"" or _error(answer)[0] == 400
    with app.http() as http:
        assert http.get("/readyz").status_code == 200


def test_a_large_head_below_the_limit_and_a_chunked_body_in_small_pieces_are_answered(app: Running) -> None:
    with app.connect() as connection:
        connection.sendall(_HEAD + b"connection: close\r\nx-long: " + b"y" * (MOST_HEAD_BYTES - 1000))
        connection.sendall(b"\r\ntransfer-encoding: chunked\r\n\r\n")
        for one in _BODY:
            connection.sendall(b"1\r\n%c\r\n" % one)
        connection.sendall(b"0\r\n\r\n")
        assert _received(connection).startswith(b"HTTP/1.1 200 ")
