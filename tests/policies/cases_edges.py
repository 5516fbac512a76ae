"""Cases of less common shapes: other ways in, other AWS resources, policies written differently."""

from __future__ import annotations

import json
from typing import Any

from tests.policies.support import DELETE, PROTECT

_POLICY = "NetworkPolicy/chat"
_CHAT = "Deployment/chat"
_POD = "spec.template.spec"
_META = {"name": "x", "namespace": "assistant"}


def _aws(kind: str, **properties: Any) -> list[Any]:
    return [("extra", "", {"type": f"aws:{kind}", "name": "extra", "properties": properties})]


def _route(*names: str, protocol: str | None = "HTTPS") -> list[Any]:
    parents = [{"name": name} for name in names]
    spec: dict[str, Any] = {"parentRefs": parents, "rules": [{"backendRefs": [{"name": "app"}]}]}
    version = "gateway.networking.k8s.io/v1"
    edits: list[Any] = [
        ("HTTPRoute/x", "", {"apiVersion": version, "kind": "HTTPRoute", "metadata": _META, "spec": spec})
    ]
    if protocol:
        gateway = {
            "apiVersion": version,
            "kind": "Gateway",
            "metadata": _META,
            "spec": {"listeners": [{"protocol": protocol}]},
        }
        edits.append(("Gateway/x", "", gateway))
    return edits


def _trust(principal: Any, **more: Any) -> list[Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return _aws("iam/role:Role", assumeRolePolicy=json.dumps({"Statement": [statement]}))


_SCALED = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": _META,
    "spec": {"scaleTargetRef": {"name": "chat"}, "minReplicaCount": 2, "maxReplicaCount": 20},
}
_JOB_SPEC = {"parallelism": 5, "template": {"spec": {"containers": [{"name": "c"}]}}}
_JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": _META, "spec": _JOB_SPEC}
_WORKERS = {
    "apiVersion": "leaderworkerset.x-k8s.io/v1",
    "kind": "LeaderWorkerSet",
    "metadata": _META,
    "spec": {
        "replicas": 3,
        "leaderWorkerTemplate": {"size": 4, "workerTemplate": {"spec": {"containers": [{"name": "c"}]}}},
    },
}
_GROUP = "eks/nodeGroup:NodeGroup"

_REPOSITORY = {"type": "aws:ecr/repository:Repository", "name": "images", "properties": {"name": "images"}}

FAIL = [
    ("replace-protection", [(_CHAT, PROTECT, False)], "", {}),
    ("replace-protection", [("Namespace/assistant", PROTECT, False)], "", {}),
    ("replace-protection", [("extra", "", {**_REPOSITORY, PROTECT: False})], "", {}),
    (
        "replace-protection",
        [(_CHAT, PROTECT, False), ("llm-stack", "allowReplace", ["Deployment/app", "Namespace/chat"])],
        "",
        {},
    ),
    ("imds-hop-limit", _aws(_GROUP, instanceTypes=["m7i.large"]), "launchTemplate", {}),
    ("public-authentication", [("Service/chat", "spec.externalIPs", ["1.2.3.4"])], "spec", {}),
    ("public-authentication", [*_route("x"), ("Deployment/app", f"{_POD}.containers[0].env", [])], "spec", {}),
    ("public-tls", [("Service/chat", "spec.type", "NodePort")], "spec.ports", {}),
    ("public-tls", _route("x", protocol="HTTP"), "spec.parentRefs", {}),
    ("public-tls", _route("x", protocol=None), "spec.parentRefs", {}),
    ("public-rate", [("Service/chat", "spec.type", "LoadBalancer")], "spec", {}),
    ("model-server-peers", [(_POLICY, "spec.ingress[0].ports[0]", {"protocol": "TCP"})], "", {}),
    ("model-server-peers", [(_POLICY, "spec.ingress[0]", {"ports": [{"port": 29500}]})], "", {}),
    ("model-server-egress", [(_POLICY, "spec.egress[1].to[0].ipBlock", {"cidr": "nonsense"})], "", {}),
    ("model-server-egress", [(_POLICY, "spec.policyTypes", DELETE), (_POLICY, "spec.egress[1].to", [])], "", {}),
    ("model-server-private", [("Ingress/app", "spec.defaultBackend", {"service": {"name": "chat"}})], "", {}),
    ("model-server-private", [(_POLICY, "spec.ingress[0].from[0]", {"ipBlock": {"cidr": "10.0.0.0/8"}})], "", {}),
    ("imds-hop-limit", _aws("ec2/instance:Instance"), "metadataOptions.httpTokens", {}),
    (
        "imds-hop-limit",
        [("EC2NodeClass/gpu", "spec.metadataOptions.httpTokens", "optional")],
        "spec.metadataOptions.httpTokens",
        {},
    ),
    ("encrypted-volumes", _aws("ebs/volume:Volume"), "encrypted", {}),
    ("encrypted-volumes", _aws("efs/fileSystem:FileSystem", encrypted=False), "encrypted", {}),
    ("encrypted-volumes", _aws("ec2/instance:Instance"), "rootBlockDevice.encrypted", {}),
    (
        "encrypted-volumes",
        _aws("ec2/instance:Instance", rootBlockDevice={"encrypted": True}, ebsBlockDevices=[{}]),
        "ebsBlockDevices[0].encrypted",
        {},
    ),
    ("gpu-instance-types", _aws(_GROUP, instanceTypes=["p5.48xlarge"]), "instanceTypes[0]", {"types": ["g6.*"]}),
    ("gpu-instance-types", _aws(_GROUP, instanceTypes=["p9.huge"]), "instanceTypes[0]", {"types": ["g6.*"]}),
    (
        "iam-wildcards",
        _aws("iam/rolePolicyAttachment:RolePolicyAttachment", policyArn="arn:aws:iam::aws:policy/AdministratorAccess"),
        "policyArn",
        {},
    ),
    ("iam-wildcards", _trust("*"), "assumeRolePolicy: Statement[0]", {}),
    ("iam-wildcards", _trust({"AWS": ["*"]}), "assumeRolePolicy: Statement[0]", {}),
    (
        "security-group-world",
        _aws("ec2/securityGroupRule:SecurityGroupRule", type="ingress", cidrBlocks=["0.0.0.0/0"]),
        "",
        {},
    ),
    ("security-group-world", _aws("vpc/securityGroupIngressRule:SecurityGroupIngressRule", cidrIpv6="::/0"), "", {}),
    (
        "bucket-encryption",
        [("weights-encryption", "rules[0].applyServerSideEncryptionByDefault.sseAlgorithm", "AES256")],
        "",
        {},
    ),
    ("bucket-private", [("weights", "acl", "public-read")], "acl", {}),
    ("replica-count", [("ScaledObject/x", "", _SCALED)], "", {"replicas": 29}),
    (
        "replica-count",
        [("ScaledObject/x", "", {**_SCALED, "spec": {"scaleTargetRef": {"name": "chat"}}})],
        "",
        {"replicas": 109},
    ),
    ("replica-count", [("Job/x", "", _JOB)], "", {"replicas": 16}),
    ("replica-count", [("LeaderWorkerSet/x", "", _WORKERS)], "", {"replicas": 23}),
    ("gpu-count", _aws(_GROUP, instanceTypes=["g6.12xlarge"], scalingConfig={"maxSize": 3}), "", {"gpus": 19}),
    ("gpu-count", _aws(_GROUP, instanceTypes=["g6.12xlarge"]), "", {"gpus": 1000}),
    (
        "monthly-cost",
        _aws(_GROUP, instanceTypes=["g6.xlarge"], scalingConfig={"maxSize": 100}),
        "",
        {"usd_per_month": 20000},
    ),
    (
        "gpu-count",
        [(_CHAT, f"{_POD}.resourceClaims", [{"name": "g", "resourceClaimTemplateName": "none"}])],
        f"{_POD}.resourceClaims[0]",
        {"gpus": 1000},
    ),
    (
        "literal-secret",
        [
            (
                "RayCluster/x",
                "",
                {
                    "apiVersion": "ray.io/v1",
                    "kind": "RayCluster",
                    "metadata": _META,
                    "spec": {
                        "headGroupSpec": {
                            "template": {
                                "spec": {"containers": [{"name": "c", "env": [{"name": "HF_TOKEN", "value": "abc"}]}]}
                            }
                        }
                    },
                },
            )
        ],
        "spec.headGroupSpec.template.spec.containers[0].env[0].value",
        {},
    ),
]

