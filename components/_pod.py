"""Pods hardened to the restricted Pod Security Standard, with what every workload of ours has in common.

Specs are plain dictionaries in Kubernetes' own spelling: a person compares them with the documentation, and
``pod_overrides`` of the stack file merge into them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "USER_ID", "container", "env_list", "hardened", "http_probes", "merge", "patience", "pod_spec", "volume",
    "writable",
]  # fmt: skip

# Any id above 10,000 avoids the ids of system users of images and nodes (CIS Docker 4.1; kube-score's advice).
USER_ID = 10001
# Endpoints drop a pod only after the news has gone round; a pod that stops at once refuses connections until then.
_PRE_STOP_SECONDS = 5
# Time for the process to end by itself after the last stream.
_EXIT_SECONDS = 10
_NAMED_LISTS = frozenset({"containers", "initContainers", "volumes", "env", "ports", "imagePullSecrets"})


def hardened(*, name: str, image: Any, **more: Any) -> dict[str, Any]:
    """A container with restricted security context and read-only root."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **more,
    }


def container(*, name: str, image: Any, port: int, **more: Any) -> dict[str, Any]:
    """A hardened container that serves on one port called ``http``."""
    return hardened(
        name=name,
        image=image,
        ports=[{"name": "http", "containerPort": port, "protocol": "TCP"}],
        lifecycle={"preStop": {"sleep": {"seconds": _PRE_STOP_SECONDS}}},
        **more,
    )


def pod_spec(
    *,
    service_account: str,
    selector: Mapping[str, str],
    containers: Sequence[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]],
    stream_seconds: int,
    pull_secret: str = "",
    **more: Any,
) -> dict[str, Any]:
    """The pod around the containers.

    Args:
        service_account: its ServiceAccount; the token is not mounted.
        selector: labels of the workload's pods, for spreading them over zones and nodes.
        containers: as ``container`` makes them.
        volumes: as ``volume`` and ``writable`` make them.
        stream_seconds: longest stream; the pod is given that long, and some more, to end.
        pull_secret: name of the registry's Secret; none when empty.
        more: further keys of the spec.
    """
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            # ScheduleAnyway: a cluster of one zone, or a drained node, must not keep replicas from starting.
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(selector)},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    spec: dict[str, Any] = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        # A Service called vllm would set VLLM_PORT in every pod, which vLLM reads as its own setting.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": _PRE_STOP_SECONDS + stream_seconds + _EXIT_SECONDS,
        "topologySpreadConstraints": spread,
        "containers": list(containers),
        "volumes": list(volumes),
        **more,
    }
    if pull_secret:
        spec["imagePullSecrets"] = [{"name": pull_secret}]
    return spec


def patience(seconds: int) -> dict[str, str]:
    """Annotation for the Pulumi provider, which gives up on an object after ten minutes: how long it may take to become
    ready, and to go."""
    return {"pulumi.com/timeoutSeconds": str(seconds)}


def volume(name: str, size: str, *, memory: bool = False) -> dict[str, Any]:
    """An emptyDir of at most ``size`` (a memory quantity), on disk or in memory."""
    return {"name": name, "emptyDir": {"sizeLimit": size, **({"medium": "Memory"} if memory else {})}}


def writable(name: str, path: str) -> dict[str, Any]:
    """Mount of a volume at a path; the only writable places of a pod."""
    return {"name": name, "mountPath": path}


def env_list(values: Mapping[str, str], secrets: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Environment variables in a stable order: plain values, then references to (Secret, key)."""
    plain = [{"name": name, "value": value} for name, value in sorted(values.items())]
    return plain + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, (secret, key) in sorted(secrets.items())
    ]


def http_probes(*, startup: str, ready: str, alive: str, start_seconds: int) -> dict[str, Any]:
    """Startup, readiness and liveness probes; a container that has not started in ``start_seconds`` is restarted."""
    period = 10 if start_seconds > 300 else 2
    get = {"port": "http", "scheme": "HTTP"}
    return {
        "startupProbe": {
            "httpGet": {"path": startup, **get},
            "periodSeconds": period,
            "failureThreshold": -(-start_seconds // period),
            "timeoutSeconds": 5,
        },
        "readinessProbe": {
            "httpGet": {"path": ready, **get}, "periodSeconds": 5, "failureThreshold": 2, "timeoutSeconds": 5,
        },
        # Slower than readiness: a busy server is taken out of the Service long before it is killed.
        "livenessProbe": {
            "httpGet": {"path": alive, **get}, "periodSeconds": 15, "failureThreshold": 4, "timeoutSeconds": 10,
        },
    }


def merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``overrides`` on top: maps merge deeply, lists whose entries have names merge by name, the rest is
    replaced; ``null`` removes a key. Neither argument is changed."""
    merged = dict(base)
    for key, value in overrides.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        elif key in _NAMED_LISTS and isinstance(value, Sequence) and isinstance(merged.get(key), Sequence):
            merged[key] = _merge_named(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _merge_named(base: Sequence[Any], overrides: Sequence[Any]) -> list[Any]:
    entries = {entry["name"]: entry for entry in base}
    for entry in overrides:
        entries[entry["name"]] = merge(entries.get(entry["name"], {}), entry)
    return list(entries.values())
