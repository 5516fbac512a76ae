"""What tests of several parts share: stack files, and the program run without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llmos.kube import KubeObject
from llmos.objects import kubernetes_objects
from llmos.synth import Program, synth

__all__ = ["DIGEST", "ROOT", "by_name", "stack_file", "synthesised"]

ROOT = Path(__file__).parent.parent
DIGEST = "sha256:" + "ab" * 32


def stack_file(name: str) -> dict[str, Any]:
    """Value of ``llmagentos:stack`` in one of the repository's stack files."""
    document = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))
    return document["config"]["llmagentos:stack"]


def synthesised(raw: Mapping[str, Any], *, preview: bool = False, stack: str = "dev") -> Program:
    """The program's resources, with one fixed digest for every image."""
    resolve = None if preview else lambda tag: DIGEST
    return synth(raw, stack=stack, preview=preview, build=lambda name, inputs: DIGEST, resolve=resolve)


def by_name(raw: Mapping[str, Any], *, stack: str = "dev") -> dict[tuple[str, str], KubeObject]:
    """The Kubernetes objects of a stack by (kind, name)."""
    found = kubernetes_objects(synthesised(raw, stack=stack))
    return {(item["kind"], item["metadata"]["name"]): item for item in found}
