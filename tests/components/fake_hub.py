"""A model hub on this machine: the list of a revision, and its files behind a redirect to another host."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

__all__ = ["FakeHub", "running_hub", "sha256"]

LARGE = 4096
PAGE = 3


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class FakeHub:
    """What the hub holds and how it misbehaves; everything may be changed while it runs.

    Attributes:
        source, revision: the one repository.
        files: its content by name; those above ``LARGE`` bytes are kept as LFS, with a SHA-256 in the list.
        token: what a caller must bring; none when empty.
        answers: status codes that the next requests of a file get before it is served.
        corrupt: names whose content arrives wrong; a number of times.
        half: names of which half is sent; the rest follows once ``gate`` is set.
        seen: (host, path, range, authorization) of each request.
    """

    source: str = "org/model"
    revision: str = "a" * 40
    files: dict[str, bytes] = field(default_factory=dict)
    token: str = ""
    commit: str = ""
    answers: list[int] = field(default_factory=list)
    corrupt: dict[str, int] = field(default_factory=dict)
    half: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    half_sent: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[str, str, str, str]] = field(default_factory=list)
    endpoint: str = ""
    cdn: str = ""

    def entries(self) -> list[dict[str, Any]]:
        """As ``/api/models/<source>/tree/<revision>`` lists them."""
        found: list[dict[str, Any]] = [{"type": "directory", "path": "onnx", "oid": "0" * 40, "size": 0}]
        for name, content in sorted(self.files.items()):
            size = self.sizes.get(name, len(content))
            entry = {
                "type": "file", "path": name, "size": size,
                "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
            }  # fmt: skip
            if len(content) > LARGE:
                entry["lfs"] = {"oid": sha256(content), "size": size, "pointerSize": 130}
            found.append(entry)
        return found

    def requests(self, name: str = "") -> list[str]:
        """Ranges of the requests for one file's content, in order; of all files without a name."""
        return [span for host, path, span, _ in self.seen if host == "cdn" and path.endswith(name)]


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    host: str

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub, path = self.hub, urlsplit(self.path).path
        authorization = self.headers.get("Authorization", "")
        hub.seen.append((self.host, path, self.headers.get("Range", ""), authorization))
        if self.host == "cdn":
            self._content(path.removeprefix("/"))
        elif hub.token and authorization != f"Bearer {hub.token}":
            self._reply(401)
        elif path == f"/api/models/{hub.source}/tree/{hub.revision}":
            self._tree()
        elif path.startswith(f"/{hub.source}/resolve/{hub.revision}/"):
            self._resolve(path.rpartition(f"{hub.revision}/")[2])
        else:
            self._reply(404)

    def _tree(self) -> None:
        entries, query = self.hub.entries(), urlsplit(self.path).query
        start = int(query.rpartition("cursor=")[2]) if "cursor=" in query else 0
        link = {}
        if start + PAGE < len(entries):
            following = f"{self.hub.endpoint}{urlsplit(self.path).path}?recursive=true&cursor={start + PAGE}"
            link = {"Link": f'<{following}>; rel="next"'}
        self._reply(200, json.dumps(entries[start : start + PAGE]).encode(), **link)

    def _resolve(self, name: str) -> None:
        hub = self.hub
        if name not in hub.files:
            self._reply(404)
        elif hub.answers:
            self._reply(hub.answers.pop(0))
        else:
            commit = {"X-Repo-Commit": hub.commit or hub.revision}
            if len(hub.files[name]) > LARGE:
                self._reply(302, Location=f"{hub.cdn}/{name}", **commit)
            else:
                hub.seen.append(("cdn", name, self.headers.get("Range", ""), ""))
                self._reply(200, self._bytes(name), **commit)

    def _bytes(self, name: str) -> bytes:
        content, left = self.hub.files[name], self.hub.corrupt.get(name, 0)
        if left:
            self.hub.corrupt[name] = left - 1
            return bytes([content[0] ^ 1]) + content[1:]
        return content

    def _content(self, name: str) -> None:
        content = self._bytes(name)
        start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") :].rstrip("-"))
        if start >= len(content):
            self._reply(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if name in self.hub.half and not start:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.hub.half_sent.set()
            self.hub.gate.wait(60)
            start = len(content) // 2
        self.wfile.write(content[start:])

    def _reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that are killed leave broken connections behind; that is what some tests are about."""


@contextmanager
def _serving(hub: FakeHub, host: str, wrap: Callable[[Any], Any]) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub, "host": host}))
    server.socket = wrap(server.socket)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        hub.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running_hub(*, tls: ssl.SSLContext | None = None, **content: Any) -> Iterator[FakeHub]:
    """A hub that runs, with its files on a second address."""
    hub = FakeHub(**content)

    def wrap(socket: Any) -> Any:
        return tls.wrap_socket(socket, server_side=True) if tls else socket

    with _serving(hub, "hub", wrap) as port, _serving(hub, "cdn", wrap) as cdn:
        scheme = "https" if tls else "http"
        hub.endpoint, hub.cdn = f"{scheme}://localhost:{port}", f"{scheme}://localhost:{cdn}"
        yield hub
