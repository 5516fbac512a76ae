"""A connection to the model server that cannot be made is tried again: nothing was sent, and another pod may answer."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from app_support import Start, completion, wait_for

_CHAT = "/v1/chat/completions"
_HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        completion(self)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_model_server_that_comes_back_in_time_answers_the_request_that_waited(start: Start) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = start(BACKEND_URL=f"http://127.0.0.1:{port}", BACKEND_MODEL="stub", BACKEND_CONNECT_SECONDS="30")
    with app.http(timeout=60) as http, ThreadPoolExecutor(1) as clients:
        answer = clients.submit(http.post, _CHAT, json=_HI)
        wait_for(lambda: app.metric("assistant_requests_active") == 1, "the request is at the model server")
        with HTTPServer(("127.0.0.1", port), _Handler) as server:
            serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            serving.start()
            try:
                assert answer.result().status_code == 200
            finally:
                server.shutdown()
                serving.join()


def test_a_host_that_swallows_connections_is_given_up_after_the_time_for_connecting(start: Start) -> None:
    with socket.socket() as full, socket.socket() as waiting:
        # Nobody accepts, and the queue has one place: further connections get no answer at all.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        app = start(BACKEND_URL=url, BACKEND_MODEL="stub", BACKEND_CONNECT_SECONDS="1.5", BACKEND_SILENCE_SECONDS="60")
        with app.http(timeout=60) as http:
            answer = http.post(_CHAT, json=_HI)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
