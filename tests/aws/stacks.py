"""The stack files of target aws, and the program run on them without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from llmos.synth import Program, Resource, synth
from planner.faults import UserFault
from planner.plan import Plan, make_plan
from planner.settings import parse
from tests.support import DIGEST, ROOT

__all__ = ["EXAMPLE_OF", "RELEASE", "STACKS", "faults", "of_kind", "plan", "program", "raw", "variant"]

_EXAMPLES = ("cluster", "aws-dev", "aws-staging", "aws-prod")
# Ways that no example goes, held to everything that the examples are held to: what they differ in, by the example.
_VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "cluster-auto": ("cluster", {"cluster": {"compute": "auto-mode"}}),
    "aws-auto": ("aws-dev", {"gpu_pool": {"kind": "auto-mode"}}),
    "aws-gateway": ("aws-dev", {"aws": {"entries": {"assistant": {
        "host": "assistant.example.com", "zone_id": "Z0123456789EXAMPLE", "public": True, "kind": "gateway",
        "sources": ["203.0.113.0/24"],
    }}}}),
    "aws-groups": ("aws-dev", {
        "gpu_pool": {"kind": "managed-node-group", "spot": False},
        "aws": {"gpu_nodes": {"capacity_reservations": ["cr-0123456789abcdef0"], "zones": ["us-east-1a"]}},
    }),
}  # fmt: skip
EXAMPLE_OF = {name: example for name, (example, _) in _VARIANTS.items()}
STACKS = (*_EXAMPLES, *_VARIANTS)
_SERVER = "123456789012.dkr.ecr.us-east-1.amazonaws.com/llmagentos/aws-dev"
RELEASE = {
    "images": {"assistant": f"{_SERVER}/assistant@{DIGEST}"},
    "model_images": {"chat": f"docker.io/vllm/vllm-openai:v0.28.0@{DIGEST}"},
    "revisions": {"chat": "b968826d9c46dd6066d109eabc6255188de91218"},
}


def raw(name: str) -> dict[str, Any]:
    """Value of ``llmagentos:stack`` of a stack, safe to change."""
    if name in _VARIANTS:
        example, changes = _VARIANTS[name]
        return variant(raw(example), changes)
    folder = ROOT if name == "cluster" else ROOT / "examples" / "aws"
    document = yaml.safe_load((folder / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))
    return document["config"]["llmagentos:stack"]


def variant(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A stack file with settings changed; maps are merged."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = variant(merged[key], value) if both else value
    return merged


def program(settings: Mapping[str, Any], name: str, *, preview: bool = False) -> Program:
    """Everything that the program registers for a stack file."""
    return synth(settings, stack=name, preview=preview, build=lambda image, inputs: DIGEST)


def plan(settings: Mapping[str, Any], name: str = "aws-dev") -> Plan:
    """The plan of a stack file."""
    return make_plan(parse(settings, where=f"Pulumi.{name}.yaml"), stack=name)


def faults(settings: Mapping[str, Any]) -> list[str]:
    """The faults of a stack file, by settings or by plan; none when it is accepted."""
    try:
        plan(settings)
    except UserFault as error:
        return [str(fault) for fault in error.faults]
    return []


def of_kind(found: Program, kind: str) -> dict[str, Resource]:
    """Resources by name whose type ends in ``kind``."""
    return {
        resource.name: resource
        for resource in found.resources
        if resource.custom and resource.type.rpartition(":")[2] == kind
    }
