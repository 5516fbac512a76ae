"""The node's network: a namespace of its own, a link to the machine, and a way from there to the outside.

In a namespace of its own kube-proxy's chains, which have fixed names, meet neither those of another node nor those of a
Kubernetes that the machine belongs to; and they are gone with the namespace. The machine routes between nodes.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from llmos.cluster.claims import hold
from llmos.cluster.node.layout import Layout, layouts
from llmos.console import warn
from llmos.files import write_whole
from llmos.process import run
from planner.faults import EnvironmentFault

__all__ = ["QUEUE", "add", "exist", "remove"]

QUEUE = 100
"""Netfilter queue, within the namespace, of the packets about which network policies decide."""

_WHERE = "network of the real node"
_FIX = "check that this root may create network namespaces, interfaces and iptables rules"
_UPLINK = "uplink"


def exist(layout: Layout) -> bool:
    """Whether the namespace is there; it is not after a reboot."""
    return _mounted(layout.netns)


def add(layout: Layout) -> None:
    """Make what is not there yet; nothing changes where all is."""
    if not _mounted(layout.netns):
        layout.netns.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        layout.netns.touch()
        _run("unshare", f"--net={layout.netns}", "true")
    if not Path("/sys/class/net", layout.mark).exists():
        own = [other.mark for other in layouts(layout.cluster, layout.network)]
        hold(layout.network, layout.cluster, devices=own)
        _link(layout)
    _enable_forwarding(layout)
    for table, chain, rule in _machine_rules(layout):
        _ensure_rule([], table, chain, rule)
    _ensure_rule(layout.inside, *_masquerade(layout))
    _hand_to_enforcer(layout)


def remove(layout: Layout) -> None:
    """Take down the namespace, the link and the machine's rules; nothing that lives in it may still run."""
    # By their mark, because a rule of an earlier version may read otherwise.
    for table, chain in (("nat", "POSTROUTING"), ("filter", "FORWARD")):
        listed = run(["iptables", "-w", "-t", table, "-S", chain], check=False).stdout.splitlines()
        for _, *rule in (words for words in map(shlex.split, listed) if layout.mark in words):
            _run("iptables", "-w", "-t", table, "-D", *rule)
    if Path("/sys/class/net", layout.mark).exists():
        _run("ip", "link", "delete", layout.mark)
    while _mounted(layout.netns):
        _run("umount", "--lazy", str(layout.netns))


def _link(layout: Layout) -> None:
    network, inside = layout.addresses, layout.inside
    size = network.link.prefixlen
    _run("ip", "link", "add", layout.mark, "type", "veth", "peer", "name", _UPLINK, "netns", str(layout.netns))
    _run("ip", "address", "add", f"{network.host_address}/{size}", "dev", layout.mark)
    _run("ip", "link", "set", layout.mark, "up")
    _run(*inside, "ip", "link", "set", "lo", "up")
    _run(*inside, "ip", "address", "add", f"{network.node_address}/{size}", "dev", _UPLINK)
    _run(*inside, "ip", "link", "set", _UPLINK, "up")
    _run(*inside, "ip", "route", "replace", "default", "via", network.host_address)
    # To Services by way of the first node, whose kube-proxy knows the pods of all.
    for target in (network.pods, *([layout.network.services] if layout.number == 1 else [])):
        _run("ip", "route", "replace", str(target), "via", network.node_address, "dev", layout.mark)


def _enable_forwarding(layout: Layout) -> None:
    # Within the namespace only; the machine's own switch is kept by `settings`.
    _run(*layout.inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def _machine_rules(layout: Layout) -> list[tuple[str, str, list[str]]]:
    """Pods reach the outside under the machine's address, and get answers, and the pods of other nodes under their own;
    nobody outside reaches pods."""
    mine = ["-m", "comment", "--comment", layout.mark]
    answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    source = f"{layout.addresses.node_address}/32"
    return [
        ("nat", "POSTROUTING", ["-s", source, "!", "-d", layout.network.cidr, *mine, "-j", "MASQUERADE"]),
        ("filter", "FORWARD", ["-i", layout.mark, *mine, "-j", "ACCEPT"]),
        ("filter", "FORWARD", ["-o", layout.mark, *answers, *mine, "-j", "ACCEPT"]),
    ]


def _masquerade(layout: Layout) -> tuple[str, str, list[str]]:
    """Policies of other nodes go by the addresses of pods, so those stay within the cluster."""
    away = ["-s", str(layout.addresses.pods), "!", "-d", layout.network.cidr, "-o", _UPLINK]
    return "nat", "POSTROUTING", [*away, "-j", "MASQUERADE"]


def _hand_to_enforcer(layout: Layout) -> None:
    """Let the enforcer of network policies decide, where the kernel can ask it; else remember why not."""
    try:
        for table, chain, rule in _queue_rules(layout):
            _ensure_rule(layout.inside, table, chain, rule)
    except EnvironmentFault as error:
        _run(*layout.inside, "iptables", "-w", "-t", "mangle", "-F", "POSTROUTING")
        what = error.faults[0].what
        write_whole(layout.unenforced, f"{what}\n")
        warn(f"network policies are not enforced on node {layout.name}, whose kernel lacks NFQUEUE: {what}")
    else:
        layout.unenforced.unlink(missing_ok=True)


def _queue_rules(layout: Layout) -> list[tuple[str, str, list[str]]]:
    pods, queue = str(layout.addresses.pods), ["-j", "NFQUEUE", "--queue-num", str(QUEUE)]
    own = ["-m", "owner", "--uid-owner", "0", "-j", "ACCEPT"]
    known = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]
    return [
        # First packets only, after the address of a Service has become that of a pod and before any masquerading. The
        # kubelet's probes pass; without anybody at the queue no connection is made.
        ("mangle", "POSTROUTING", own),
        ("mangle", "POSTROUTING", known),
        ("mangle", "POSTROUTING", ["-s", pods, *queue]),
        ("mangle", "POSTROUTING", ["-d", pods, *queue]),
    ]


def _ensure_rule(inside: Sequence[str], table: str, chain: str, rule: Sequence[str]) -> None:
    words = [*inside, "iptables", "-w", "-t", table]
    if run([*words, "-C", chain, *rule], check=False).returncode != 0:
        # Before what others have put there on the machine (Docker drops what it does not know); in order inside.
        at = [] if inside else ["1"]
        _run(*words, "-A" if inside else "-I", chain, *at, *rule)


def _mounted(path: Path) -> bool:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return str(path.resolve()) in (line.split()[1].encode().decode("unicode_escape") for line in mounts)


def _run(*words: str) -> None:
    run(list(words), where=_WHERE, fix=_FIX)
