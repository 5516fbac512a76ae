"""The cluster with a real node that its tests share, and what there is of a node on this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from llmos.cluster import embedded
from llmos.cluster.info import ClusterInfo
from llmos.cluster.networks import Network
from llmos.cluster.node import able, links, removal
from llmos.cluster.node.layout import MARK, Layout
from llmos.cluster.processes import stop_all
from llmos.cluster.record import Record, cluster_folder
from llmos.kube import Kube
from planner.faults import LlmosError

__all__ = [
    "NAME", "PAUSE", "apply", "cube", "kernel_settings", "layout", "phases", "pod", "real_cluster", "reboot", "refusal",
    "traces",
]  # fmt: skip

NAME = "llmos-real"
PAUSE = {"name": "c", "image": "llmagentos.dev/pause:1", "imagePullPolicy": "Never"}
_SETTINGS = ("net/ipv4/ip_forward", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")


def layout(name: str = NAME, number: int = 1) -> Layout:
    record = Record.read(name)
    network = record.network if record else Network(cidr="10.224.0.0/22")
    return Layout(cluster=cluster_folder(name), network=network, number=number)


def refusal() -> str:
    """Why this machine can have no real node; empty where it can."""
    try:
        able.require(layout())
    except LlmosError as error:
        return error.faults[0].what
    return ""


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[ClusterInfo]:
    """A running cluster with a real node, made for this test run and taken down after it."""
    if reason := refusal():
        pytest.skip(reason)
    # A run that was killed may have left one.
    embedded.down(name=NAME)
    alone, settings = _alone(), kernel_settings()
    try:
        yield embedded.up(name=NAME, real=True)
    finally:
        embedded.down(name=NAME)
    assert kernel_settings() == settings or not (alone and _alone())


def _alone() -> bool:
    return not list(Path("/sys/class/net").glob(f"{MARK}*"))


def cube(info: ClusterInfo) -> Kube:
    return Kube(kubectl=info.kubectl, kubeconfig=info.kubeconfig, context=info.context)


def pod(name: str, *, labels: dict[str, str] | None = None, **spec: object) -> dict[str, object]:
    """A pod that runs nothing, of an image that every node has."""
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
        "spec": {"containers": [PAUSE], "automountServiceAccountToken": False, **spec},
    }  # fmt: skip


def phases(info: ClusterInfo, *words: str) -> set[str]:
    """Whether pods are Ready, as the API server says it."""
    found = cube(info).get("pods", *words)
    ready = (c["status"] for item in found for c in item["status"].get("conditions", []) if c["type"] == "Ready")
    return set(ready)


def apply(info: ClusterInfo, *objects: object) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cube(info).run("apply", "-f", "-", stdin=text)


def kernel_settings() -> dict[str, str]:
    return {name: Path("/proc/sys", name).read_text(encoding="ascii").strip() for name in _SETTINGS}


def traces(node: Layout) -> dict[str, set[str]]:
    """What a node has on this machine, by kind."""
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.splitlines()
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    processes = [process.info for process in psutil.process_iter(["cmdline", "name"])]
    return {
        "mounts": {point for point in mounts if point.startswith(f"{node.folder}/")},
        "interfaces": {path.name for path in Path("/sys/class/net").glob(f"{node.mark}*")},
        "rules": {rule for rule in rules if node.mark in rule},
        "control groups": {str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{node.mark}")},
        "processes": {info["name"] for info in processes if f"{node.folder}/" in " ".join(info["cmdline"] or [])},
        "files": {str(path) for path in removal.outside(node)},
    }


def reboot(node: Layout) -> None:
    """What a restart of the machine leaves: the files, and nothing that runs or is mounted."""
    stop_all(node.cluster)
    removal.stop(node)
    links.remove(node)
