"""Stacks of the tests' own on the embedded cluster."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.cli import run
from llmos.cluster.info import ClusterInfo
from llmos.failures import reported
from llmos.kube import Kube
from tests.e2e.buildkitd import build_machine, build_programs, buildkitd
from tests.e2e.real_node import real_cluster

__all__ = [
    "build_machine", "build_programs", "buildkitd", "command_line", "kube", "llmos", "real_cluster", "small", "stack",
]  # fmt: skip

Llmos = Callable[..., "Said"]
Write = Callable[[Mapping[str, Any]], Path]
# An image that exists; nothing is pulled on simulated nodes.
REF = "docker.io/library/app@sha256:" + "1" * 64


@pytest.fixture(scope="session")
def kube(embedded_cluster: ClusterInfo) -> Kube:
    return Kube(
        kubectl=embedded_cluster.kubectl, kubeconfig=embedded_cluster.kubeconfig, context=embedded_cluster.context
    )


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def command_line(*arguments: str) -> Said:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), reported(debug=False) as outcome:
        outcome.exit_code = run(arguments)
    return Said(returncode=outcome.exit_code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture
def llmos(embedded_cluster: ClusterInfo, monkeypatch: pytest.MonkeyPatch) -> Llmos:
    """The command line against the test cluster, in this process: starting Python and importing takes seconds."""
    monkeypatch.setenv("LLMOS_CLUSTER", embedded_cluster.name)
    monkeypatch.setenv("COLUMNS", "200")

    return command_line


@pytest.fixture
def stack(tmp_path: Path, llmos: Llmos, request: pytest.FixtureRequest) -> Iterator[Write]:
    """Write a stack file of the test's own; what it deployed is destroyed afterwards."""
    path = tmp_path / f"Pulumi.t{zlib.crc32(request.node.name.encode())}.yaml"

    def write(raw: Mapping[str, Any]) -> Path:
        path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": dict(raw)}}), encoding="utf-8")
        return path

    yield write
    if path.exists():
        llmos("destroy", "--file", str(path), "--engine", "kubectl")


@pytest.fixture
def small() -> dict[str, Any]:
    """One application and one model on a GPU."""
    return {
        "target": "local",
        "applications": {"web": {"image": {"ref": REF}, "model": "chat", "replicas": 2}},
        "models": {
            "chat": {
                "source": "Qwen/Qwen3-8B",
                "revision": "b968826d9c46dd6066d109eabc6255188de91218",
                "hardware": {"instance_type": "g6.xlarge"},
            }
        },
    }
