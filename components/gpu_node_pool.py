"""GpuNodePool: where the nodes of model servers come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components._base import Component, Identity
from components._kubernetes import KubernetesObject
from components._pod import patience
from planner.plan import GpuPoolPlan

__all__ = ["GPU_TAINT", "GpuNodePool", "GpuNodePoolArgs"]

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
_POOL_LABEL = "llmagentos.dev/pool"
# A pool goes once its nodes are gone: pods of other people drain first, and large GPU machines take minutes to stop.
_DRAIN_SECONDS = 1800


@dataclass(frozen=True, kw_only=True)
class GpuNodePoolArgs:
    """What a pool is given.

    Attributes:
        identity: stack and namespace.
        pool: the plan's decisions. Names of cluster-scoped objects come from it and carry the stack, because clusters
            are shared; a node class of empty strings makes a simulated one.
    """

    identity: Identity
    pool: GpuPoolPlan


class GpuNodePool(Component):
    """A pool of GPU nodes, kept free of other pods by a taint.

    Outputs:
        node_selector: labels that pods of the pool must select.
    """

    node_selector: dict[str, str]

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        if args.pool.kind == "existing":
            self.node_selector = dict(args.pool.selector)
        else:
            self.node_selector = {_POOL_LABEL: args.pool.name}
            self._karpenter(name, args)
        self.register_outputs({"node_selector": self.node_selector})

    def _karpenter(self, name: str, args: GpuNodePoolArgs) -> None:
        group, kind, class_name = args.pool.node_class
        labels = args.identity.labels(name, "gpu-pool")
        options = self.child()
        if not class_name:
            group, kind, class_name = "karpenter.kwok.sh", "KWOKNodeClass", args.pool.name
            node_class = KubernetesObject(
                f"{group}/v1alpha1", kind,
                f"{name}-class",
                metadata={"name": class_name, "labels": labels},
                opts=self.child(),
            )
            options = self.child(depends_on=[node_class])
        KubernetesObject(
            "karpenter.sh/v1", "NodePool",
            name,
            metadata={"name": args.pool.name, "labels": labels, "annotations": patience(_DRAIN_SECONDS)},
            spec=_node_pool_spec(args.pool, node_class={"group": group, "kind": kind, "name": class_name}),
            opts=options,
        )


def _node_pool_spec(pool: GpuPoolPlan, *, node_class: dict[str, str]) -> dict[str, Any]:
    # Machines that are reserved are paid for whether or not they run, and Karpenter takes them first.
    capacity = [*(["reserved"] if pool.reserved else []), "on-demand", *(["spot"] if pool.spot else [])]
    zones = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": list(pool.zones)}
    return {
        "template": {
            "metadata": {"labels": {_POOL_LABEL: pool.name}},
            "spec": {
                "nodeClassRef": node_class,
                "taints": [GPU_TAINT],
                "requirements": [
                    {
                        "key": "node.kubernetes.io/instance-type",
                        "operator": "In",
                        "values": sorted(pool.instance_types),
                    },
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": capacity},
                    {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
                    *([zones] if pool.zones else []),
                ],
                # A month: long enough for models that load for minutes, short enough for patched node images.
                "expireAfter": "720h",
            },
        },
        "limits": {"nvidia.com/gpu": str(pool.max_gpus)},
        # Moving a model server costs minutes of loading, so nodes go only when nothing runs on them.
        "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "30s"},
    }
