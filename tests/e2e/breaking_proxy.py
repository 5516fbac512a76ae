"""An API server that stops answering after so many writes: to the cluster the same as a client killed there."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_KILLED = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
           "message": "the client is dead"}  # fmt: skip


class BreakingProxy:
    """In front of a real API server, on a port of its own.

    Attributes:
        kubeconfig: leads to the proxy.
        broke: whether a request was refused since :meth:`allow`.
    """

    def __init__(self, server: str, tls: ssl.SSLContext, folder: Path) -> None:
        self._address, self._tls = server.removeprefix("https://"), tls
        self._left: float = float("inf")
        self._mutex = threading.Lock()
        self.broke = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.kubeconfig = folder / "proxy.yaml"
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": url}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "users": [{"name": "proxy", "user": {}}],
        }), encoding="utf-8")  # fmt: skip

    def allow(self, writes: float) -> None:
        """Let so many writes through; then the first one that is refused refuses everything after it."""
        with self._mutex:
            self._left, self.broke = writes, False

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def admits(self, method: str, path: str) -> bool:
        """Count a request, and say whether it goes through."""
        with self._mutex:
            if method != "GET" and "dryRun=All" not in path:
                self._left -= 1
            self.broke = self.broke or self._left < 0
            return not self.broke

    def forward(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Hand a request on, and the answer back as it comes (watches do not end)."""
        connection = http.client.HTTPSConnection(self._address, context=self._tls)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        connection.request(request.command, request.path, body, headers)
        answer = connection.getresponse()
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                request.send_header(name, value)
        request.send_header("Connection", "close")
        request.end_headers()
        while data := answer.read1(65536):
            request.wfile.write(data)
            request.wfile.flush()
        connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.close_connection = True
                if proxy.admits(self.command, self.path):
                    proxy.forward(self, body)
                    return
                said = json.dumps(_KILLED).encode()
                self.send_response(403)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@contextmanager
def breaking_proxy(kubeconfig: Path, folder: Path) -> Iterator[BreakingProxy]:
    """A proxy to the cluster that a kubeconfig names."""
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    tls = ssl.create_default_context(cafile=str(_file(cluster, "certificate-authority", folder)))
    tls.load_cert_chain(_file(user, "client-certificate", folder), _file(user, "client-key", folder))
    proxy = BreakingProxy(cluster["server"], tls, folder)
    try:
        yield proxy
    finally:
        proxy.close()


def _file(entry: dict[str, str], name: str, folder: Path) -> Path:
    if name in entry:
        return Path(entry[name])
    path = folder / name
    path.write_bytes(base64.b64decode(entry[f"{name}-data"]))
    return path
