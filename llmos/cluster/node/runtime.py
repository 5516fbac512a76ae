"""containerd of the node: its configuration, its network plugins and the images that are there from the start."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from llmos.cluster.node.archive import write_archive
from llmos.cluster.node.layout import Layout
from llmos.daemons import Daemon
from llmos.files import write_whole
from llmos.process import run
from planner.faults import EnvironmentFault

__all__ = ["PAUSE_IMAGE", "containerd", "ensure_image", "start"]

PAUSE_IMAGE = "llmagentos.dev/pause:1"

_PLUGINS = Path("/usr/lib/cni")
_SYS_RESOURCE = 24
_WHERE = "containerd of the real node"


def start(layout: Layout) -> None:
    """Write its configuration and start it, unless it runs; returns when it answers.

    Raises:
        EnvironmentFault: it ended, or did not answer in time; quotes its log.
    """
    _write_network(layout)
    daemon = containerd(layout)
    if not daemon.running():
        write_whole(layout.folder / "containerd.toml", _configuration(layout))
        link = layout.link("containerd")
        link.unlink(missing_ok=True)
        link.symlink_to(shutil.which("containerd") or "/usr/bin/containerd")
    daemon.start()
    daemon.wait_ready(lambda: _answers(layout), timeout_seconds=60)


def containerd(layout: Layout) -> Daemon:
    """Its process, which runs in the machine's network: it pulls from registries on loopback."""
    name = layout.component("containerd")
    command = [layout.link("containerd"), "--config", layout.folder / "containerd.toml"]
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
    env = {**os.environ, "PATH": path}
    return Daemon(name=name, command=command, state_dir=layout.folder, env=env, log=layout.logs / f"{name}.log")


def ensure_image(layout: Layout, program: Path, *, name: str, entrypoint: Sequence[str]) -> None:
    """Put a program of this machine into the node as an image, unless it is there."""
    if name in _ctr(layout, "image", "list", "--quiet").split():
        return
    archive = layout.folder / "image.tar"
    write_archive(program, name=name, entrypoint=entrypoint, to=archive)
    _ctr(layout, "image", "import", "--no-unpack", str(archive))
    archive.unlink()


def _ctr(layout: Layout, *words: str) -> str:
    command = ["ctr", "--address", str(layout.containerd_socket), "--namespace", "k8s.io", *words]
    return run(command, where=_WHERE, fix=f"read {containerd(layout).log_path}").stdout


def _answers(layout: Layout) -> bool:
    command = ["ctr", "--address", str(layout.containerd_socket), "version"]
    try:
        return run(command, check=False, timeout_seconds=10).returncode == 0
    except EnvironmentFault:
        return False


def _configuration(layout: Layout) -> str:
    """Everything below the node's folder; in TOML, of which JSON's strings and numbers are a part."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    runc = f'{cri}.containerd.runtimes.runc'
    tables: dict[str, dict[str, object]] = {
        "": {"version": 2, "root": str(layout.containerd_root), "state": str(layout.containerd_state),
             # What the kubelet never asks for.
             "disabled_plugins": ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
                                  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
                                  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]},
        "grpc": {"address": str(layout.containerd_socket)},
        'plugins."io.containerd.internal.v1.opt"': {"path": str(layout.folder / "opt")},
        cri: {
            "sandbox_image": PAUSE_IMAGE,
            # Logs, exec and port-forward come from the kubelet, which lives in the node's network.
            "stream_server_address": layout.addresses.host_address,
            "netns_mounts_under_state_dir": True,
            "restrict_oom_score_adj": not _may_raise_priority(),
            "disable_apparmor": not Path("/sys/module/apparmor").is_dir(),
        },
        f"{cri}.containerd": {"snapshotter": _snapshotter(layout)},
        runc: {"runtime_type": "io.containerd.runc.v2"},
        f"{runc}.options": {"Root": str(layout.runc_root), "SystemdCgroup": False},
        f"{cri}.cni": {"bin_dir": str(layout.folder / "cni/bin"), "conf_dir": str(layout.folder / "cni/net.d")},
    }  # fmt: skip
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]"] if table else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _write_network(layout: Layout) -> None:
    """One routed link for each pod: traffic between pods passes the node's rules, as on a bridge it would not."""
    plugins, configurations = layout.folder / "cni/bin", layout.folder / "cni/net.d"
    plugins.mkdir(parents=True, exist_ok=True)
    configurations.mkdir(parents=True, exist_ok=True)
    # containerd runs in the machine's network, pods belong to the node's.
    entering = plugins / "ptp"
    write_whole(entering, f'#!/bin/sh\nexec {" ".join(layout.inside)} {_PLUGINS / "ptp"} "$@"\n', mode=0o755)
    for name in ("host-local", "loopback"):
        link = plugins / name
        link.unlink(missing_ok=True)
        link.symlink_to(_PLUGINS / name)
    ipam = {
        "type": "host-local", "dataDir": str(layout.given_addresses),
        "ranges": [[{"subnet": str(layout.addresses.pods)}]], "routes": [{"dst": "0.0.0.0/0"}],
    }  # fmt: skip
    network = {"cniVersion": "0.4.0", "name": layout.mark, "plugins": [{"type": "ptp", "ipam": ipam}]}
    write_whole(configurations / "10-llmos.conflist", json.dumps(network, indent=1) + "\n")


def _may_raise_priority() -> bool:
    """Whether containers may get a lower OOM score than containerd's, which takes CAP_SYS_RESOURCE."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    held = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(held >> _SYS_RESOURCE & 1)


def _snapshotter(layout: Layout) -> str:
    """overlayfs where the node's folder can hold one; where it lies on an overlay itself, plain copies."""
    trial = layout.folder / "overlay-trial"
    lower, upper, work, merged = (trial / name for name in ("lower", "upper", "work", "merged"))
    for folder in (lower, upper, work, merged):
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mounted = run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=False).returncode == 0
    if mounted:
        run(["umount", merged])
    shutil.rmtree(trial)
    return "overlayfs" if mounted else "native"
