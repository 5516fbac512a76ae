"""A stack of the pulumi engine on the stand-in for its CLI, and a server that knows leases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmos.engines.base import EngineRun
from llmos.paths import PROJECT_ROOT
from tests.llmos.engines.lease_server import LeaseKube, LeaseServer
from tests.llmos.engines.pulumi_standin import Standin, install, kubectl


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """The stand-in, first on the PATH of a user who is logged in nowhere."""
    standin = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(standin.bin), os.environ["PATH"]]))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    kubectl(tmp_path, owner="pulumi")
    return standin


@pytest.fixture
def said() -> list[str]:
    """What the engine reported as progress."""
    return []


@pytest.fixture
def run(tmp_path: Path, standin: Standin, said: list[str]) -> EngineRun:
    return EngineRun(
        stack="dev", stack_file=PROJECT_ROOT / "Pulumi.dev.yaml", environment="dev", namespace="assistant",
        kubeconfig=tmp_path / "kubeconfig", kubectl=tmp_path / "kubectl", progress=said.append,
    )  # fmt: skip


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


@pytest.fixture
def kube(server: LeaseServer) -> LeaseKube:
    return LeaseKube(server=server)
