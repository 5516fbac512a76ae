"""AwsEndpoint: how an application on EKS is reached: an internal network load balancer, or a public application load
balancer behind a firewall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components._base import Component, Identity, meta
from components._entry import callers_policy, entry_meta
from components._kubernetes import KubernetesObject

__all__ = ["AwsEndpoint", "AwsEndpointArgs"]

_SERVICE, _INGRESS = "service.beta.kubernetes.io/aws-load-balancer", "alb.ingress.kubernetes.io"
# TLS 1.2 with forward secrecy, and 1.3.
_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


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
        host: name that it serves; empty without a name in DNS.
        certificate_arn: certificate for TLS; none where there is no name.
        public: an application load balancer for the internet instead of an internal one.
        firewall_arn: firewall of a public one.
        sources: address ranges that may connect; all that can reach it when empty.
    """

    identity: Identity
    application: str
    type: str
    port: int
    target_port: int
    auth: str
    stream_seconds: int
    tags: dict[str, str]
    host: str = ""
    certificate_arn: pulumi.Input[str] | None = None
    public: bool = False
    firewall_arn: pulumi.Input[str] | None = None
    sources: Sequence[str] = ()


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
        policy = callers_policy(self, identity, application, port=args.target_port)
        balanced = args.type == "LoadBalancer" and not args.public
        notes = {"annotations": _network(args)} if balanced else {}
        service = KubernetesObject(
            "v1", "Service", application, metadata=entry_meta(identity, application, auth=args.auth, **notes),
            spec=_service(args, balanced), opts=self.child(depends_on=[policy]),
        )  # fmt: skip
        balancer = service if balanced else self._ingress(args, service) if args.public else None
        self.address = balancer.status.apply(_name_of) if balancer else pulumi.Output.from_input("")
        self.host, self.port = pulumi.Output.from_input(f"{application}.{identity.namespace}"), args.port
        self.register_outputs({"host": self.host, "address": self.address, "port": self.port})

    def _ingress(self, args: AwsEndpointArgs, service: KubernetesObject) -> KubernetesObject:
        backend = {"service": {"name": args.application, "port": {"name": "http"}}}
        return KubernetesObject(
            "networking.k8s.io/v1", "Ingress", args.application,
            metadata=meta(args.identity, args.application, "endpoint", annotations=_web(args)),
            spec={
                "ingressClassName": "alb",
                "tls": [{"hosts": [args.host]}],
                "rules": [
                    {"host": args.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
                ],
            },
            opts=self.child(depends_on=[service]),
        )


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


def _joined(values: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(values.items()))


def _network(args: AwsEndpointArgs) -> dict[str, Any]:
    """Annotations of the Service: https://kubernetes-sigs.github.io/aws-load-balancer-controller/ (guide/service)."""
    found: dict[str, Any] = {
        f"{_SERVICE}-scheme": "internal",
        f"{_SERVICE}-nlb-target-type": "ip",
        f"{_SERVICE}-backend-protocol": "tcp",
        f"{_SERVICE}-healthcheck-protocol": "http",
        f"{_SERVICE}-healthcheck-path": "/readyz",
        f"{_SERVICE}-target-group-attributes": _joined({"deregistration_delay.timeout_seconds": args.stream_seconds}),
        f"{_SERVICE}-additional-resource-tags": _joined(args.tags),
    }
    if args.certificate_arn is not None:
        found[f"{_SERVICE}-ssl-cert"] = args.certificate_arn
        found[f"{_SERVICE}-ssl-ports"] = str(args.port)
        found[f"{_SERVICE}-ssl-negotiation-policy"] = _TLS_POLICY
    return found


def _web(args: AwsEndpointArgs) -> dict[str, Any]:
    """Annotations of the Ingress (guide/ingress)."""
    found: dict[str, Any] = {
        f"{_INGRESS}/scheme": "internet-facing",
        f"{_INGRESS}/target-type": "ip",
        f"{_INGRESS}/listen-ports": f'[{{"HTTPS": {args.port}}}]',
        f"{_INGRESS}/certificate-arn": args.certificate_arn,
        f"{_INGRESS}/ssl-policy": _TLS_POLICY,
        f"{_INGRESS}/wafv2-acl-arn": args.firewall_arn,
        f"{_INGRESS}/healthcheck-path": "/readyz",
        f"{_INGRESS}/target-group-attributes": _joined({"deregistration_delay.timeout_seconds": args.stream_seconds}),
        # A minute without a token would otherwise end a stream.
        f"{_INGRESS}/load-balancer-attributes": _joined({
            "idle_timeout.timeout_seconds": max(60, args.stream_seconds),
            "routing.http.drop_invalid_header_fields.enabled": "true",
        }),
        f"{_INGRESS}/tags": _joined(args.tags),
    }  # fmt: skip
    if args.sources:
        found[f"{_INGRESS}/inbound-cidrs"] = ",".join(args.sources)
    return found


def _name_of(status: Any) -> str:
    """The load balancer's name, which the controller writes into the object; Pulumi has waited for it."""
    found = ((status or {}).get("loadBalancer") or {}).get("ingress")
    return str(found[0].get("hostname", "")) if found else ""
