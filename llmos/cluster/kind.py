"""``--kind``: a cluster of containers that really run pods, where kind and a container engine are installed.

Tested with a stand-in for the ``kind`` program only: no real kind cluster has been brought up with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from llmos.cluster.binaries import find
from llmos.cluster.info import ClusterInfo, ClusterStatus
from llmos.cluster.nodes import readiness
from llmos.cluster.versions import KUBECTL
from llmos.console import note
from llmos.paths import cache_dir
from llmos.process import run
from planner.faults import EnvironmentFault, Fault

__all__ = ["down", "status", "up"]

# kind itself waits this long for the control plane of a fresh cluster to become ready.
_READY_SECONDS = 180


def up(*, name: str = "llmos", install: bool = True, progress: Callable[[str], None] = note) -> ClusterInfo:
    """Create the kind cluster unless there is one of that name; its kubeconfig is a file of its own.

    Args:
        name: cluster name.
        install: has no effect, because this program never installs kind; for the same call as the embedded one.
        progress: receives what is being done.

    Raises:
        EnvironmentFault: kind or kubectl is missing, or kind failed; quotes what it said.
    """
    kind, kubectl = _kind(), _kubectl(name)
    kubeconfig = _kubeconfig(name)
    kubeconfig.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    if name in _existing(kind):
        run([kind, "export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig])
    else:
        progress(f"creating kind cluster `{name}` ...")
        words = ["create", "cluster", "--name", name, "--kubeconfig", kubeconfig, "--wait", f"{_READY_SECONDS}s"]
        run([kind, *words], where=f"kind cluster `{name}`", fix="see that a container engine runs (`docker info`)")
    return _info(name, kubectl=kubectl)


def down(*, name: str = "llmos", progress: Callable[[str], None] = note) -> bool:
    """Delete the kind cluster; return whether there was one."""
    kind = _kind()
    existed = name in _existing(kind)
    if existed:
        run([kind, "delete", "cluster", "--name", name, "--kubeconfig", _kubeconfig(name)])
        progress(f"kind cluster `{name}` is down")
    shutil.rmtree(_kubeconfig(name).parent, ignore_errors=True)
    return existed


def status(*, name: str = "llmos") -> ClusterStatus:
    """Whether there is a kind cluster of that name, made by :func:`up`, and whether its nodes are Ready."""
    if name not in _existing(_kind()) or not _kubeconfig(name).is_file():
        return ClusterStatus(name=name, exists=False)
    kubectl = _kubectl(name)
    return ClusterStatus.of(readiness(kubectl=kubectl, kubeconfig=_kubeconfig(name)), info=_info(name, kubectl=kubectl))


def _info(name: str, *, kubectl: Path) -> ClusterInfo:
    config = yaml.safe_load(_kubeconfig(name).read_text(encoding="utf-8"))
    return ClusterInfo(
        name=name,
        context=config["current-context"],
        kubeconfig=_kubeconfig(name),
        kubectl=kubectl,
        api_url=config["clusters"][0]["cluster"]["server"],
        simulated=False,
    )


def _kubectl(name: str) -> Path:
    kubectl = find(KUBECTL)
    if kubectl is None:
        what = "kubectl 1.32 or newer was not found on PATH"
        raise EnvironmentFault(Fault(what=what, where=f"kind cluster `{name}`", fix="install kubectl"))
    return kubectl


def _kind() -> Path:
    path = shutil.which("kind")
    if path is None:
        fix = "install kind and a container engine, or leave out --kind for the embedded cluster"
        raise EnvironmentFault(Fault(what="`kind` was not found on PATH", where="--kind", fix=fix))
    return Path(path)


def _existing(kind: Path) -> list[str]:
    return run([kind, "get", "clusters"], fix="see that a container engine runs (`docker info`)").stdout.split()


def _kubeconfig(name: str) -> Path:
    return cache_dir() / "kind" / name / "kubeconfig.yaml"
