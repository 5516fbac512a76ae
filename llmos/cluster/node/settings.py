"""What a node changes of the machine beside its own: kernel settings and a few fixed folders. It is kept, so that the
last node to go puts it back."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from llmos.cluster.node.layout import MARK
from llmos.daemons import locked
from llmos.files import write_whole

__all__ = ["keep", "restore"]

# Shared by the clusters of all cache folders of this machine, and gone at a restart, as the settings are.
_KEPT = Path("/run/llmos-before-nodes.json")
_LOCK = Path("/run/llmos-before-nodes.lock")
# Forwarding is ours (pods reach the outside); the others are what a kubelet insists on.
_CHANGED = (
    "net/ipv4/ip_forward", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
)  # fmt: skip
_SYSTEM = Path("/proc/sys")
# Made by kubelet and containerd whatever they are configured for; outermost first.
_FOLDERS = (
    "/opt/containerd", "/run/containerd", "/run/containerd/s", "/usr/libexec/kubernetes",
    "/usr/libexec/kubernetes/kubelet-plugins", "/usr/libexec/kubernetes/kubelet-plugins/volume",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec", "/var/lib/cni", "/var/lib/cni/results", "/var/lib/kubelet",
    "/var/lib/kubelet/device-plugins", "/var/log/containers",
)  # fmt: skip


def keep(*, system: Path = _SYSTEM, kept: Path = _KEPT) -> None:
    """Remember how it is, unless another node has done so already, and switch on forwarding."""
    with locked(_LOCK):
        if not kept.is_file():
            found = {name: _read(system, name) for name in _CHANGED if _is(system, name)}
            missing = [folder for folder in _FOLDERS if not Path(folder).exists()]
            write_whole(kept, json.dumps({"settings": found, "missing_folders": missing}, indent=1) + "\n")
        _write(system, "net/ipv4/ip_forward", "1")


def restore(*, system: Path = _SYSTEM, kept: Path = _KEPT, links: Path = Path("/sys/class/net")) -> None:
    """Put it back unless another node is left on this machine; folders that others use by now stay."""
    with locked(_LOCK):
        if not kept.is_file() or any(links.glob(f"{MARK}*")):
            return
        before = json.loads(kept.read_text(encoding="utf-8"))
        for name, value in before["settings"].items():
            _write(system, name, value)
        for folder in reversed(before["missing_folders"]):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        kept.unlink()


def _write(system: Path, name: str, value: str) -> None:
    if _is(system, name) and _read(system, name) != value:
        (system / name).write_text(value, encoding="ascii")


def _read(system: Path, name: str) -> str:
    return (system / name).read_text(encoding="ascii").strip()


def _is(system: Path, name: str) -> bool:
    return (system / name).is_file()
