"""What the cluster itself runs on its real nodes: name service, metrics, and the rights of the node's programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from llmos.cluster.binaries import NodeBinaries
from llmos.cluster.node import runtime
from llmos.cluster.node.layout import NODE_NAMES, Layout
from llmos.cluster.versions import COREDNS, METRICS_SERVER
from llmos.console import warn
from llmos.daemons import wait_until
from llmos.process import run

__all__ = ["apply", "put_images"]

_PROCESSORS_MINIMUM = 16
"""Processors that the node offers at least: ten replicas of the sample application, its model server and the extra pods
of a rolling update fit, of half a processor each, and somebody's own application of the same size beside them."""

_POLICY_SECONDS = 20
# A second copy of the name service bridges the move of the first.
_NAME_SERVERS_MAXIMUM = 2

_COREDNS_IMAGE = f"llmagentos.dev/coredns:{COREDNS.version}"
_METRICS_IMAGE = f"llmagentos.dev/metrics-server:{METRICS_SERVER.version}"


def put_images(layout: Layout, *, binaries: NodeBinaries) -> None:
    """Make the images of the cluster's own pods from its programs."""
    runtime.ensure_image(layout, binaries.node_helper, name=runtime.PAUSE_IMAGE, entrypoint=["/program", "pause"])
    runtime.ensure_image(layout, binaries.coredns, name=_COREDNS_IMAGE, entrypoint=["/program"])
    runtime.ensure_image(layout, binaries.metrics_server, name=_METRICS_IMAGE, entrypoint=["/program"])


def apply(layout: Layout, *, nodes: int, kubectl: Path) -> None:
    """Create these objects, or bring them back to what they should be.

    Args:
        layout: of the node that is to join.
        nodes: how many real nodes the cluster is to have.
        kubectl: the program.
    """
    upstream = (layout.folder / "resolv.conf").read_text(encoding="utf-8")
    values = {
        "NODES": ", ".join(NODE_NAMES),
        "NAME_SERVERS": str(min(nodes, _NAME_SERVERS_MAXIMUM)),
        "PROCESSORS": str(max(_PROCESSORS_MINIMUM, os.cpu_count() or 1)),
        "FORWARD": "forward . /etc/resolv.conf" if upstream else "# no name server outside is known",
        "COREDNS_IMAGE": _COREDNS_IMAGE,
        "METRICS_IMAGE": _METRICS_IMAGE,
        "DNS_ADDRESS": layout.network.dns_address,
    }
    text = Path(__file__).with_name("addons.yaml").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"%{name}%", value)
    command: list[Path | str] = [kubectl, "--kubeconfig", layout.cluster / "kubeconfig.yaml"]
    words = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-"]
    run([*command, *words], stdin=text)
    # The API server takes a moment to know its policies, and a kubelet that came before would report again in minutes.
    if not wait_until(lambda: _offers(layout.name, command, values["PROCESSORS"]), timeout_seconds=_POLICY_SECONDS):
        warn("the real node offers no more processors than the machine has: rolling updates may find no room")


def _offers(name: str, command: list[Path | str], processors: str) -> bool:
    """Whether a node of that name would get its processors, or is there already."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"capacity": {"cpu": "1"}}}
    done = run([*command, "create", "--dry-run=server", "-o", "json", "-f", "-"], stdin=json.dumps(node), check=False)
    if done.returncode != 0:
        return "already exists" in done.stderr
    return json.loads(done.stdout)["status"]["capacity"]["cpu"] == processors
