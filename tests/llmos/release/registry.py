"""An image registry in this process: manifests, blobs and uploads, with Basic or token authentication where wanted."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FakeRegistry", "digest_of", "serving"]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SIGNATURE_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass
class FakeRegistry:
    """What the registry holds, by repository; ``login`` is ``user:password`` and ``scheme`` how it is asked for."""

    address: str = ""
    login: str = ""
    scheme: str = "Basic"
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hold: threading.Event | None = None

    def put_blob(self, repository: str, body: bytes) -> dict[str, Any]:
        self.blobs[repository, digest_of(body)] = body
        return {"digest": digest_of(body), "size": len(body), "mediaType": "application/octet-stream"}

    def put_manifest(self, repository: str, content: dict[str, Any], media_type: str, *tags: str) -> str:
        body = json.dumps(content).encode()
        for name in (digest_of(body), *tags):
            self.manifests[repository, name] = (media_type, body)
        return digest_of(body)

    def image(self, repository: str, *, marker: str = "one", architecture: str = "amd64", tag: str = "t") -> str:
        """An image of one platform; its digest."""
        config = self.put_blob(repository, json.dumps({"os": "linux", "architecture": architecture}).encode())
        layer = self.put_blob(repository, f"layer {marker} {architecture}".encode())
        return self.put_manifest(repository, {"config": config, "layers": [layer]}, MANIFEST, tag)

    def index(self, repository: str, *architectures: str, marker: str = "one", attested: bool = False) -> str:
        """An image of several platforms; its digest."""
        entries: list[dict[str, Any]] = []
        for name in architectures:
            digest = self.image(repository, marker=marker, architecture=name, tag=f"{marker}-{name}")
            entries.append({"digest": digest, "platform": {"os": "linux", "architecture": name}})
        if attested:
            layer = {**self.put_blob(repository, b"statement"), "annotations": {
                "in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}}  # fmt: skip
            config = self.put_blob(repository, b"{}")
            digest = self.put_manifest(repository, {"config": config, "layers": [layer]}, MANIFEST)
            unknown = {"os": "unknown", "architecture": "unknown"}
            entries.append({"digest": digest, "platform": unknown, "annotations": {
                "vnd.docker.reference.type": "attestation-manifest"}})  # fmt: skip
        return self.put_manifest(repository, {"manifests": entries}, INDEX, marker)

    def sign(self, repository: str, digest: str, payload: bytes, signature: str) -> None:
        """Keep a signature as cosign does."""
        layer = {**self.put_blob(repository, payload), "mediaType": SIGNATURE_LAYER,
                 "annotations": {"dev.cosignproject.cosign/signature": signature}}  # fmt: skip
        content = {"config": self.put_blob(repository, b"{}"), "layers": [layer]}
        self.put_manifest(repository, content, MANIFEST, f"{digest.replace(':', '-')}.sig")


@contextmanager
def serving(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    """Serve it on a free port of loopback."""

    class Handler(_Handler):
        held = registry

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield registry
    finally:
        if registry.hold:
            registry.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    held: FakeRegistry

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _let_in(self) -> bool:
        """Whether the request may go on; otherwise it has been answered."""
        registry, given = self.held, self.headers.get("Authorization", "")
        registry.asked.append(f"{self.command} {self.path}")
        if registry.hold and not registry.hold.wait(60):
            return False
        if self.path.startswith("/token"):
            right = given == "Basic " + base64.b64encode(registry.login.encode()).decode()
            self._answer(200 if right else 401, json.dumps({"token": "granted"}).encode())
            return False
        basic = "Basic " + base64.b64encode(registry.login.encode()).decode()
        if not registry.login or given == ("Bearer granted" if registry.scheme == "Bearer" else basic):
            return True
        realm = f'Bearer realm="http://{registry.address}/token",service="fake",scope="repository:x:pull"'
        self._answer(401, WWW_Authenticate=realm if registry.scheme == "Bearer" else 'Basic realm="fake"')
        return False

    def _find(self) -> None:
        if not self._let_in():
            return
        parts = urllib.parse.urlsplit(self.path).path.removeprefix("/v2/")
        repository, kind, name = _split(parts)
        if kind == "manifests" and (repository, name) in self.held.manifests:
            media_type, body = self.held.manifests[repository, name]
            self._answer(200, body, Content_Type=media_type)
        elif kind == "blobs" and (repository, name) in self.held.blobs:
            self._answer(200, self.held.blobs[repository, name])
        else:
            self._answer(404)

    do_GET = do_HEAD = _find

    def do_POST(self) -> None:
        if self._let_in():
            self._answer(202, Location=f"{urllib.parse.urlsplit(self.path).path}1?state=x")

    def do_PUT(self) -> None:
        if not self._let_in():
            return
        place = urllib.parse.urlsplit(self.path)
        repository, kind, name = _split(place.path.removeprefix("/v2/"))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if kind == "manifests":
            for key in (name, digest_of(body)):
                self.held.manifests[repository, key] = (self.headers["Content-Type"], body)
        else:
            digest = urllib.parse.parse_qs(place.query)["digest"][0]
            if digest_of(body) != digest:
                self._answer(400)
                return
            self.held.blobs[repository, digest] = body
        self._answer(201)

    def log_message(self, *_: object) -> None:
        pass


def _split(path: str) -> tuple[str, str, str]:
    for kind in ("manifests", "blobs"):
        repository, found, name = path.partition(f"/{kind}/")
        if found:
            return repository, kind, name
    return path, "", ""
