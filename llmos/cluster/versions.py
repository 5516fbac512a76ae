"""The one place that pins what is built from Go modules."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "COREDNS",
    "ETCD",
    "KARPENTER",
    "KUBECTL",
    "KUBELET",
    "KUBE_APISERVER",
    "KUBE_CONTROLLER_MANAGER",
    "KUBE_PROXY",
    "KUBE_SCHEDULER",
    "KWOK",
    "KWOKCTL",
    "METRICS_SERVER",
    "NETWORK_POLICIES",
    "NODE_HELPER",
    "NODE_PROGRAMS",
    "PROGRAMS",
    "GoModule",
    "Program",
]


@dataclass(frozen=True, kw_only=True)
class GoModule:
    """A Go module at one version.

    Attributes:
        path: module path.
        version: with the leading ``v``.
        requires: further modules whose programs are built in the same workspace, so that they share its packages
            and cost little more; (path, version) pairs.
    """

    path: str
    version: str
    requires: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Program:
    """One executable of the cluster.

    Attributes:
        name: file name without version; also the name of its process and log.
        module: the module whose dependency versions it is built with.
        package: import path of its main package.
        version: version of the program, with the leading ``v``.
        version_symbols: Go variables that carry the version; without them clients choke on the version string.
        path_minimum: lowest (major, minor) accepted from PATH, None when PATH is not searched.
        path_same_minor: whether a copy on PATH must be of exactly that major and minor version.
        data_folders: folders of the module that are kept beside the executable (the custom resource definitions).
        source: a main package of ours, one Go file, built against the module instead of ``package``.
    """

    name: str
    module: GoModule
    package: str
    version: str
    version_symbols: tuple[str, ...] = ()
    path_minimum: tuple[int, int] | None = None
    path_same_minor: bool = False
    data_folders: tuple[str, ...] = ()
    source: Path | None = None

    @property
    def file_name(self) -> str:
        """Name in the cache: a new version never overwrites the file that a running cluster uses."""
        if self.source is None:
            return f"{self.name}-{self.version}"
        digest = hashlib.sha256(self.source.read_bytes()).hexdigest()[:8]
        return f"{self.name}-{self.version}-{digest}"


# The etcd release that this Kubernetes release is tested with (its go.mod names it).
_ETCD_SERVER = ("go.etcd.io/etcd/server/v3", "v3.6.4")
_KUBERNETES = GoModule(path="k8s.io/kubernetes", version="v1.34.1", requires=(_ETCD_SERVER,))
_KWOK = GoModule(path="sigs.k8s.io/kwok", version="v0.8.0")
_KARPENTER = GoModule(path="sigs.k8s.io/karpenter", version="v1.14.1")
_COREDNS = GoModule(path="github.com/coredns/coredns", version="v1.15.0")
_KUBE_NETWORK_POLICIES = GoModule(path="sigs.k8s.io/kube-network-policies", version="v0.8.0")
_METRICS_SERVER = GoModule(path="sigs.k8s.io/metrics-server", version="v0.9.0")


def _kubernetes(name: str, *, path_minimum: tuple[int, int] = (1, 34), path_same_minor: bool = True) -> Program:
    return Program(
        name=name,
        module=_KUBERNETES,
        package=f"k8s.io/kubernetes/cmd/{name}",
        version=_KUBERNETES.version,
        version_symbols=("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"),
        path_minimum=path_minimum,
        path_same_minor=path_same_minor,
    )


def _kwok(name: str) -> Program:
    return Program(
        name=name, module=_KWOK, package=f"sigs.k8s.io/kwok/cmd/{name}", version=_KWOK.version,
        path_minimum=(0, 8), path_same_minor=True,
    )


KWOKCTL = _kwok("kwokctl")
KWOK = _kwok("kwok")
KUBE_APISERVER = _kubernetes("kube-apiserver")
KUBE_CONTROLLER_MANAGER = _kubernetes("kube-controller-manager")
KUBE_SCHEDULER = _kubernetes("kube-scheduler")
# Two minor versions behind the server is what kubectl supports downwards; newer is never a problem in practice.
KUBECTL = _kubernetes("kubectl", path_minimum=(1, 32), path_same_minor=False)
# 3.5 is the oldest etcd whose watch progress notifications Kubernetes relies on; Debian 12 still ships 3.4.
ETCD = Program(
    name="etcd", module=_KUBERNETES, package=_ETCD_SERVER[0], version=_ETCD_SERVER[1], path_minimum=(3, 5),
)
# Never from PATH: its custom resource definitions come out of the same module.
KARPENTER = Program(
    name="karpenter-kwok", module=_KARPENTER, package="sigs.k8s.io/karpenter/kwok", version=_KARPENTER.version,
    data_folders=("pkg/apis/crds", "kwok/apis/crds"),
)

# Order of building: kwokctl first because it knows the addresses of the official downloads of most of the others.
PROGRAMS: tuple[Program, ...] = (
    KWOKCTL, KWOK, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, ETCD, KUBECTL, KARPENTER,
)

KUBELET = _kubernetes("kubelet")
KUBE_PROXY = _kubernetes("kube-proxy")
COREDNS = Program(
    name="coredns", module=_COREDNS, package=_COREDNS.path, version=_COREDNS.version,
    source=Path(__file__).with_name("coredns.go"),
)
METRICS_SERVER = Program(
    name="metrics-server", module=_METRICS_SERVER, package="sigs.k8s.io/metrics-server/cmd/metrics-server",
    version=_METRICS_SERVER.version,
)
NETWORK_POLICIES = Program(
    name="kube-network-policies", module=_KUBE_NETWORK_POLICIES, package=_KUBE_NETWORK_POLICIES.path,
    version=_KUBE_NETWORK_POLICIES.version, source=Path(__file__).with_name("network_policies.go"),
)
# Standard library only; it is built in a workspace that is there anyway.
NODE_HELPER = Program(
    name="node-helper", module=_KUBERNETES, package="", version=_KUBERNETES.version,
    source=Path(__file__).with_name("node_helper.go"),
)

# What a real node takes besides Debian's containerd, runc and network plugins; kubelet and kube-proxy are built in the
# workspace of the API server and cost little more.
NODE_PROGRAMS: tuple[Program, ...] = (
    KUBELET, KUBE_PROXY, NODE_HELPER, NETWORK_POLICIES, COREDNS, METRICS_SERVER,
)
