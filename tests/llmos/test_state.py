"""How `up` and `status` say that an application is reached: a command line that can be run as it stands."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.kube import Kube
from llmos.session import Session
from llmos.stacks import load_stack
from llmos.state import show_state
from tests.llmos.fake_kubectl import FakeKubectl

REF = "example.com/web@sha256:" + "1" * 64


@pytest.fixture
def port() -> Iterator[int]:
    """A server that answers 404 to everything: it speaks HTTP, and that counts."""

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def shown(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str], **application: Any) -> list[str]:
    raw = {
        "target": "local", "namespace": {"name": "space"},
        "applications": {"web": {"image": {"ref": REF}, "endpoint": {"port": port}, **application}},
        "models": {"tiny": {"source": "builtin:tiny", "engine": "llama.cpp"}},
    }  # fmt: skip
    file = tmp_path / "Pulumi.t.yaml"
    file.write_text(yaml.safe_dump({"config": {"llmagentos:stack": raw}}), encoding="utf-8")
    cluster = FakeKubectl(tmp_path / "my cluster")
    cluster.answer("deployments", [{
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "space", "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {}}}, "status": {},
    }])  # fmt: skip
    ingress = [{"ip": "127.0.0.1"}]
    cluster.answer("service", [{
        "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "LoadBalancer", "ports": []},
        "status": {"loadBalancer": {"ingress": ingress}},
    }])  # fmt: skip
    kube = Kube(kubectl=cluster.kube.kubectl, kubeconfig=tmp_path / "my config", context="mine")
    session: Any = Session(
        stack=load_stack("t", file=file), engine=None, run=None, kube=kube, cluster="c", simulated=False, install=False,
    )  # type: ignore[arg-type]  # fmt: skip
    assert show_state(session)
    return capsys.readouterr().out.splitlines()


def test_the_key_is_read_from_the_very_cluster_and_the_model_is_the_one_that_is_served(
    tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(tmp_path, port, capsys, preset="customer-service", model="tiny")
    at = out.index(f"web: http://127.0.0.1:{port}")
    key, call = out[at + 1 :]
    words = shlex.split(key.strip().removeprefix("KEY=$(").removesuffix(")"))
    assert words[1:7] == ["--kubeconfig", str(tmp_path / "my config"), "--context", "mine", "-n", "space"]
    assert words[7:] == ["get", "secret", "web-api-keys", "-o", "go-template={{.data.keys | base64decode}}"]
    asked = shlex.split(call)
    assert asked[:2] == ["curl", f"http://127.0.0.1:{port}/v1/chat/completions"]
    assert json.loads(asked[asked.index("-d") + 1])["model"] == "tiny"
    assert asked[-2:] == ["-H", "Authorization: Bearer $KEY"]


def test_of_an_application_that_is_not_the_sample_only_the_key_is_known(
    tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(tmp_path, port, capsys)
    assert "curl" not in "".join(out) and out[-1].startswith("  KEY=$(")


def test_what_does_not_answer_here_is_no_url(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(tmp_path, 9, capsys)
    assert out[-2] == "web: Service 127.0.0.1:9 -> 8000, which does not answer from here"
