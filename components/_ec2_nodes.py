"""Karpenter's two objects for machines of EC2, and the node class of EKS Auto Mode, as plain dictionaries in
Kubernetes' own spelling.

Source: https://karpenter.sh/docs/concepts/nodeclasses/ and .../nodepools/ (v1),
https://docs.aws.amazon.com/eks/latest/userguide/create-node-class.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "AUTO_CLASS_API",
    "NODE_CLASS_API",
    "auto_class_ref",
    "auto_class_spec",
    "node_class_ref",
    "node_class_spec",
    "node_pool_spec",
]

NODE_CLASS_API, AUTO_CLASS_API = "karpenter.k8s.aws/v1", "eks.amazonaws.com/v1"
# Where images and pods are kept: Bottlerocket has its system on a disk of its own.
_DISKS = {"al2023": ("/dev/xvda",), "bottlerocket": ("/dev/xvdb", "/dev/xvda")}
_SYSTEM_GIB = 4
_DRAIN = "30m"


def node_class_spec(
    *,
    image_alias: str,
    role: str,
    subnet_tags: Mapping[str, str],
    security_group_tags: Mapping[str, str],
    volume_gib: int,
    tags: Mapping[str, str],
    capacity_reservations: Sequence[str] = (),
) -> dict[str, Any]:
    """The spec of an EC2NodeClass: encrypted disks, and a metadata service that answers the machine but not its pods.

    Args:
        image_alias: ``family@version``, family ``bottlerocket`` or ``al2023``; Karpenter takes the NVIDIA variant where
            the machine has such GPUs.
        role: name of the machines' IAM role.
        subnet_tags: of the subnets to use.
        security_group_tags: of the security groups to use.
        volume_gib: disk for images and pods.
        tags: of machines and disks.
        capacity_reservations: ids of reservations to use first.
    """
    data, *system = _DISKS[image_alias.partition("@")[0]]
    spec: dict[str, Any] = {
        "amiSelectorTerms": [{"alias": image_alias}],
        "role": role,
        "subnetSelectorTerms": [{"tags": dict(subnet_tags)}],
        "securityGroupSelectorTerms": [{"tags": dict(security_group_tags)}],
        "metadataOptions": {
            "httpEndpoint": "enabled", "httpProtocolIPv6": "disabled", "httpPutResponseHopLimit": 1,
            "httpTokens": "required",
        },
        "blockDeviceMappings": [
            *[_disk(device, _SYSTEM_GIB) for device in system], _disk(data, volume_gib),
        ],
        "tags": dict(tags),
    }  # fmt: skip
    if capacity_reservations:
        spec["capacityReservationSelectorTerms"] = [{"id": name} for name in capacity_reservations]
    return spec


def auto_class_spec(
    *,
    role: str,
    subnet_tags: Mapping[str, str],
    security_group_tags: Mapping[str, str],
    volume_gib: int,
    tags: Mapping[str, str],
    capacity_reservations: Sequence[str] = (),
) -> dict[str, Any]:
    """The spec of a NodeClass of EKS Auto Mode, which always encrypts disks, keeps the metadata service from pods, and
    enforces NetworkPolicies where this says so; the arguments as ``node_class_spec`` takes them."""
    spec: dict[str, Any] = {
        "role": role,
        "subnetSelectorTerms": [{"tags": dict(subnet_tags)}],
        "securityGroupSelectorTerms": [{"tags": dict(security_group_tags)}],
        "ephemeralStorage": {"size": f"{volume_gib}Gi"},
        # The namespaces deny by default themselves; others on the cluster are left as they are.
        "networkPolicy": "DefaultAllow",
        "tags": dict(tags),
    }
    if capacity_reservations:
        spec["capacityReservationSelectorTerms"] = [{"id": name} for name in capacity_reservations]
    return spec


def _disk(device: str, gib: int) -> dict[str, Any]:
    ebs = {"volumeSize": f"{gib}Gi", "volumeType": "gp3", "encrypted": True, "deleteOnTermination": True}
    return {"deviceName": device, "ebs": ebs}


def node_class_ref(name: str) -> dict[str, str]:
    """How a NodePool names an EC2NodeClass."""
    return {"group": NODE_CLASS_API.partition("/")[0], "kind": "EC2NodeClass", "name": name}


def auto_class_ref(name: str) -> dict[str, str]:
    """How a NodePool names a NodeClass of EKS Auto Mode."""
    return {"group": AUTO_CLASS_API.partition("/")[0], "kind": "NodeClass", "name": name}


def node_pool_spec(
    *,
    node_class: Mapping[str, str],
    instance_types: Sequence[str],
    capacity_types: Sequence[str],
    zones: Sequence[str],
    labels: Mapping[str, str],
    taints: Sequence[Mapping[str, str]],
    limits: Mapping[str, str],
    expire_after_hours: int,
    disruption: Mapping[str, Any],
    weight: int = 0,
) -> dict[str, Any]:
    """The spec of a NodePool.

    Args:
        node_class: as ``node_class_ref`` makes it.
        instance_types: that may be taken.
        capacity_types: any of on-demand, spot and reserved.
        zones: availability zones; all of the subnets' when empty.
        labels: of the nodes.
        taints: of the nodes.
        limits: resources of all nodes together.
        expire_after_hours: age at which a node is replaced.
        disruption: when nodes are given up.
        weight: pools of higher weight are filled first; 0 for none.
    """
    requirements = [
        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": sorted(instance_types)},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": sorted(capacity_types)},
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
    ]
    if zones:
        requirements.append({"key": "topology.kubernetes.io/zone", "operator": "In", "values": sorted(zones)})
    template: dict[str, Any] = {
        "metadata": {"labels": dict(labels)},
        "spec": {
            "nodeClassRef": dict(node_class), "requirements": requirements, "expireAfter": f"{expire_after_hours}h",
            # A pod that never ends would otherwise keep a machine that is to go for ever.
            "terminationGracePeriod": _DRAIN, **({"taints": [dict(taint) for taint in taints]} if taints else {}),
        },
    }  # fmt: skip
    spec = {"template": template, "limits": dict(limits), "disruption": dict(disruption)}
    return {**spec, "weight": weight} if weight else spec
