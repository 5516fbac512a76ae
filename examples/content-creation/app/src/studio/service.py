"""The HTTP side: keys, limits, a stream of Markdown, probes, and an end that lets running articles finish."""

from __future__ import annotations

import hmac
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from studio.article import Brief, outline, write
from studio.model import ModelError, ModelServer, Placeholder

__all__ = ["Service"]

_LONGEST_BODY = 4096


class Service(ThreadingHTTPServer):
    """The studio on one port.

    Args:
        address: host and port to listen on.
        model: who writes.
        keys: callers' API keys; none lets anybody in.
        concurrent: articles at a time; more are asked to come back.
    """

    # Closing waits for the threads of running requests.
    daemon_threads, block_on_close = False, True

    def __init__(
        self, address: tuple[str, int], *, model: ModelServer | Placeholder, keys: Sequence[str], concurrent: int = 8
    ) -> None:
        super().__init__(address, _Handler)
        self.model, self.keys, self.stopping = model, tuple(key.encode() for key in keys), False
        self.places = threading.BoundedSemaphore(concurrent)

    def log(self, **values: object) -> None:
        """One JSON line; never a topic, a text or a key."""
        print(json.dumps({"time": round(time.time(), 3), **values}), file=sys.stderr, flush=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Service

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif self.path == "/readyz":
            ready = not self.server.stopping and self.server.model.ready()
            self._answer(200 if ready else 503, {"status": "ready" if ready else "not ready"})
        else:
            self._refuse(404, "there is POST /v1/articles, and GET /healthz and /readyz")

    def do_POST(self) -> None:
        # Whatever is refused before its body was read ends the connection: the body would be taken for a request.
        self.close_connection = True
        if self.path != "/v1/articles":
            self._refuse(404, "there is POST /v1/articles")
        elif not self._known():
            self._refuse(401, "give an API key: Authorization: Bearer KEY")
        elif self.server.stopping or not self.server.places.acquire(blocking=False):
            self._refuse(503, "busy; come back in a moment")
        else:
            try:
                self._article()
            finally:
                self.server.places.release()

    def _known(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        # Every key is compared, and each in constant time, so that the time taken tells nothing.
        matches = [hmac.compare_digest(given, key) for key in self.server.keys]
        return any(matches) or not matches

    def _article(self) -> None:
        started = time.monotonic()
        try:
            brief = self._brief()
            headings = outline(brief, self.server.model)
        except ValueError as error:
            return self._refuse(400, str(error))
        except ModelError as error:
            self.server.log(event="article", outcome=str(error))
            return self._refuse(502, str(error))
        outcome = self._stream(write(brief, headings, self.server.model))
        seconds = round(time.monotonic() - started, 3)
        self.server.log(event="article", sections=brief.sections, words=brief.words, seconds=seconds, outcome=outcome)

    def _brief(self) -> Brief:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LONGEST_BODY:
            raise ValueError(f"send a body of at most {_LONGEST_BODY} bytes, with its Content-Length")
        try:
            raw = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise ValueError("the body is not JSON in UTF-8") from error
        return Brief.parse(raw)

    def _stream(self, pieces: Iterator[str]) -> str:
        """Send the article as it comes; returns how it ended."""
        self.send_response(200)
        self.send_header("Content-Type", "text/markdown; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        outcome = "done"
        try:
            for piece in pieces:
                self._chunk(piece)
        except ModelError as error:
            # The status is out already; the reader must not take half an article for a whole one.
            outcome = str(error)
            self._chunk(f"\n\n[Broken off: {outcome}]\n")
        except OSError:
            return "the caller went away"
        self.wfile.write(b"0\r\n\r\n")
        return outcome

    def _chunk(self, text: str) -> None:
        data = text.encode("utf-8")
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"error": {"message": message}})

    def log_message(self, format: str, *args: object) -> None:
        """Access logs would hold nothing that the article's own line does not."""
