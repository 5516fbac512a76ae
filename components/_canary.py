"""The new version of an application beside the one that serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.plan import TRACK

__all__ = ["canary_flows", "canary_spec"]


def canary_spec(spec: Mapping[str, Any], *, replicas: int) -> dict[str, Any]:
    """The Deployment of a new version as that of its canary: other pods, a fixed count of them."""
    template = spec["template"]
    labels = {**template["metadata"]["labels"], TRACK[0]: TRACK[1]}
    return {
        **spec,
        "replicas": replicas,
        "selector": {"matchLabels": {**spec["selector"]["matchLabels"], TRACK[0]: TRACK[1]}},
        "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
    }


def canary_flows(flows: Mapping[str, Any]) -> dict[str, Any]:
    """The egress of the new version, for the pods of its canary only: what serves keeps its own meanwhile."""
    return {**flows, "podSelector": {"matchLabels": {**flows["podSelector"]["matchLabels"], TRACK[0]: TRACK[1]}}}
