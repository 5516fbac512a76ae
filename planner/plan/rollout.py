"""How long an update of a workload may take before it counts as failed."""

from __future__ import annotations

__all__ = ["APPLICATION_START_SECONDS", "rollout_seconds"]

APPLICATION_START_SECONDS = 120
"""Longest start of an application's container; it loads no weights."""
# Finding or making a node: Karpenter asks the cloud for one in seconds, and it joins within two minutes.
_SCHEDULING_SECONDS = 120
# What a pod may take to end beside its streams: see components._pod.
_ENDING_SECONDS = 15


def rollout_seconds(*, replicas: int, start_seconds: int, stream_seconds: int) -> int:
    """Upper bound of a rolling update in seconds.

    Pods are exchanged one after the other: each waits until its predecessor's streams have ended, for a node, and for
    its own start. The engine's default of ten minutes would give up on a healthy update of a few model servers.

    Args:
        replicas: at most, as an autoscaler may have made them.
        start_seconds: longest start of one, e.g. a model's load.
        stream_seconds: longest answer.
    """
    return max(1, replicas) * (start_seconds + stream_seconds + _ENDING_SECONDS) + _SCHEDULING_SECONDS
