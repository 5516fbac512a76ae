"""One revision's stacks as data: ``python3 -m llmos.snapshot [STACK ...]`` prints objects, cost, hardware and findings.

``preview --against`` runs it in two revisions of the project and compares what they print. Arguments and fields are a
contract with revisions to come: fields are only ever added. It reaches no cluster, builds nothing and needs no login.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.runtime import rpc

from llmos.images.context import context_key
from llmos.judging import resources_of
from llmos.packs import Pack
from llmos.paths import PROJECT_ROOT
from llmos.stacks import Stack, load_stack, stack_names
from llmos.synth import Program, Resource, synth
from planner.faults import LlmosError
from planner.plan import ImagePlan, awaited

__all__ = ["SCHEMA", "snapshot"]

SCHEMA = 1
_FINDING = ("rule", "level", "object", "path", "message", "fix")
_SECRET = "[secret]"
_ANY = "prod"
"""Each stack is judged by its own environment; a pack is started with one that is always there."""
_PROVIDER = "pulumi:providers:"


def snapshot(name: str, pack: Pack) -> dict[str, Any]:
    """One stack of this revision; ``faults`` alone where it cannot be planned."""
    try:
        stack = load_stack(name)
        program = synth(stack.raw, stack=name, preview=True)
        pack.use(stack.plan.environment)
        findings = pack.evaluate(resources_of(program))
    except LlmosError as error:
        return {"faults": [dataclasses.asdict(fault) for fault in error.faults]}
    plan = stack.plan
    return {
        "target": plan.target,
        "environment": plan.environment,
        "usd_per_month": plan.usd_per_month,
        "usd_per_month_min": plan.usd_per_month_min,
        "awaits_release": bool(awaited(plan)),
        "images": _images(stack),
        "costs": [dataclasses.asdict(item) for item in plan.costs],
        "decisions": [dataclasses.asdict(decision) for decision in plan.decisions],
        "objects": _objects(program),
        "policy": [{key: getattr(finding, key) for key in _FINDING} for finding in findings],
    }


def _objects(program: Program) -> list[dict[str, Any]]:
    return [_object(resource) for resource in program.resources if resource.custom]


def _object(resource: Resource) -> dict[str, Any]:
    properties = _plain(resource.properties)
    metadata = properties.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    kind = resource.type.removeprefix(_PROVIDER) + " provider" if resource.type.startswith(_PROVIDER) else ""
    return {
        "type": resource.type,
        "kind": kind or str(properties.get("kind") or resource.type.rpartition(":")[2]),
        "namespace": str(metadata.get("namespace") or ""),
        "name": str(metadata.get("name") or resource.name),
        "properties": properties,
    }


def _plain(value: Any) -> Any:
    """Properties without secrets, and whole numbers without a fraction."""
    if isinstance(value, Mapping):
        if rpc._special_sig_key in value:
            return _SECRET if value[rpc._special_sig_key] == rpc._special_secret_sig else str(value.get("path", ""))
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _images(stack: Stack) -> dict[str, dict[str, str]]:
    """By application and model: the reference, or the build folder with a hash of what the image is made from."""
    plan = stack.plan
    owners = {owner.name: owner.image for owner in (*plan.applications, *plan.models)}
    return {owner: _image(plan.image(name)) for owner, name in sorted(owners.items())}


def _image(image: ImagePlan) -> dict[str, str]:
    if not image.build:
        return {"ref": image.ref}
    context = PROJECT_ROOT / image.build
    recipe = {"platforms": image.platforms, "base": image.base_image}
    key = context_key(context, dockerfile=context / "Dockerfile", recipe=recipe)
    return {"build": image.build, "key": key}


def main(names: Sequence[str]) -> int:
    """Print the snapshot of these stacks, of all that have a file by default."""
    known = stack_names()
    with Pack(environment=_ANY, preview=True) as pack:
        found = {name: snapshot(name, pack) for name in (names or known) if name in known}
    print(json.dumps({"schema": SCHEMA, "stacks": found}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
