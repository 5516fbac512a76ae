"""Stacks that the real Pulumi engine deploys to the embedded cluster, which plays a cluster of the user's own."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.cluster.info import ClusterInfo
from llmos.kube import Kube, KubeObject, as_list
from llmos.paths import cache_dir
from tests.e2e.conftest import REF, Llmos, Said

__all__ = ["NEEDED", "EngineStack", "application", "engine_stack"]

NEEDED = [
    pytest.mark.engine,
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="`pulumi` is not on PATH"),
]


def application(**changes: Any) -> dict[str, Any]:
    """An application by digest, which nothing pulls on simulated nodes."""
    return {"image": {"ref": REF}, "replicas": 2, **changes}


class EngineStack:
    """One stack with the state in a folder of the test's.

    Attributes:
        name: the stack's name.
        file: the stack file.
        namespace: where it goes, unless a stack file says otherwise.
    """

    def __init__(self, *, file: Path, namespace: str, context: str, kube: Kube, llmos: Llmos) -> None:
        self.name = file.name.split(".")[1]
        self.file, self.namespace, self._context, self._kube, self._llmos = file, namespace, context, kube, llmos

    def write(self, applications: Mapping[str, Any], **changes: Any) -> None:
        raw = {
            "target": "kubernetes", "environment": "dev", "context": self._context,
            "namespace": {"name": self.namespace}, "applications": dict(applications), **changes,
        }  # fmt: skip
        self.file.write_text(yaml.safe_dump({"config": {"llmagentos:stack": raw}}), encoding="utf-8")

    def run(self, *words: str, code: int = 0) -> Said:
        """A command of ours by the pulumi engine; what it says if it ends otherwise than expected."""
        yes = ["--yes"] if words[0] in ("up", "destroy") else []
        done = self._llmos(*words, *yes, "--engine", "pulumi", "--file", str(self.file))
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def live(self, kind: str, name: str = "", *, namespace: str = "") -> KubeObject | None:
        """An object of the stack's namespace, or None."""
        found = self._kube.get(kind, name, "-n", namespace or self.namespace)
        return found[0] if found else None

    def apply(self, item: KubeObject) -> None:
        """An object that somebody else makes in the stack's namespace."""
        self._kube.run("apply", "-n", self.namespace, "-f", "-", stdin=as_list([item]))

    def kubectl(self, *words: str) -> None:
        """What somebody does by hand in the stack's namespace."""
        self._kube.run(*words, "-n", self.namespace)


@pytest.fixture
def engine_stack(
    embedded_cluster: ClusterInfo, kube: Kube, llmos: Llmos, tmp_path: Path, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[EngineStack]:
    """A stack of the test's own. Its namespace goes afterwards, whether it was destroyed or not."""
    name = f"e{zlib.crc32(request.node.name.encode())}"
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setenv("KUBECONFIG", str(embedded_cluster.kubeconfig))
    monkeypatch.setenv("PULUMI_BACKEND_URL", state.as_uri())
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "test")
    monkeypatch.delenv("PULUMI_ACCESS_TOKEN", raising=False)
    stack = EngineStack(
        file=tmp_path / f"Pulumi.{name}.yaml", namespace=f"space-{name}", context=embedded_cluster.context, kube=kube,
        llmos=llmos,
    )  # fmt: skip
    yield stack
    kube.run("delete", "namespace", stack.namespace, "--ignore-not-found", "--wait=false")
    shutil.rmtree(cache_dir() / "pulumi" / name, ignore_errors=True)
