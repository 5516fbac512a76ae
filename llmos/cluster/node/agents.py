"""The node's programs of Kubernetes: kubelet, kube-proxy, enforcer of network policies, and the relay to the API."""

from __future__ import annotations

from pathlib import Path

import yaml

from llmos.cluster.binaries import NodeBinaries
from llmos.cluster.instance_types import ZONES
from llmos.cluster.node import certificates
from llmos.cluster.node.layout import Layout
from llmos.cluster.node.links import QUEUE
from llmos.daemons import Daemon
from llmos.files import write_whole

__all__ = ["configure", "daemons"]

# A volume is a folder of the node. Of the kinds of volumes that a kubelet knows this one makes the folder and hands it
# to the pod's group; one of kind `local` has to be there, one of kind `hostPath` stays root's.
_DRIVER = "llmagentos.dev~folder/folder"
_DRIVER_SCRIPT = """#!/bin/sh
case "$1" in
init) ;;
mount)
  name=$(printf '%s' "$3" | sed -n 's|.*"kubernetes.io/pvOrVolumeName":"\\([^"]*\\)".*|\\1|p')
  mkdir -p "$2" "%VOLUMES%/${name:?}" && mount --bind "%VOLUMES%/$name" "$2" || exit 1 ;;
unmount) umount "$2" || exit 1 ;;
*) echo '{"status": "Not supported"}'; exit 1 ;;
esac
echo '{"status": "Success", "capabilities": {"attach": false}}'
"""

# They say where the node stands among the simulated ones; zones are theirs.
_LABELS = {"llmagentos.dev/node": "real", "topology.kubernetes.io/region": "local"}


def configure(layout: Layout, *, api_port: int) -> None:
    """Write certificates, kubeconfigs and configuration files of all of them."""
    pki, own = layout.cluster / "pki", layout.folder / "pki"
    own.mkdir(parents=True, mode=0o700, exist_ok=True)
    server = f"https://{layout.network.host_address}:{api_port}"
    users = {
        "kubelet": (f"system:node:{layout.name}", ("system:nodes",)),
        "kube-proxy": ("system:kube-proxy", ()),
        "kube-network-policies": ("llmos:kube-network-policies", ()),
    }
    for name, (user, groups) in users.items():
        if not (own / f"{name}.key").is_file():
            certificates.issue(pki, to=own, name=name, user=user, groups=groups)
        certificates.kubeconfig(
            _kubeconfig(layout, name), server=server, authority=pki / "ca.crt", certificate=own / f"{name}.crt",
            key=own / f"{name}.key",
        )
    if not (own / "kubelet-server.key").is_file():
        address = layout.addresses.node_address
        certificates.issue(pki, to=own, name="kubelet-server", user=f"system:node:{layout.name}", address=address)
    driver = _volume_plugins(layout) / _DRIVER
    driver.parent.mkdir(parents=True, exist_ok=True)
    write_whole(driver, _DRIVER_SCRIPT.replace("%VOLUMES%", str(layout.volumes)), mode=0o755)
    write_whole(layout.folder / "resolv.conf", _resolvers())
    write_whole(layout.folder / "kubelet.yaml", yaml.safe_dump(_kubelet(layout)))
    write_whole(layout.folder / "kube-proxy.yaml", yaml.safe_dump(_kube_proxy(layout)))


def daemons(layout: Layout, *, binaries: NodeBinaries, api_port: int) -> list[Daemon]:
    """Their processes, in the order in which they start; each is started through its link in the cluster's folder."""
    address = f"{layout.network.host_address}:{api_port}"
    zone = {"topology.kubernetes.io/zone": ZONES[(layout.number - 1) % len(ZONES)]}
    labels = ",".join(f"{key}={value}" for key, value in {**_LABELS, **zone}.items())
    programs: dict[str, tuple[Path, bool, list[str]]] = {
        "api-relay": (binaries.node_helper, False, ["relay", address, f"127.0.0.1:{api_port}"]),
        "kubelet": (binaries.kubelet, True, [
            "--config", str(layout.folder / "kubelet.yaml"), "--kubeconfig", str(_kubeconfig(layout, "kubelet")),
            "--hostname-override", layout.name, "--node-ip", layout.addresses.node_address, "--node-labels", labels,
            "--root-dir", str(layout.kubelet_root), "--cert-dir", str(layout.folder / "pki"),
        ]),
        "kube-proxy": (binaries.kube_proxy, True, ["--config", str(layout.folder / "kube-proxy.yaml")]),
        "kube-network-policies": (binaries.kube_network_policies, True, [
            "--kubeconfig", str(_kubeconfig(layout, "kube-network-policies")), "--node", layout.name,
            "--queue", str(QUEUE),
        ]),
    }  # fmt: skip
    made = []
    for name, (program, inside, words) in programs.items():
        component = layout.component(name)
        if component not in layout.components:
            continue
        link = layout.link(name)
        if not link.is_symlink() or link.readlink() != program:
            link.unlink(missing_ok=True)
            link.symlink_to(program)
        command = [*(layout.inside if inside else ()), str(link), *words]
        log = layout.logs / f"{component}.log"
        made.append(Daemon(name=component, command=command, state_dir=layout.folder, log=log))
    return made


def _kubeconfig(layout: Layout, name: str) -> Path:
    return layout.folder / f"{name}.kubeconfig"


def _volume_plugins(layout: Layout) -> Path:
    return layout.folder / "volume-plugins"


def _kubelet(layout: Layout) -> dict[str, object]:
    pki = layout.folder / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.addresses.node_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.cluster / "pki/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "readOnlyPort": 0,
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.mark}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "clusterDNS": [layout.network.dns_address],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.folder / "resolv.conf"),
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": str(_volume_plugins(layout)),
        # A laptop's disk is often nearly full: the shares by default would evict pods and delete images at once.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "500Mi", "imagefs.available": "500Mi"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "registerNode": True,
        # What is protected on the machine is the machine's affair.
        "oomScoreAdj": 0,
    }


def _kube_proxy(layout: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(_kubeconfig(layout, "kube-proxy"))},
        "hostnameOverride": layout.name,
        "clusterCIDR": str(layout.addresses.pods),
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # The machine's own limits stay.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        # Endpoints that become ready are reachable at once.
        "iptables": {"minSyncPeriod": "200ms"},
    }


def _resolvers() -> str:
    """The machine's name servers that a pod can reach: one on loopback is another in each network namespace."""
    for file in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        found = [line.strip() for line in lines if line.startswith("nameserver")]
        reachable = [line for line in found if not line.split()[1].startswith(("127.", "::1"))]
        if reachable:
            return "\n".join(reachable) + "\n"
    return ""
