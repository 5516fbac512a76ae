"""EndpointPicker: llm-d's choice of a replica for each request, behind a gateway of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components._base import Component, Identity, meta
from components._kubernetes import KubernetesObject
from components._llm_d import PLUGINS, PORT, picker_flows, picker_pod, pool_spec, reads_pods, reads_pool, route_spec
from planner.plan import ModelPlan, ScrapePlan

__all__ = ["EndpointPicker", "EndpointPickerArgs"]

_INFERENCE = "inference.networking.k8s.io/v1"
_GATEWAY = "gateway.networking.k8s.io/v1"


@dataclass(frozen=True, kw_only=True)
class EndpointPickerArgs:
    """What an endpoint picker is given.

    Attributes:
        identity: stack and namespace.
        model: the plan's decisions, with gateway and picker.
        port: of the model server.
        pull_secret: Secret that pods pull with; empty for none.
        scrape: who collects its metrics; None for nobody.
    """

    identity: Identity
    model: ModelPlan
    port: int
    pull_secret: str
    scrape: ScrapePlan | None = None


class EndpointPicker(Component):
    """InferencePool, HTTPRoute, and the picker that the gateway asks, with the rights to see the model server's pods.

    Outputs:
        pool: name of the InferencePool.
    """

    pool: str

    def __init__(self, name: str, args: EndpointPickerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        identity, model = args.identity, args.model
        described = meta(identity, name, "endpoint-picker")
        account = self._account(name, described)
        config = KubernetesObject("v1", "ConfigMap", name, metadata=described, data=PLUGINS, opts=self.child())
        policy = KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy", name,
            metadata=described, spec=picker_flows(identity, model, name=name, port=args.port, scrape=args.scrape),
            opts=self.child(),
        )  # fmt: skip
        selector = identity.selector(name)
        template = {
            "metadata": {"labels": identity.labels(name, "endpoint-picker")},
            "spec": picker_pod(identity, model, name=name, pull_secret=args.pull_secret),
        }
        # One at a time: it remembers which replica holds which prefix, and two would each know half.
        spec: dict[str, Any] = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": selector}}
        deployment = KubernetesObject(
            "apps/v1", "Deployment", name,
            metadata=described, spec={**spec, "template": template},
            opts=self.child(depends_on=[*account, config, policy], protect=identity.guarded("Deployment", name)),
        )  # fmt: skip
        service = KubernetesObject(
            "v1", "Service", name,
            metadata=described,
            spec={
                "type": "ClusterIP", "selector": selector,
                "ports": [{"name": "grpc", "port": PORT, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"}],
            },
            opts=self.child(depends_on=[deployment]),
        )  # fmt: skip
        self.pool = model.name
        pool = KubernetesObject(
            _INFERENCE, "InferencePool", model.name,
            metadata=meta(identity, model.name, "endpoint-picker"),
            spec=pool_spec(identity, model, picker=name, port=args.port), opts=self.child(depends_on=[service]),
        )  # fmt: skip
        KubernetesObject(
            _GATEWAY, "HTTPRoute", model.name,
            metadata=meta(identity, model.name, "endpoint-picker"), spec=route_spec(model),
            opts=self.child(depends_on=[pool]),
        )  # fmt: skip
        self.register_outputs({"pool": self.pool})

    def _account(self, name: str, described: dict[str, Any]) -> list[pulumi.Resource]:
        """Its identity, and the right to read pods and its pool in this namespace."""
        subject = {"kind": "ServiceAccount", "name": name, "namespace": described["namespace"]}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        rbac = "rbac.authorization.k8s.io/v1"
        return [
            KubernetesObject(
                "v1", "ServiceAccount", name, metadata=described, automountServiceAccountToken=False, opts=self.child()
            ),
            KubernetesObject(rbac, "Role", name, metadata=described, rules=[reads_pods, reads_pool], opts=self.child()),
            KubernetesObject(
                rbac, "RoleBinding", name,
                metadata=described, subjects=[subject], roleRef=reference, opts=self.child(),
            ),
        ]  # fmt: skip
