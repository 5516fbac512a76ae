"""How long the policy pack takes: ``python3 -m benchmarks.policies_speed``.

A preview of 60 resources (start of the pack included) may take 1.5 s, one ``check`` of 1,000 manifests 5 s on two
cores, reading the files included. Each figure is the best of a few runs, because other programs only ever add time.
Exit code 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from llmos.manifests import read_manifests
from llmos.packs import evaluate

__all__ = ["main"]

_LIMITS_SECONDS = {60: 1.5, 1000: 5.0}


def main() -> int:
    """Print a line for each size and the JSON summary."""
    parser = argparse.ArgumentParser(description="Time the policy pack.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each size (default 3)")
    runs = parser.parse_args().runs
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count, limit in _LIMITS_SECONDS.items():
            file = Path(folder) / f"{count}.yaml"
            file.write_text(yaml.safe_dump_all([_manifest(number) for number in range(count)]), encoding="utf-8")
            seconds = min(_seconds(lambda path=file: _check(path)) for _ in range(runs))
            best[f"seconds_{count}"] = round(seconds, 3)
            print(f"{count} manifests: {seconds:.2f} s, at most {limit:g} s")
    print(json.dumps({**best, "runs": runs, "cores": os.cpu_count()}))
    return int(any(best[f"seconds_{count}"] > limit for count, limit in _LIMITS_SECONDS.items()))


def _check(path: Path) -> None:
    evaluate([manifest.resource for manifest in read_manifests([str(path)])], environment="prod", preview=True)


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _manifest(number: int) -> dict[str, Any]:
    """Every third one a Deployment, as in a real stack; the others what surrounds it."""
    name = f"app-{number}"
    metadata = {"name": name, "namespace": f"team-{number % 20}", "labels": {"app.kubernetes.io/name": name}}
    selector = {"app.kubernetes.io/name": name}
    if number % 3 == 1:
        spec: dict[str, Any] = {"selector": selector, "ports": [{"port": 80, "targetPort": "http"}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    if number % 3 == 2:
        spec = {"podSelector": {"matchLabels": selector}, "policyTypes": ["Ingress", "Egress"]}
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    container = {
        "name": "app", "image": f"registry.example.com/app@sha256:{number:064x}",
        "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "PORT", "value": "8000"}],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {kind: {"cpu": "500m", "memory": "512Mi"} for kind in ("requests", "limits")},
        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {"securityContext": {"runAsNonRoot": True}, "serviceAccountName": name, "containers": [container]}
    template = {"metadata": {"labels": selector}, "spec": pod}
    spec = {"replicas": 2, "selector": {"matchLabels": selector}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


if __name__ == "__main__":
    raise SystemExit(main())
