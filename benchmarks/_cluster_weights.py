"""Weights that find no room where a model server keeps them, under load."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from benchmarks._cluster_rollouts import fails_and_goes_back
from benchmarks._cluster_stack import standin_command
from benchmarks._cluster_world import ClusterWorld
from benchmarks._scenarios import Context, Registry
from llmos.cluster.record import Record

__all__ = ["WEIGHTS"]

WEIGHTS = Registry()
_MODEL, _SOURCE = "fetched", "example/weights"
_SMALL, _LARGE = "a" * 40, "b" * 40
_SIZES = {_SMALL: 1 << 20, _LARGE: 24 << 20}
_TIGHT, _ROOMY = "8Mi", "64Mi"
_FULL = "no room on the volume: .*; state a larger weights.size"


@contextmanager
def _served(world: ClusterWorld) -> Iterator[str]:
    """The application over a model whose weights a container of the product's own has fetched; yields the hub's URL.

    Before the load begins: the NetworkPolicy of an application follows its model at once, so the replicas that are
    replaced meanwhile are refused by the one that they still use.
    """
    before, record = world.raw, Record.read(world.info.name)
    assert record is not None, "the cluster has a record"
    with _hub(record.network.host_address) as endpoint:
        world.must_up(_stack(world, endpoint, revision=_SMALL, room=_TIGHT))
        yield endpoint
        world.must_up(before)


@WEIGHTS.scenario(
    "weight-cache-full", "new weights find no room in the cache; `up` says so, and the old ones go on", around=_served
)
def _weight_cache_full(context: Context) -> None:
    world, endpoint = context.world, context.given
    assert world.pods(_MODEL), "the model server runs on the real node"
    # Once the hub's list says how much is to come, and once it turns out while it comes.
    fails_and_goes_back(world, _stack(world, endpoint, revision=_LARGE, room=_TIGHT), reason=_FULL)
    pins = {"model.safetensors": hashlib.sha256(_weights(_LARGE)).hexdigest()}
    fails_and_goes_back(world, _stack(world, endpoint, revision=_LARGE, room=_TIGHT, sha256=pins), reason=_FULL)
    world.must_up(_stack(world, endpoint, revision=_LARGE, room=_ROOMY))


def _stack(world: ClusterWorld, endpoint: str, *, revision: str, room: str, **weights: Any) -> dict[str, Any]:
    """The stack with a model whose weights are fetched. Its pods are those of vLLM, with a stand-in in place of the
    program that needs a GPU, and a volume whose size every node enforces: in memory."""
    none = {"nvidia.com/gpu": None, "cpu": "50m", "memory": "256Mi"}
    server = {
        "name": "server", "command": standin_command(_MODEL, port=8000), "args": [],
        "resources": {"requests": none, "limits": {**none, "cpu": "1"}},
    }  # fmt: skip
    override = {
        "containers": [server], "nodeSelector": None, "tolerations": None, "affinity": None,
        "initContainers": [{"name": "weights-fetch", "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}}],
        "volumes": [{"name": "weights", "emptyDir": {"medium": "Memory", "sizeLimit": room}}],
    }  # fmt: skip
    model = {
        "source": _SOURCE, "revision": revision, "image": world.images["first"], "replicas": 2, "context_tokens": 2048,
        "hardware": {"instance_type": "g6.xlarge", "gpus": 1}, "hub": {"endpoint": endpoint},
        "weights": {"download": "init", **weights}, "pod_overrides": override,
    }  # fmt: skip
    raw = world.changed(model=_MODEL)
    return {**raw, "models": {**raw["models"], _MODEL: model}}


def _weights(revision: str) -> bytes:
    return revision.encode()[:1] * _SIZES[revision]


@contextmanager
def _hub(address: str) -> Iterator[str]:
    """A model hub with two revisions of one repository, where the pods of a cluster reach it."""
    server = _Server((address, 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{address}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Who finds no room for more of a file hangs up."""


class _Hub(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        revision = next((one for one in _SIZES if one in path), "")
        if not revision:
            self.send_error(404)
            return
        body = _weights(revision)
        if "/tree/" in path:
            sha256 = hashlib.sha256(body).hexdigest()
            large = {"oid": sha256, "size": len(body), "pointerSize": 130}
            entry = {"type": "file", "path": "model.safetensors", "size": len(body), "oid": "0" * 40, "lfs": large}
            body = json.dumps([entry]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", revision)
        self.end_headers()
        self.wfile.write(body)
