"""A stack on two real nodes of the embedded cluster, as the place of faults and updates."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks._balancer import Balancer
from benchmarks._cluster_stack import APPLICATION, MODEL, STACK, first_stack, images
from llmos.cluster import embedded
from llmos.cluster.info import ClusterInfo
from llmos.kube import Kube, KubeObject
from llmos.paths import PROJECT_ROOT

__all__ = ["APPLICATION", "MODEL", "ClusterWorld", "Said", "cluster_world", "ended", "said_line"]

_UP_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    text: str


@dataclass(kw_only=True)
class ClusterWorld:
    """The stack, changed by ``up`` and looked at by kubectl.

    Attributes:
        info: the cluster.
        folder: of the stack file.
        images: references with digest by what they are: ``first``, ``second`` (the same program, another digest) and
            ``broken`` (ends as it starts).
        raw: the stack that was last deployed whole.
        balancer: in front of the Service; None: requests go to the Service itself.
    """

    info: ClusterInfo
    folder: Path
    images: dict[str, str]
    raw: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    balancer: Balancer | None = None
    key: str = field(default="", repr=False)

    @property
    def namespace(self) -> str:
        return f"llmagentos-{STACK}"

    @property
    def kube(self) -> Kube:
        return Kube(kubectl=self.info.kubectl, kubeconfig=self.info.kubeconfig, context=self.info.context)

    def changed(self, **application: Any) -> dict[str, Any]:
        """The stack with other settings of the application."""
        applications = {APPLICATION: {**self.raw["applications"][APPLICATION], **application}}
        return {**self.raw, "applications": applications}

    def with_model(self, **model: Any) -> dict[str, Any]:
        """The stack with other settings of the model server."""
        return {**self.raw, "models": {MODEL: {**self.raw["models"][MODEL], **model}}}

    def begin_up(self, raw: Mapping[str, Any], *words: str) -> subprocess.Popen[str]:
        """Start to deploy ``raw``, as a process of its own."""
        path = self.folder / f"Pulumi.{STACK}.yaml"
        path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": dict(raw)}}), encoding="utf-8")
        return self._command("up", "--yes", "--engine", "kubectl", "--file", str(path), *words)

    def up(self, raw: Mapping[str, Any], *words: str) -> Said:
        """Deploy ``raw`` and wait for the end; what came to its end becomes the stack that is to be whole."""
        said = ended(self.begin_up(raw, *words))
        if said.code == 0:
            self.raw = dict(raw)
        return said

    def must_up(self, raw: Mapping[str, Any]) -> None:
        """The same, where it must succeed."""
        said = self.up(raw)
        assert said.code == 0, f"up ended with {said.code}: {said.text[-2000:]}"

    def restore(self) -> None:
        """Start what does not run, and deploy once more what is to be whole."""
        self.heal()
        self.must_up(self.raw)

    def heal(self) -> None:
        """``cluster up``: start what does not run."""
        said = ended(self._command("cluster", "up"))
        assert said.code == 0, f"cluster up ended with {said.code}: {said.text[-2000:]}"

    def destroy(self) -> Said:
        """Take the stack away."""
        path = self.folder / f"Pulumi.{STACK}.yaml"
        return ended(self._command("destroy", "--yes", "--engine", "kubectl", "--file", str(path)))

    def pods(self, name: str = APPLICATION) -> list[KubeObject]:
        """Of an application or a model server, those on their way out included."""
        return self.kube.get("pods", "-n", self.namespace, "-l", f"app.kubernetes.io/name={name}")

    def whole(self) -> bool:
        """Whether every Deployment has exactly what it wants, ready, and no pod is on its way out."""
        deployments = self.kube.get("deployments", "-n", self.namespace)
        pods = self.kube.get("pods", "-n", self.namespace)
        leaving = [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]
        return bool(deployments) and not leaving and all(_settled(one) for one in deployments)

    def main_process(self, pod: KubeObject) -> psutil.Process:
        """The first process of a pod's container, as the machine sees it."""
        uid = pod["metadata"]["uid"]
        for process in psutil.process_iter(["pid", "cmdline"]):
            group = Path(f"/proc/{process.pid}/cgroup")
            if "assistant" in " ".join(process.info["cmdline"] or ()) and group.is_file():
                text = group.read_text(encoding="utf-8")
                if uid in text or uid.replace("-", "_") in text:
                    return process
        raise AssertionError(f"pod {pod['metadata']['name']} has no process on this machine")

    def component(self, name: str) -> psutil.Process:
        """A process of the cluster: etcd, kube-apiserver, kubelet ..."""
        for state in embedded.status(name=self.info.name).processes:
            if state.name == name and state.pid is not None:
                return psutil.Process(state.pid)
        raise AssertionError(f"{name} does not run")

    def _command(self, *words: str) -> subprocess.Popen[str]:
        env = {**os.environ, "LLMOS_CLUSTER": self.info.name}
        return subprocess.Popen(
            [sys.executable, "-m", "llmos", *words], cwd=PROJECT_ROOT, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip

    def find_entry(self) -> None:
        """Learn the address of the Service and the key of its callers; both are others after a ``destroy``."""
        (service,) = self.kube.get("service", APPLICATION, "-n", self.namespace)
        given = service["status"].get("loadBalancer", {}).get("ingress") or [{}]
        address = given[0].get("ip") or service["spec"]["clusterIP"]
        port = service["spec"]["ports"][0]["port"]
        if self.balancer:
            self.balancer.endpoints = [(address, port)]
        self.url = self.balancer.url if self.balancer else f"http://{address}:{port}"
        (secret,) = self.kube.get("secret", f"{APPLICATION}-api-keys", "-n", self.namespace)
        self.key = base64.b64decode(secret["data"]["keys"]).decode().split(",")[0].strip()


def said_line(process: subprocess.Popen[str], part: str) -> str:
    """Wait until a command says a line with ``part``; what it has said by then, for ``ended``."""
    text = ""
    for line in process.stdout or ():
        text += line
        if part in line:
            return text
    raise AssertionError(f"it never came to {part!r}: {text[-2000:]}")


def ended(process: subprocess.Popen[str], *, before: str = "") -> Said:
    """What a command said in all, ``before`` included."""
    text, _ = process.communicate(timeout=_UP_SECONDS)
    return Said(code=process.returncode, text=before + text)


def _settled(deployment: KubeObject) -> bool:
    wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    return counts == [wanted] * 4 and status.get("observedGeneration") == deployment["metadata"]["generation"]


@contextmanager
def cluster_world(*, cluster: str, direct: bool = False) -> Iterator[ClusterWorld]:
    """Three applications and two stand-ins of a model server in real pods; taken down at the end, with the cluster if
    it was not there before. Requests come through a load balancer on loopback; ``direct``: to the Service."""
    there = embedded.status(name=cluster).exists
    info = embedded.up(name=cluster, nodes=2)
    with tempfile.TemporaryDirectory(prefix="llmos-reliability-") as name:
        folder = Path(name)
        try:
            # kube-proxy sends new connections to a killed pod until the news has gone round, and they are refused.
            with nullcontext() if direct else Balancer() as balancer:
                world = ClusterWorld(info=info, folder=folder, images=images(folder), balancer=balancer)
                world.must_up(first_stack(world.images["first"]))
                world.find_entry()
                yield world
        finally:
            if there:
                world.destroy()
            else:
                embedded.down(name=cluster)
