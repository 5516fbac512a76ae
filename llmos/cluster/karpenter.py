"""Karpenter with its kwok provider: a real node autoscaler that makes simulated nodes, as a background process."""

from __future__ import annotations

import http.client
from pathlib import Path

from llmos.cluster.binaries import Binaries
from llmos.cluster.control_plane import Ports
from llmos.cluster.instance_types import to_json
from llmos.daemons import Daemon
from llmos.files import write_whole
from planner.catalogue import load

__all__ = ["ensure_running"]


def ensure_running(folder: Path, *, binaries: Binaries, ports: Ports) -> bool:
    """Start Karpenter unless it runs with the present catalogue; return whether it was started.

    Its custom resource definitions must be in the cluster already, or it ends at once.

    Args:
        folder: the cluster's folder, which gets the instance types, the log and the link to the program.
        binaries: the programs.
        ports: where it serves metrics and health; it could not be told apart from another cluster's by default.

    Raises:
        EnvironmentFault: it ended, or was not healthy in time; quotes its log.
    """
    types = folder / "instance-types.json"
    wanted = to_json(load().instances.values())
    daemon = _daemon(folder, types=types, ports=ports)
    if types.is_file() and types.read_text(encoding="utf-8") != wanted:
        # It reads the file only when it starts.
        daemon.stop(grace_seconds=5)
    write_whole(types, wanted)
    link = folder / "bin" / "karpenter"
    if not daemon.running():
        link.unlink(missing_ok=True)
        link.symlink_to(binaries.karpenter)
    started = daemon.start()
    daemon.wait_ready(lambda: _healthy(ports.karpenter_health), timeout_seconds=60)
    return started


def _daemon(folder: Path, *, types: Path, ports: Ports) -> Daemon:
    # Nothing of the user's environment: Karpenter reads common names such as LOG_LEVEL, and ends at values of others.
    env = {
        "KUBECONFIG": str(folder / "kubeconfig.yaml"),
        # One copy, outside the cluster: there is nobody to elect against and no namespace for the lease.
        "DISABLE_LEADER_ELECTION": "true",
        "METRICS_PORT": str(ports.karpenter_metrics),
        "HEALTH_PROBE_PORT": str(ports.karpenter_health),
        "INSTANCE_TYPES_FILE_PATH": str(types),
        # Pods of one rollout arrive together; the default of 1 s idle, 10 s at most is for clusters that grow slowly.
        "BATCH_IDLE_DURATION": "500ms",
        "BATCH_MAX_DURATION": "3s",
    }
    return Daemon(
        name="karpenter", command=[folder / "bin" / "karpenter"], state_dir=folder, env=env,
        log=folder / "logs" / "karpenter.log",
    )


def _healthy(port: int) -> bool:
    # Not urllib, which would ask a proxy from the environment even for loopback.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
