"""The nodes of a cluster and whether they are Ready."""

from __future__ import annotations

import json
from pathlib import Path

from llmos.process import run

__all__ = ["readiness"]


def readiness(*, kubectl: Path, kubeconfig: Path) -> dict[str, bool] | None:
    """Every node's name and whether it is Ready; None when the API server does not answer."""
    command = [kubectl, "--kubeconfig", kubeconfig, "get", "nodes", "-o", "json", "--request-timeout=5s"]
    done = run(command, check=False)
    if done.returncode != 0:
        return None
    return {node["metadata"]["name"]: _is_ready(node) for node in json.loads(done.stdout)["items"]}


def _is_ready(node: dict) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
