"""The providers of targets local and kubernetes: whoever talks to the cluster, and whoever builds images."""

from __future__ import annotations

from typing import Any

import pulumi_docker_build as docker_build
import pulumi_kubernetes as k8s

from components._machine import Machine
from planner.plan import Plan

__all__ = ["local_providers"]


def local_providers(plan: Plan, machine: Machine) -> list[Any]:
    """A cluster that a kubeconfig describes, and BuildKit."""
    cluster = k8s.Provider(
        "cluster",
        kubeconfig=machine.kubeconfig or None,
        context=plan.context or None,
        # Without it, any edit of the kubeconfig looks like another cluster, and everything is replaced.
        cluster_identifier=f"llmagentos-{plan.target}-{plan.context or 'embedded'}",
        enable_server_side_apply=True,
    )
    return [cluster, docker_build.Provider("images")]
