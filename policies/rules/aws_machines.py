"""EC2 machines: the metadata service out of pods' reach, encrypted volumes, GPU types that were agreed on."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator

from ._model import KubeObject, Resource
from ._node import Node
from ._pools import INSTANCE_LABELS, values_of
from ._prices import instances
from ._rule import Context, Option, Rule, Violation

__all__ = ["RULES"]

_DOCS = "https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html"
_MACHINES = ("aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/instance:Instance")
_VOLUMES = ("aws:ebs/volume:Volume", "aws:efs/fileSystem:FileSystem")
_GROUP = "aws:eks/nodeGroup:NodeGroup"


def _machines(resource: Resource) -> Iterator[Resource | KubeObject]:
    if resource.type in _MACHINES:
        yield resource
    yield from (found for found in resource.objects if found.kind == "EC2NodeClass")


def _with_metadata(resource: Resource) -> Iterator[Resource | KubeObject]:
    yield from _machines(resource)
    if resource.type == _GROUP:
        yield resource


def _metadata(machine: Resource | KubeObject, context: Context) -> Iterable[Violation]:
    """Karpenter's EC2NodeClass has safe defaults; elsewhere an absent field is an unsafe one."""
    karpenter = isinstance(machine, KubeObject)
    if isinstance(machine, Resource) and machine.type == _GROUP:
        template = machine.root.get("launchTemplate")
        if not template.exists:
            yield Violation(path=template.path, message="without a launch template the metadata service answers pods",
                            fix="give the node group a launch template with httpPutResponseHopLimit: 1")
        return
    options = machine.root.get("spec", "metadataOptions") if karpenter else machine.root.get("metadataOptions")
    tokens, hops = options.get("httpTokens"), options.get("httpPutResponseHopLimit")
    if tokens.text != "required" and not (karpenter and not tokens.exists):
        yield Violation(path=tokens.path, message="the metadata service answers without a session token (IMDSv1)",
                        fix='set httpTokens: "required"')
    if hops.number != 1 and not (karpenter and not hops.exists):
        yield Violation(path=hops.path, message="the metadata service answers pods, not only the machine itself",
                        fix="set httpPutResponseHopLimit: 1")


def _stores(resource: Resource) -> Iterator[Resource | KubeObject]:
    if resource.type in _VOLUMES:
        yield resource
    yield from _machines(resource)


def _encrypted(store: Resource | KubeObject, context: Context) -> Iterable[Violation]:
    for volume in _disks(store):
        node = volume.get("encrypted")
        if node.flag is not True:
            yield Violation(path=node.path, message="the volume is not encrypted")


def _disks(store: Resource | KubeObject) -> Iterator[Node]:
    if isinstance(store, KubeObject):
        # Without mappings Karpenter makes an encrypted root volume.
        yield from (disk.get("ebs") for disk in store.root.get("spec", "blockDeviceMappings").elements())
    elif store.type in _VOLUMES:
        yield store.root
    elif store.type == "aws:ec2/instance:Instance":
        yield store.root.get("rootBlockDevice")
        yield from store.root.get("ebsBlockDevices").elements()
    else:
        yield from (disk.get("ebs") for disk in store.root.get("blockDeviceMappings").elements())


def _typed(resource: Resource) -> Iterator[Resource | KubeObject]:
    if resource.type in (*_MACHINES, _GROUP):
        yield resource
    yield from (found for found in resource.objects if found.kind == "NodePool")


def _allowed_type(machine: Resource | KubeObject, context: Context) -> Iterable[Violation]:
    allowed = context.config["types"]
    if not allowed:
        return
    for node in _types(machine):
        name = node.text or ""
        if _is_gpu(name) and not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed):
            yield Violation(path=node.path, message="the GPU instance type is not on the allow-list")


def _types(machine: Resource | KubeObject) -> Iterator[Node]:
    if isinstance(machine, KubeObject):
        yield from values_of(machine.root.get("spec", "template", "spec", "requirements"), INSTANCE_LABELS)
    elif machine.type == _GROUP:
        yield from machine.root.get("instanceTypes").elements()
    else:
        yield machine.root.get("instanceType")


def _is_gpu(name: str) -> bool:
    """By the price file; a type it does not know, by the letters AWS gives accelerated families."""
    known = instances().get(name)
    return bool(known.gpus) if known else name.startswith(("g", "p", "inf", "trn", "dl"))


RULES = (
    Rule(
        id="imds-hop-limit",
        title="Pods cannot reach the metadata service of their machine.",
        why="It hands out the machine's credentials; a server that can be made to fetch an address would pass them on.",
        fix='set httpTokens: "required" and httpPutResponseHopLimit: 1',
        sources=(_DOCS, "https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html"),
        controls=("aws-fsbp/EC2.8", "aws-fsbp/AutoScaling.4"),
        cells=_with_metadata,
        checks=(_metadata,),
    ),
    Rule(
        id="encrypted-volumes",
        title="Volumes are encrypted.",
        why="Disks hold weights, prompts in swap and logs; they outlive the machine as snapshots.",
        fix="set encrypted: true",
        sources=(_DOCS, "https://docs.aws.amazon.com/securityhub/latest/userguide/efs-controls.html"),
        controls=("aws-fsbp/EC2.3", "aws-fsbp/EFS.1"),
        cells=_stores,
        checks=(_encrypted,),
    ),
    Rule(
        id="gpu-instance-types",
        title="GPU machines are of types on an allow-list.",
        why="A single p5 costs more a month than most stacks in a year.",
        fix="use an allowed type, or add the type to `types` of this rule",
        sources=("https://karpenter.sh/docs/concepts/nodepools/#spectemplatespecrequirements",),
        controls=("owasp-llm/LLM10:2025",),
        cells=_typed,
        checks=(_allowed_type,),
        options={"types": Option(
            schema={"type": "array", "items": {"type": "string"}}, default=[],
            about="allowed instance types, with wildcards; empty: all",
        )},
    ),
)
