"""Whether this machine can run a real node, and if not, why; asked before anything is changed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from llmos.cluster.node.layout import Layout
from planner.faults import EnvironmentFault, Fault

__all__ = ["PACKAGES", "missing_packages", "require"]

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}
"""Program (or file) to the Debian package that brings it."""

_ADMIN_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
_CAPABILITIES = {12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN"}


def require(layout: Layout, *, platform: str = sys.platform) -> None:
    """Refuse what could not work, once the packages are there.

    Raises:
        EnvironmentFault: this machine, or the place of the cluster's folder, cannot hold a real node; says why.
    """
    where = f"real node of cluster `{layout.cluster.name}`"
    simulated = "leave --real-node out: simulated nodes do without"
    if platform != "linux":
        raise EnvironmentFault(Fault(what="a real node needs Linux", where=where, fix=simulated))
    if os.geteuid() != 0:
        raise EnvironmentFault(Fault(what="a real node needs root", where=where, fix=f"run it as root; or {simulated}"))
    held = _capabilities()
    lacking = [name for bit, name in _CAPABILITIES.items() if not held >> bit & 1]
    if lacking:
        what = f"this root lacks {' and '.join(lacking)}, which a real node needs"
        raise EnvironmentFault(Fault(what=what, where=where, fix=f"run it outside the container; or {simulated}"))
    if not os.access("/sys/fs/cgroup", os.W_OK):
        what = "no control groups can be made in /sys/fs/cgroup, which a real node needs"
        raise EnvironmentFault(Fault(what=what, where=where, fix=f"mount it writable; or {simulated}"))
    if not layout.fits():
        what = f"{layout.folder} is too long a path for the sockets of a real node"
        fix = "set LLMOS_CACHE_DIR to a shorter path, or choose a shorter cluster name"
        raise EnvironmentFault(Fault(what=what, where=where, fix=fix))


def missing_packages() -> list[str]:
    """Debian packages to install before a node can run."""
    return [package for name, package in PACKAGES.items() if not _there(name)]


def _there(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else shutil.which(name, path=_path()) is not None


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), _ADMIN_PATH))


def _capabilities() -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
