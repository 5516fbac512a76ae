"""AwsEndpoint: how an application on EKS is reached: by a network or an application load balancer, or a Gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components._base import Component, Identity, meta
from components._entry import callers_policy, entry_meta
from components._kubernetes import KubernetesObject
from components._load_balancers import (
    Balancer,
    balancer_spec,
    gateway_spec,
    network_notes,
    route_spec,
    target_spec,
    web_notes,
)
from components._metrics import service_annotations
from planner.plan import ScrapePlan

__all__ = ["AwsEndpoint", "AwsEndpointArgs"]

_GATEWAY_API, _CONTROLLER_API = "gateway.networking.k8s.io/v1", "gateway.k8s.aws/v1"
# Of objects that Pulumi knows nothing of, it waits for what it is told.
_ADDRESS = {"pulumi.com/waitFor": "jsonpath={.status.addresses[0].value}"}


@dataclass(frozen=True, kw_only=True)
class AwsEndpointArgs:
    """What an endpoint is given.

    Attributes:
        identity: stack and namespace.
        application: name of the application; also the Service's name.
        type: ``LoadBalancer`` or ``ClusterIP``.
        port: port that callers use.
        target_port: port that the application's pods listen on.
        auth: ``api-key`` or ``none``; stands as a label, for people.
        stream_seconds: longest stream, which a pod that goes may still end.
        tags: of the load balancer.
        kind: ``nlb`` (of the Service), ``alb`` (by an Ingress) or ``gateway`` (an application load balancer too).
        host: name that it serves; empty without a name in DNS.
        certificate_arn: certificate for TLS; none where there is no name.
        public: whether the internet reaches it; a network load balancer is always internal.
        firewall_arn: firewall of a public one.
        sources: address ranges that may connect; all that can reach it when empty.
        scrape: who collects the application's metrics; None for nobody.
    """

    identity: Identity
    application: str
    type: str
    port: int
    target_port: int
    auth: str
    stream_seconds: int
    tags: dict[str, str]
    kind: str = "nlb"
    host: str = ""
    certificate_arn: pulumi.Input[str] | None = None
    public: bool = False
    firewall_arn: pulumi.Input[str] = ""
    sources: Sequence[str] = ()
    scrape: ScrapePlan | None = None


class AwsEndpoint(Component):
    """Service of an application, the NetworkPolicy that lets its callers in, and what makes the load balancer.

    Without a name in DNS the load balancer is internal as well: what nobody asked to be public is not.

    Outputs:
        host: address within the cluster, ``name.namespace``.
        address: name of the load balancer, for DNS; empty for a ClusterIP.
        port: port of the Service.
    """

    host: pulumi.Output[str]
    address: pulumi.Output[str]
    port: int

    def __init__(self, name: str, args: AwsEndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        identity, application = args.identity, args.application
        self._identity, self._balancer = identity, _balancer(args)
        policy = callers_policy(self, identity, application, port=args.target_port)
        balanced = args.type == "LoadBalancer" and args.kind == "nlb"
        notes = service_annotations(args.scrape, port=args.target_port)
        if balanced:
            notes |= network_notes(self._balancer)
        service = KubernetesObject(
            "v1", "Service", application, metadata=entry_meta(identity, application, auth=args.auth, annotations=notes),
            spec=_service(args, balanced), opts=self.child(depends_on=[policy]),
        )  # fmt: skip
        makers = {"nlb": lambda found: found, "alb": self._ingress, "gateway": self._gateway}
        balancer = makers[args.kind](service) if args.type == "LoadBalancer" else None
        self.address = balancer.status.apply(_name_of) if balancer else pulumi.Output.from_input("")
        self.host, self.port = pulumi.Output.from_input(f"{application}.{identity.namespace}"), args.port
        self.register_outputs({"host": self.host, "address": self.address, "port": self.port})

    def _object(
        self, api: str, kind: str, spec: dict[str, Any], after: Sequence[pulumi.Resource], notes: dict[str, Any]
    ) -> KubernetesObject:
        name = self._balancer.application
        more = {"annotations": notes} if notes else {}
        metadata = meta(self._identity, name, "endpoint", **more)
        return KubernetesObject(api, kind, name, metadata=metadata, spec=spec, opts=self.child(depends_on=after))

    def _ingress(self, service: KubernetesObject) -> KubernetesObject:
        balancer = self._balancer
        backend = {"service": {"name": balancer.application, "port": {"name": "http"}}}
        paths = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        spec = {
            "ingressClassName": "alb", "tls": [{"hosts": [balancer.host]}],
            "rules": [{"host": balancer.host, **paths}],
        }  # fmt: skip
        return self._object("networking.k8s.io/v1", "Ingress", spec, [service], web_notes(balancer))

    def _gateway(self, service: KubernetesObject) -> KubernetesObject:
        """The Gateway last: its load balancer comes with what leads to pods already, and goes before that."""
        balancer = self._balancer
        parts = [
            self._object(_CONTROLLER_API, "LoadBalancerConfiguration", balancer_spec(balancer), [], {}),
            self._object(_CONTROLLER_API, "TargetGroupConfiguration", target_spec(balancer), [service], {}),
            self._object(_GATEWAY_API, "HTTPRoute", route_spec(balancer), [service], {}),
        ]
        return self._object(_GATEWAY_API, "Gateway", gateway_spec(balancer), parts, _ADDRESS)


def _balancer(args: AwsEndpointArgs) -> Balancer:
    return Balancer(
        application=args.application, host=args.host, port=args.port, certificate_arn=args.certificate_arn,
        firewall_arn=args.firewall_arn, public=args.public, stream_seconds=args.stream_seconds, sources=args.sources,
        tags=args.tags,
    )  # fmt: skip


def _service(args: AwsEndpointArgs, balanced: bool) -> dict[str, Any]:
    port = {"name": "http", "port": args.port, "targetPort": args.target_port, "protocol": "TCP"}
    spec: dict[str, Any] = {
        "type": "LoadBalancer" if balanced else "ClusterIP",
        "selector": args.identity.selector(args.application),
        "ports": [port],
    }
    if balanced:
        # Without a class, the cloud provider built into Kubernetes would make a public classic load balancer.
        spec |= {"loadBalancerClass": "service.k8s.aws/nlb", "allocateLoadBalancerNodePorts": False}
        if args.sources:
            spec["loadBalancerSourceRanges"] = list(args.sources)
    return spec


def _name_of(status: Any) -> str:
    """The load balancer's name, which the controller writes into the object; Pulumi has waited for it."""
    found = ((status or {}).get("loadBalancer") or {}).get("ingress") or []
    names = [entry.get("hostname", "") for entry in found]
    names += [entry.get("value", "") for entry in (status or {}).get("addresses") or []]
    return str(names[0]) if names else ""
