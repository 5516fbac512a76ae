"""The pack's configuration: its own initial one, the environment's file, and the caller's, merged as the engine
does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from llmos.checks.findings import PolicyInfo
from planner.faults import Fault, UserFault

__all__ = ["merge", "read"]


def read(folder: Path, environment: str) -> dict[str, Any]:
    """The settings of an environment, ``<folder>/<environment>.json``."""
    known = sorted(path.stem for path in folder.glob("*.json"))
    if environment not in known:
        near = get_close_matches(environment, known, n=1)
        raise UserFault(Fault(
            what=f"there are no policy limits for the environment `{environment}`; there are for {', '.join(known)}",
            where="policies/config", nearest=f"did you mean `{near[0]}`?" if near else "",
            fix="name one of these environments, or add a file for yours",
        ))
    try:
        settings = json.loads((folder / f"{environment}.json").read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserFault(Fault(
            what=f"not valid JSON: {error.msg} in line {error.lineno}", where=f"policies/config/{environment}.json",
            fix="correct the file",
        )) from error
    if not isinstance(settings, dict):
        raise UserFault(Fault(
            what="the file holds no JSON object", where=f"policies/config/{environment}.json",
            fix="map each rule's name to its level or settings",
        ))
    return settings


def merge(
    initial: Mapping[str, Any], layers: Sequence[tuple[str, Mapping[str, Any]]], policies: Sequence[PolicyInfo]
) -> dict[str, dict[str, Any]]:
    """The settings of every rule, later layers over earlier ones; each layer comes with the name of its source.

    Raises:
        UserFault: one fault for each unknown rule and each setting that the pack's schema refuses.
    """
    from jsonschema import (
        Draft202012Validator,  # imported here: half of this module's time, and not needed to import it
    )

    by_name = {policy.name: policy for policy in policies}
    merged = {name: {"enforcementLevel": by_name[name].level, **initial.get(name, {})} for name in by_name}
    faults: list[Fault] = []
    for source, layer in layers:
        for name, value in layer.items():
            settings = {"enforcementLevel": value} if isinstance(value, str) else value
            for target in by_name if name == "all" else [name]:
                if target not in by_name:
                    faults.append(_unknown_rule(source, name, list(by_name)))
                    continue
                errors = list(Draft202012Validator(dict(by_name[target].schema)).iter_errors(settings))
                faults += [_refused(source, target, error) for error in errors]
                if not errors:
                    merged[target] |= settings
    if faults:
        raise UserFault(faults)
    return merged


def _unknown_rule(source: str, name: str, known: list[str]) -> Fault:
    near = get_close_matches(name, known, n=1)
    return Fault(
        what=f"the pack has no rule `{name}`", where=source, nearest=f"did you mean `{near[0]}`?" if near else "",
        fix="use a rule's id as docs/policies.md lists them",
    )


def _refused(source: str, rule: str, error: Any) -> Fault:
    path = ".".join([rule, *(str(part) for part in error.absolute_path)])
    return Fault(
        what=f"the pack's schema refuses it: {error.message}", where=f"{source}: {path}", fix="correct the setting"
    )