PASS = [
    ("replace-protection", [(_CHAT, PROTECT, False), ("llm-stack", "allowReplace", ["Deployment/chat"])], {}),
    ("replace-protection", [(_CHAT, PROTECT, False), ("llm-stack", "", DELETE)], {}),
    ("replace-protection", [("Service/chat", PROTECT, False)], {}),
    (
        "replace-protection",
        [("extra", "", {**_REPOSITORY, PROTECT: False}), ("llm-stack", "allowReplace", ["Repository/images"])],
        {},
    ),
    ("imds-hop-limit", _aws(_GROUP, launchTemplate={"id": "lt-1", "version": "1"}), {}),
    ("visible-arguments", [(_CHAT, f"{_POD}.containers[0].args[7]", "--api-key=$(API_KEY)")], {}),
    ("public-tls", _route("x"), {}),
    ("public-authentication", _route("x"), {}),
    (
        "public-rate",
        [
            ("Ingress/app", "metadata.annotations", {}),
            ("Deployment/app", f"{_POD}.containers[0].env[2]", {"name": "RATE_LIMIT_RPM", "value": "9"}),
        ],
        {},
    ),
    (
        "model-server-peers",
        [
            (
                _POLICY,
                "spec.ingress[0]",
                {
                    "from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "chat"}}}],
                    "ports": [{"port": 29500}],
                },
            )
        ],
        {},
    ),
    ("iam-wildcards", _trust("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), {}),
    ("iam-wildcards", _trust({"Service": "ec2.amazonaws.com"}), {}),
    (
        "security-group-world",
        _aws("ec2/securityGroupRule:SecurityGroupRule", type="egress", cidrBlocks=["0.0.0.0/0"]),
        {},
    ),
    (
        "imds-hop-limit",
        _aws("ec2/instance:Instance", metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 1}),
        {},
    ),
    ("encrypted-volumes", _aws("ebs/volume:Volume", encrypted=True), {}),
    ("replica-count", [("ScaledObject/x", "", _SCALED)], {"replicas": 30}),
    (
        "gpu-rollout",
        [
            (_CHAT, "spec.strategy.rollingUpdate", {"maxSurge": 1, "maxUnavailable": 0}),
            ("NodePool/gpu", "spec.limits", {"nvidia.com/gpu": "12"}),
        ],
        {},
    ),
    ("gpu-rollout", [(_CHAT, "spec.strategy.rollingUpdate", {"maxSurge": 1, "maxUnavailable": 1})], {}),
]

UNKNOWN_AT: list[Any] = []
