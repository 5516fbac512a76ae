"""Custom resource definitions of which AWS publishes documentation and no module: their fields, written down from it.

A strict server then refuses a field that is not documented, a value outside an enum, and a form that is not allowed.
"""

from __future__ import annotations

from typing import Any

__all__ = ["transcribed"]

_TEXT: dict[str, Any] = {"type": "string"}
_TAGS = {"type": "object", "additionalProperties": _TEXT, "maxProperties": 50}


def _object(required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, **({"required": list(required)} if required else {})}


def _list(item: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": item, **({"minItems": least} if least else {})}


def _enum(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


# https://docs.aws.amazon.com/eks/latest/userguide/create-node-class.html
_NODE_CLASS = _object(
    ("role", "securityGroupSelectorTerms", "subnetSelectorTerms"),
    role={"type": "string", "minLength": 1},
    subnetSelectorTerms=_list(_object(id=_TEXT, tags=_TAGS), 1),
    securityGroupSelectorTerms=_list(_object(id=_TEXT, name=_TEXT, tags=_TAGS), 1),
    capacityReservationSelectorTerms=_list(
        _object(id={"type": "string", "pattern": "^cr-[0-9a-z]+$"}, owner=_TEXT, tags=_TAGS)
    ),
    ephemeralStorage=_object(
        size={"type": "string", "pattern": r"^\d+(Gi|G|Ti|T)$"}, kmsKeyID=_TEXT,
        iops={"type": "integer", "minimum": 3000, "maximum": 16000},
        throughput={"type": "integer", "minimum": 125, "maximum": 1000},
    ),
    networkPolicy=_enum("DefaultAllow", "DefaultDeny"),
    networkPolicyEventLogs=_enum("Disabled", "Enabled"),
    snatPolicy=_enum("Disabled", "Random"),
    tags={**_TAGS, "x-kubernetes-validations": [{
        "rule": "self.all(k, !k.startsWith('kubernetes.io/cluster') && !(k in ['karpenter.sh/nodepool', "
                "'karpenter.sh/nodeclaim', 'karpenter.sh/managed-by', 'eks.amazonaws.com/nodeclass']))",
        "message": "tags of EKS' own",
    }]},
)  # fmt: skip
# https://kubernetes-sigs.github.io/aws-load-balancer-controller/v3.5/guide/gateway/loadbalancerconfig/ and
# .../targetgroupconfig/
_PAIRS = _list(_object(key=_TEXT, value=_TEXT))
_BALANCER = _object(
    enableICMP={"type": "boolean"},
    ipAddressType=_enum("dualstack", "dualstack-without-public-ipv4", "ipv4"),
    listenerConfigurations=_list(_object(
        ("protocolPort",), protocolPort={"type": "string", "pattern": r"^(HTTP|HTTPS|TLS|TCP|UDP|TCP_UDP):\d+$"},
        defaultCertificate=_TEXT, certificates=_list(_TEXT), sslPolicy=_TEXT, listenerAttributes=_PAIRS,
    )),
    loadBalancerAttributes=_PAIRS,
    loadBalancerName=_TEXT,
    mergingMode=_enum("prefer-gateway", "prefer-gateway-class"),
    scheme=_enum("internal", "internet-facing"),
    securityGroups=_list(_TEXT),
    sourceRanges=_list(_TEXT),
    tags=_TAGS,
    wafV2=_object(("webACL",), webACL=_TEXT),
)  # fmt: skip
_TARGETS = _object(
    targetReference=_object(("name",), group=_TEXT, kind=_TEXT, name=_TEXT),
    defaultConfiguration=_object(
        healthCheckConfig=_object(
            healthCheckInterval={"type": "integer"}, healthCheckPath=_TEXT, healthCheckPort=_TEXT,
            healthCheckProtocol=_enum("HTTP", "HTTPS", "TCP"), healthCheckTimeout={"type": "integer"},
        ),
        protocol=_enum("HTTP", "HTTPS", "TCP", "TCP_UDP", "TLS", "UDP"),
        protocolVersion=_enum("GRPC", "HTTP1", "HTTP2"),
        tags=_TAGS, targetGroupAttributes=_PAIRS, targetType=_enum("instance", "ip"),
    ),
)  # fmt: skip
_CONTROLLER = ("gateway.k8s.aws", "v1")
_KINDS = {
    (*_CONTROLLER, "LoadBalancerConfiguration", "loadbalancerconfigurations", "Namespaced"): _BALANCER,
    (*_CONTROLLER, "TargetGroupConfiguration", "targetgroupconfigurations", "Namespaced"): _TARGETS,
    ("eks.amazonaws.com", "v1", "NodeClass", "nodeclasses", "Cluster"): _NODE_CLASS,
}


def transcribed() -> list[dict[str, Any]]:
    """The definitions as objects for the API server."""
    return [
        {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group, "scope": scope,
                "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
                "versions": [{
                    "name": version, "served": True, "storage": True,
                    "schema": {"openAPIV3Schema": _object(("spec",), spec=spec)},
                }],
            },
        }
        for (group, version, kind, plural, scope), spec in _KINDS.items()
    ]  # fmt: skip
