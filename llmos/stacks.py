"""Reading a stack: its file, its lock, and the plan they give. Nothing here touches a cluster."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from llmos.paths import PROJECT_ROOT
from planner.faults import Fault, UserFault, nearest
from planner.lock import Lock, parse_lock
from planner.machine import STACK_FOLDER, locks_dir
from planner.plan import Plan, make_plan
from planner.settings import StackSettings, parse

__all__ = ["Stack", "load_stack", "locate_stack", "lock_path", "read_lock", "read_stack_file", "stack_names"]

_STACK_NAME = re.compile(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?")
CONFIG_KEY = "llmagentos:stack"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack, read and planned.

    Attributes:
        name: from the file's name, ``Pulumi.<name>.yaml``.
        file: the stack file.
        raw: value of ``llmagentos:stack`` as it stands there.
        settings: the same, checked.
        lock: content of ``locks/<name>.json``.
        plan: everything decided from these.
    """

    name: str
    file: Path
    raw: Mapping[str, Any]
    settings: StackSettings
    lock: Lock
    plan: Plan


def stack_names() -> list[str]:
    """Names of the stack files beside ``Pulumi.yaml``."""
    return sorted(path.name.split(".")[1] for path in PROJECT_ROOT.glob("Pulumi.*.yaml"))


def load_stack(name: str, *, file: Path | None = None) -> Stack:
    """Read, check and plan a stack.

    Args:
        name: the stack's name; ignored when ``file`` says it.
        file: a stack file elsewhere, called ``Pulumi.<name>.yaml``.

    Raises:
        UserFault: no such file, not YAML, or any fault of settings, lock and plan.
    """
    name, path = locate_stack(name, file=file)
    raw = read_stack_file(path)
    settings = parse(raw, where=path.name)
    lock = parse_lock(read_lock(lock_path(name)), where=f"locks/{name}.json")
    _require_builds(settings, file=path)
    _tell_folder(path)
    plan = make_plan(settings, stack=name, lock=lock, stack_file=path.name, folder=path.parent)
    return Stack(name=name, file=path, raw=raw, settings=settings, lock=lock, plan=plan)


def _tell_folder(path: Path) -> None:
    """The program runs in the project's folder, here or in the Pulumi CLI's process; what a stack file names is beside
    the stack file."""
    os.environ[STACK_FOLDER] = str(path.resolve().parent)


def locate_stack(name: str, *, file: Path | None) -> tuple[str, Path]:
    """Name and file of a stack; raises UserFault for a name that cannot be one."""
    path = file or PROJECT_ROOT / f"Pulumi.{name}.yaml"
    return _name_of(path), path


def lock_path(name: str) -> Path:
    """Where the lock of a stack is."""
    return locks_dir(PROJECT_ROOT) / f"{name}.json"


def _name_of(path: Path) -> str:
    parts = path.name.split(".")
    if len(parts) != 3 or parts[0] != "Pulumi" or parts[2] != "yaml":
        raise UserFault(
            Fault(what="a stack file is called Pulumi.<stack>.yaml", where=str(path), fix="rename the file")
        )
    if not _STACK_NAME.fullmatch(parts[1]):
        raise UserFault(
            Fault(
                what=f"`{parts[1]}` cannot name a stack; names of objects derive from it", where=path.name,
                fix="use up to 30 lower-case letters, digits and hyphens, beginning with a letter",
            )
        )
    return parts[1]


def read_stack_file(path: Path) -> Mapping[str, Any]:
    """Value of ``llmagentos:stack`` in a file; raises UserFault when there is no such file, or it is not readable."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        hint = nearest(_name_of(path), stack_names())
        raise UserFault(
            Fault(what="there is no such stack file", where=path.name, nearest=hint, fix="name a stack with --stack")
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserFault(
            Fault(what=f"not readable as YAML: {_one_line(error)}", where=path.name, fix="mend the syntax there")
        ) from error
    config = document.get("config") if isinstance(document, Mapping) else None
    if not isinstance(config, Mapping) or CONFIG_KEY not in config:
        hint = nearest(CONFIG_KEY, config) if isinstance(config, Mapping) else ""
        raise UserFault(
            Fault(what=f"`config` has no `{CONFIG_KEY}`", where=path.name, nearest=hint, fix=f"add {CONFIG_KEY}")
        )
    return _plain(config[CONFIG_KEY])


def _plain(value: Any) -> Any:
    """YAML reads 2026-11-01 as a date; Pulumi's configuration is JSON, which knows text only."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def read_lock(path: Path) -> dict[str, Any]:
    """Content of a lock as it stands there, ``{}`` when there is none; raises UserFault when it is not JSON."""
    where = f"locks/{path.name}"
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise UserFault(_unreadable(text, error, where)) from error
    return raw


def _unreadable(text: str, error: ValueError, where: str) -> Fault:
    if any(line.startswith("<<<<<<<") for line in text.splitlines()):
        return Fault(
            what="a merge left both sides in it, between lines of `<<<<<<<` and `>>>>>>>`", where=where,
            nearest="of two releases one is taken whole: a mixture was never seen to run",
            fix=f"take one side (git checkout --ours -- {where}, or --theirs), git add it, and promote or size again",
        )
    return Fault(what=f"not readable as JSON: {error}", where=where, fix=f"restore it: git checkout -- {where}")


def _require_builds(settings: StackSettings, *, file: Path) -> None:
    """Refuse a build without a Dockerfile before anything is started for it."""
    faults = []
    for name, application in sorted(settings.applications.items()):
        build = application.image.build
        if build and not (PROJECT_ROOT / build / "Dockerfile").is_file():
            exists = (PROJECT_ROOT / build).is_dir()
            faults.append(
                Fault(
                    what=f"`{build}` has no Dockerfile" if exists else f"there is no folder `{build}` to build from",
                    where=f"{file.name}: applications.{name}.image.build", nearest=_nearest_build(build, file=file),
                    fix="name a folder that has a Dockerfile, relative to the project's folder",
                )
            )
    if faults:
        raise UserFault(faults)


def _nearest_build(build: str, *, file: Path) -> str:
    """The folder that was probably meant: the one beside the stack file, else those that could be built."""
    beside = (file.parent / build).resolve()
    if (beside / "Dockerfile").is_file():
        inside = beside.is_relative_to(PROJECT_ROOT)
        right = f"./{beside.relative_to(PROJECT_ROOT).as_posix()}" if inside else str(beside)
        return f"beside the stack file there is one: build: {right}"
    found = sorted(path.parent.name for path in PROJECT_ROOT.glob("*/Dockerfile"))
    return f"folders with a Dockerfile: {', '.join('./' + name for name in found)}" if found else ""
