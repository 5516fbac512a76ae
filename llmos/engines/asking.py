"""Asking the API server what it would store, and reading its refusals object by object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from llmos.engines.conflicts import conflict_fault, conflicts
from llmos.kube import Kube, KubeObject, as_list, identity
from planner.faults import EnvironmentFault, Fault, LlmosError, UserFault

__all__ = ["Answers", "Key", "ask", "immutable_fields", "raise_refused", "refusal"]

Key = tuple[str, str, str]
_AT_ONCE = 4
_IMMUTABLE = re.compile(r"(?P<path>[\w.\[\]]+): (?:Invalid value: .*|Forbidden: [^\n]*)\bimmutable\b", re.DOTALL)
_NOISE = ("Warning:", "Please review", "are the ways", "* ", "  command with", "  manifest to", "  current managers",
          "  value; in this", "  stop managing", "See https://kubernetes.io")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the server said to each object: how it would store it, or its words of refusal."""

    stored: dict[Key, KubeObject] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)


def ask(kube: Kube, objects: Sequence[KubeObject], *, manager: str, force: bool = False) -> Answers:
    """Validate objects by server-side dry run; nothing is stored.

    Where the server refuses any, it is asked about each alone: kubectl names no object in a conflict.

    Args:
        kube: the cluster.
        objects: what would be applied.
        manager: the field manager that would apply it.
        force: whether fields of other managers would be taken over.
    """
    if not objects:
        return Answers()
    done, said = _dry_run(kube, objects, manager=manager, force=force)
    if done or len(objects) == 1:
        return Answers(stored=done, refused={} if done else {identity(objects[0]): said})
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda item: ask(kube, [item], manager=manager, force=force), objects))
    stored = {key: item for answer in answers for key, item in answer.stored.items()}
    return Answers(stored=stored, refused={key: text for answer in answers for key, text in answer.refused.items()})


def immutable_fields(said: str, *, live: KubeObject, wanted: KubeObject) -> tuple[str, ...]:
    """Fields that cannot be changed in place, where a refusal is about that; none where it is about something else."""
    paths = [found["path"] for found in _IMMUTABLE.finditer(said)]
    exact = [inner for path in paths for inner in (_changed(live, wanted, path) or [path])]
    return tuple(dict.fromkeys(exact))


def refusal(key: Key, said: str, *, own: str = "") -> LlmosError:
    """The error for one refused object: the owner of a conflicting field, or the server's own reason; ``own`` as for
    ``conflicts``."""
    where = "/".join(filter(None, key))
    owned = conflicts(said, own=own)
    if owned:
        return UserFault(conflict_fault(owned, where=where))
    lines = [line for line in said.strip().splitlines() if not line.startswith(_NOISE)]
    return EnvironmentFault(
        Fault(
            what="the API server refused:\n    " + "\n    ".join(lines[-12:]), where=where,
            fix="change what it names and repeat",
        )
    )


def raise_refused(refused: Mapping[Key, str], *, own: str = "") -> None:
    """Raise for all of them together; nothing where there are none. ``own`` as for ``conflicts``.

    Raises:
        UserFault: every refusal is a conflict over a field; EnvironmentFault: otherwise.
    """
    errors = [refusal(key, said, own=own) for key, said in sorted(refused.items())]
    if errors:
        kind = UserFault if all(isinstance(error, UserFault) for error in errors) else EnvironmentFault
        raise kind([fault for error in errors for fault in error.faults])


def _dry_run(
    kube: Kube, objects: Sequence[KubeObject], *, manager: str, force: bool
) -> tuple[dict[Key, KubeObject], str]:
    words = ["apply", "--server-side", f"--field-manager={manager}", "--dry-run=server", "-o", "json", "-f", "-"]
    if force:
        words.append("--force-conflicts")
    done = kube.run(*words, stdin=as_list(objects), check=False, timeout_seconds=120)
    if done.returncode != 0:
        return {}, done.stderr
    found = json.loads(done.stdout)
    return {identity(item): item for item in (found["items"] if found.get("kind") == "List" else [found])}, ""


def _changed(live: KubeObject, wanted: KubeObject, path: str) -> list[str]:
    """Leaves below ``path`` that are stated differently: a claim's refusal names its whole ``spec`` only."""
    sides = []
    for side in (live, wanted):
        for part in path.split("."):
            side = side.get(part, {}) if isinstance(side, Mapping) else {}
        sides.append(side)
    old, new = sides
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or path.startswith("spec.selector"):
        return []
    return [f"{path}.{key}" for key in sorted(new) if key not in old or _differs(old[key], new[key])]


def _differs(old: object, new: object) -> bool:
    """Whether something stated is otherwise in the cluster, which adds defaults of its own."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return any(key not in old or _differs(old[key], new[key]) for key in new)
    return old != new
