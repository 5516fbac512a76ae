"""Objects as files for Git: one object per file, sorted, deterministic, ready for Kustomize, without secret values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from llmos.files import write_whole
from llmos.kube import KubeObject
from llmos.objects import apply_rank
from llmos.synth import UNKNOWN
from planner.faults import Fault, UserFault

__all__ = ["KUSTOMIZATION", "left_out", "render", "text_of", "write_files"]

KUSTOMIZATION = "kustomization.yaml"
_MARK = re.compile(r"# Rendered by llmos from stack (?P<stack>[-a-z0-9]+);")


class _PlainDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """YAML without anchors: a value that stands in two places is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def render(objects: Sequence[KubeObject]) -> dict[str, str]:
    """File name -> YAML: one file per object and a kustomization that lists them in the order of application.

    A name is made of the kind's place in that order, the kind and the object's name, so that an object that comes or
    goes renames no other file. Secrets whose value the program makes are left out: a value must not lie in a file. The
    kustomization says so.
    """
    shown = [item for item in objects if item["kind"] != "Secret"]
    files = {_file_name(item): text_of(item) for item in shown}
    assert len(files) == len(shown), "kind and name are unique within a stack"
    assert not any(UNKNOWN in text for text in files.values()), "callers render only what is known"
    secrets = left_out(objects)
    note = f"# Create these Secrets yourself: {', '.join(secrets)}\n" if secrets else ""
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": sorted(files),
        # Without this Kustomize sorts by an order of its own.
        "sortOptions": {"order": "fifo"},
    }
    return {**files, KUSTOMIZATION: note + text_of(kustomization)}


def left_out(objects: Sequence[KubeObject]) -> list[str]:
    """Names of the Secrets that are not rendered."""
    return sorted(item["metadata"]["name"] for item in objects if item["kind"] == "Secret")


def write_files(files: Mapping[str, str], folder: Path, *, stack: str) -> list[str]:
    """Write rendered files into a folder and remove those of an earlier rendering that are no longer among them.

    A file is known as rendered by its first line. Files without that line are nobody's but the user's: they are never
    removed or overwritten.

    Returns:
        Names of the files that were removed.

    Raises:
        UserFault: a file of the user's has the name of a rendered one, or the folder holds another stack; nothing is
            written then.
    """
    present = {path.name: _stack_of(path) for path in folder.glob("*.yaml")} if folder.is_dir() else {}
    _refuse(files, present, folder=folder, stack=stack)
    folder.mkdir(parents=True, exist_ok=True)
    stale = sorted(name for name, owner in present.items() if owner and name not in files)
    for name in stale:
        (folder / name).unlink()
    mark = f"# Rendered by llmos from stack {stack}; the next rendering overwrites or removes this file.\n"
    for name, text in files.items():
        write_whole(folder / name, mark + text)
    return stale


def _file_name(item: KubeObject) -> str:
    return f"{apply_rank(item['kind']):02d}-{item['kind'].lower()}-{item['metadata']['name']}.yaml"


def text_of(document: Mapping[str, object]) -> str:
    """A document as YAML: keys sorted, the same bytes for the same content."""
    return yaml.dump(document, Dumper=_PlainDumper, sort_keys=True, allow_unicode=True, width=10_000)


def _stack_of(path: Path) -> str:
    """The stack that a file was rendered from; empty for a file of the user's own."""
    with path.open(encoding="utf-8", errors="replace") as file:
        match = _MARK.match(file.readline())
    return match["stack"] if match else ""


def _refuse(files: Mapping[str, str], present: Mapping[str, str], *, folder: Path, stack: str) -> None:
    others = sorted({owner for owner in present.values() if owner and owner != stack})
    if others:
        raise UserFault(
            Fault(
                what=f"the folder holds stack {', '.join(others)}, and this is stack {stack}", where=str(folder),
                fix=f"render into a folder of its own, e.g. --out {folder / stack}",
            )
        )
    foreign = sorted(name for name in files if name in present and not present[name])
    if foreign:
        raise UserFault(
            Fault(
                what=f"{', '.join(foreign)} is there already and was not written by render", where=str(folder),
                fix="move that file away, or render into another folder; your own kustomization can name the folder "
                "under `resources`",
            )
        )
