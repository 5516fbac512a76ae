"""A stack with a history of requests, sized and planned: office hours, as a file of rates."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from planner.catalogue import load
from planner.lock import parse_lock
from planner.plan import Plan, make_plan
from planner.settings import parse
from planner.sizing import Sizing
from planner.sizing.decide import decide

__all__ = ["MONDAY", "RAW", "changed", "office_hours", "planned", "sized"]

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
RAW: dict[str, Any] = {
    "target": "kubernetes",
    "context": "c",
    "environment": "staging",
    "registry": {"server": "registry.example.com/team"},
    "observability": {"prometheus_url": "http://prometheus.monitoring:9090"},
    "gpu_pool": {"node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}},
    "applications": {"assistant": {"image": {"build": "./app"}, "model": "chat"}},
    "models": {
        "chat": {
            "source": "Qwen/Qwen3-8B",
            "hardware": "auto",
            "autoscaling": "keda",
            "slo": {"ttft_ms": 500, "tpot_ms": 80},
            "traffic": {"history": {"file": "rates.csv"}, "input_tokens": 800, "output_tokens": 200},
        }
    },
}


def changed(**paths: Any) -> dict[str, Any]:
    """The stack with values at paths such as ``models__chat__replicas``; ``None`` removes a key."""
    raw = copy.deepcopy(RAW)
    for path, value in paths.items():
        *parents, last = path.split("__")
        target = raw
        for part in parents:
            target = target.setdefault(part, {})
        if value is None:
            del target[last]
        else:
            target[last] = value
    return raw


def office_hours(folder: Path, *, weeks: int = 3, quiet: float = 3.0, busy: float = 20.0, name: str = "rates") -> Path:
    """Rates per 20 minutes: busy from 08:00 to 18:00 UTC on weekdays, quiet otherwise, with a little noise."""
    noise = np.random.default_rng(3)
    lines = ["timestamp,requests_per_second"]
    for step in range(weeks * 7 * 72):
        moment = MONDAY + timedelta(minutes=20 * step)
        rate = busy if moment.weekday() < 5 and 8 <= moment.hour < 18 else quiet
        lines.append(f"{moment.isoformat()},{rate * noise.gamma(400, 1 / 400):.4f}")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sized(raw: dict[str, Any], folder: Path) -> Sizing:
    return decide(parse(raw, where="Pulumi.x.yaml"), load(), where="Pulumi.x.yaml", folder=folder)


def planned(raw: dict[str, Any], folder: Path, sizing: Sizing | None) -> Plan:
    lock = parse_lock({"sizing": sizing.model_dump(mode="json")} if sizing else {}, where="locks/x.json")
    return make_plan(parse(raw, where="Pulumi.x.yaml"), stack="x", lock=lock, folder=folder)
