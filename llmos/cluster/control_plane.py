"""etcd, API server, controller manager, scheduler and kwok, created and started by kwokctl's binary runtime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from llmos.cluster import hardening
from llmos.cluster.binaries import Binaries
from llmos.cluster.networks import Network
from llmos.paths import cache_dir
from llmos.process import run

__all__ = ["Ports", "create", "start"]

# kwok plays a node only once it holds the node's lease, and a killed kwok's leases must run out before the next one
# takes over: 40 s, the default, would leave pods on a fresh node Pending for that long.
_NODE_LEASE_SECONDS = 5
SIMULATED_ANNOTATION = "kwok.x-k8s.io/node=fake"
_SET_BY_KWOKCTL = ("manage-all-nodes",)
# Common name of the certificate that kwokctl makes.
_ADMIN_NAME = "kwok-admin"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """TCP ports on loopback, one for each listener of the cluster."""

    etcd: int
    etcd_peer: int
    kube_apiserver: int
    kube_controller_manager: int
    kube_scheduler: int
    kwok_controller: int
    karpenter_metrics: int
    karpenter_health: int

    def of(self, component: str) -> list[int]:
        """The ports of one component, e.g. both of ``etcd``."""
        prefix = component.replace("-", "_")
        return [port for name, port in asdict(self).items() if name.startswith(prefix)]


def create(name: str, *, folder: Path, binaries: Binaries, ports: Ports, network: Network) -> None:
    """Create the control plane and start it; returns when the API server answers.

    Args:
        name: cluster name.
        folder: its folder, which kwokctl fills: kubeconfig.yaml, kwok.yaml, pki, etcd's data, logs and pids.
        binaries: the programs; links to them are put into ``folder/bin``.
        ports: where everything listens.
        network: the addresses of Services, and of the link to a real node, should one join.
    """
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    config = folder / "create.yaml"
    stages = Path(__file__).with_name("stages.yaml").read_text(encoding="utf-8")
    wanted = _configuration(folder, binaries, ports, network)
    config.write_text(f"{yaml.safe_dump(wanted)}---\n{stages}", encoding="utf-8")
    hardening.write_files(folder)
    # Without a kubeconfig of its own kwokctl would write into the user's.
    _kwokctl(name, binaries, "create", "cluster", "--kubeconfig", "", "--config", str(config))


def start(name: str, *, binaries: Binaries) -> None:
    """Start those of its processes that do not run; returns when the API server answers."""
    _kwokctl(name, binaries, "start", "cluster")


def _kwokctl(name: str, binaries: Binaries, *words: str) -> None:
    # A user's own KWOK_ variables would override what is configured here, ports and programs included.
    env = {key: value for key, value in os.environ.items() if not key.startswith("KWOK_")}
    env["KWOK_WORKDIR"] = str(cache_dir())
    fix = f"`python3 -m llmos cluster down` and `up` again; logs are in {cache_dir() / 'clusters' / name / 'logs'}"
    run(
        [binaries.kwokctl, "--name", name, *words], where=f"embedded cluster `{name}`", fix=fix, env=env,
        timeout_seconds=180,
    )


def _configuration(folder: Path, binaries: Binaries, ports: Ports, network: Network) -> Mapping[str, object]:
    no_election = {"leader-elect": "false"}
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",
            "etcdPort": ports.etcd,
            "etcdPeerPort": ports.etcd_peer,
            "kubeApiserverPort": ports.kube_apiserver,
            "kubeControllerManagerPort": ports.kube_controller_manager,
            "kubeSchedulerPort": ports.kube_scheduler,
            "kwokControllerPort": ports.kwok_controller,
            "etcdBinary": str(binaries.etcd),
            "kubeApiserverBinary": str(binaries.kube_apiserver),
            "kubeControllerManagerBinary": str(binaries.kube_controller_manager),
            "kubeSchedulerBinary": str(binaries.kube_scheduler),
            "kwokControllerBinary": str(binaries.kwok),
            "kubectlBinary": str(binaries.kubectl),
            # Weights may be images, which this version of Kubernetes mounts only when it is asked to.
            "kubeFeatureGates": "ImageVolume=true,MutatingAdmissionPolicy=true",
            "kubeApiserverCertSANs": [network.host_address, network.api_address],
            "nodeLeaseDurationSeconds": _NODE_LEASE_SECONDS,
            # kwokctl multiplies the lease, among others, by this; its default is 5.
            "heartbeatFactor": 1,
        },
        "componentsPatches": [
            _patch("kube-apiserver", {**hardening.arguments(folder), **_node_arguments(folder, network)}),
            # One replica each: an election only makes a restart after a crash wait for the old lease to run out.
            _patch("kube-controller-manager", no_election),
            _patch("kube-scheduler", no_election),
            # A real node has a kubelet of its own.
            _patch(
                "kwok-controller",
                {"manage-all-nodes": "false", "manage-nodes-with-annotation-selector": SIMULATED_ANNOTATION},
            ),
        ],
    }


def _patch(component: str, arguments: Mapping[str, str]) -> dict[str, object]:
    # kwokctl only replaces what it sets itself where it is told to override, and only adds otherwise.
    extra = [
        {"key": key, "value": value, "override": key in _SET_BY_KWOKCTL} for key, value in arguments.items()
    ]
    return {"name": component, "extraArgs": extra}


def _node_arguments(folder: Path, network: Network) -> dict[str, str]:
    """What the API server needs to work with a real node, which may join at any time."""
    pki = folder / "pki"
    return {
        "service-cluster-ip-range": str(network.services),
        # What pods find behind the Service `kubernetes`; a relay carries it to loopback.
        "advertise-address": network.host_address,
        "kubelet-client-certificate": str(pki / "admin.crt"),
        "kubelet-client-key": str(pki / "admin.key"),
        "kubelet-certificate-authority": str(pki / "ca.crt"),
        "kubelet-preferred-address-types": "InternalIP",
        # Further API servers, as that of the metrics, accept only the API server as their front.
        "requestheader-client-ca-file": str(pki / "ca.crt"),
        "requestheader-allowed-names": _ADMIN_NAME,
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "runtime-config": "admissionregistration.k8s.io/v1beta1=true",
    }
