"""Where this program keeps things on a user's machine. Shared by the Pulumi program and the command line."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.base_images import cached_bases

if TYPE_CHECKING:
    from planner.plan import Plan

__all__ = [
    "CANARIES",
    "STACK_FOLDER",
    "cache_dir",
    "commit_epochs",
    "content_tags",
    "docker_config",
    "local_cluster",
    "local_kubeconfig",
    "local_registry",
    "locks_dir",
    "registry_logins",
    "stack_folder",
    "told",
]

# Made by tools and editors, and in no image.
_NOT_CONTENT = {"__pycache__", ".git", ".venv", ".pytest_cache", ".ruff_cache"}

STACK_FOLDER = "LLMOS_STACK_FOLDER"
CANARIES = "LLMOS_CANARIES"
"""Names the applications of which a run makes a canary, with spaces between."""


def cache_dir(*, platform: str = sys.platform) -> Path:
    """The user's cache folder of this program; it may not exist yet.

    ``LLMOS_CACHE_DIR`` overrides it; otherwise the platform's convention: ``XDG_CACHE_HOME`` or ``~/.cache`` on Linux,
    ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows.
    """
    override = os.environ.get("LLMOS_CACHE_DIR")
    if override:
        return Path(override)
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "llmos"
    if platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "llmos"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmos"


def local_cluster() -> str:
    """Name of the embedded cluster that target ``local`` means. ``LLMOS_CLUSTER`` names another one."""
    return os.environ.get("LLMOS_CLUSTER") or "llmos"


def local_kubeconfig() -> str:
    """Path of the embedded cluster's own kubeconfig."""
    return str(cache_dir() / "clusters" / local_cluster() / "kubeconfig.yaml")


def local_registry(default: str) -> str:
    """Address of the local image registry; ``LLMOS_REGISTRY`` says where it runs when its usual port was taken."""
    return os.environ.get("LLMOS_REGISTRY") or default


def locks_dir(project: Path) -> Path:
    """Folder of the stacks' locks, ``locks/`` of the project. ``LLMOS_LOCKS`` names another one: a release is judged
    there before it is written."""
    return Path(os.environ.get("LLMOS_LOCKS") or project / "locks")


def stack_folder(project: Path) -> Path:
    """Folder of the stack file, which the files it names are relative to: the project's, unless ``LLMOS_STACK_FOLDER``
    says where the stack file was taken from (``--file`` of the command line)."""
    return Path(os.environ.get(STACK_FOLDER) or project)


def commit_epochs(folders: Iterable[str], *, project: Path) -> dict[str, int]:
    """When each folder was last committed, in seconds since 1970; folders that git knows nothing of are left out.

    ``SOURCE_DATE_EPOCH`` stands for all of them where it is set, as reproducible-builds.org defines it. A clone of
    depth 1 has one commit, so there every folder has the time of that one.
    """
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    if stated.isdigit():
        return dict.fromkeys(folders, int(stated))
    return {folder: time for folder in folders if (time := _last_commit(folder, project)) is not None}


def _last_commit(folder: str, project: Path) -> int | None:
    command = ["git", "-C", str(project), "log", "-1", "--format=%ct", "--", folder]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        return None
    said = done.stdout.strip()
    return int(said) if done.returncode == 0 and said.isdigit() else None


def docker_config() -> dict[str, Any]:
    """The Docker client's configuration (``$DOCKER_CONFIG/config.json``, or below ``~/.docker``); empty for none."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def registry_logins() -> tuple[str, ...]:
    """Registries that the Docker client has credentials for, e.g. ``ghcr.io``; sorted names, no secrets."""
    config = docker_config()
    names = {*(config.get("auths") or {}), *(config.get("credHelpers") or {})}
    return tuple(sorted({name.removeprefix("https://").partition("/")[0] for name in names}))


def content_tags(folders: Iterable[str], *, project: Path, salt: str) -> dict[str, str]:
    """A tag for each build folder that changes with its files: ``build-`` and 16 hex digits.

    For registries in which a tag stands for one image for ever. Files that a build leaves out may count; then the same
    image gets a second tag, which harms nothing.

    Args:
        folders: as they stand in the plan.
        project: what they are relative to.
        salt: everything else that decides what a build gives (base image, builder, platforms).
    """
    return {folder: f"build-{_content_hash(project / folder, salt)[:16]}" for folder in folders}


def _content_hash(folder: Path, salt: str) -> str:
    found = hashlib.sha256(salt.encode())
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if not file.is_file() or _NOT_CONTENT & set(parts):
            continue
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        found.update(f"{'/'.join(parts)} {digest}\n".encode())
    return found.hexdigest()


def told(plan: Plan, *, project: Path) -> dict[str, Any]:
    """What the program is told about this machine: the fields of ``components.stack.Machine``, by name.

    Args:
        plan: decides what is asked; none of the answers enters it.
        project: what build folders are relative to.
    """
    local, builds = plan.target == "local", [image for image in plan.images if image.build]
    folders = [image.build for image in builds]
    base_image, ca_file = os.environ.get("LLMOS_BASE_IMAGE", ""), os.environ.get("LLMOS_CA_BUNDLE", "")
    cached = cached_bases(plan, folders, project=project)
    given = [(image.build, image.platforms, image.base_image) for image in plan.images]
    salt = repr((plan.builds, base_image, sorted(cached.items()), given))
    # ECR's tags cannot be moved, so each build has its own.
    immutable = plan.aws is not None and bool(plan.aws.repositories)
    from planner.plan.canary import canary_name  # who has no plan does without the time it takes

    canaries = tuple(os.environ.get(CANARIES, "").split())
    # A canary is made to go again.
    temporary = [f"Deployment/{canary_name(name)}" for name in canaries]
    return {
        "kubeconfig": local_kubeconfig() if local else "",
        "registry": local_registry(plan.registry.server) if local else "",
        "base_image": base_image,
        "cached_bases": cached,
        "ca_bundle": Path(ca_file).read_text(encoding="utf-8") if ca_file else "",
        "pip_config": os.environ.get("LLMOS_PIP_CONFIG", ""),
        "source_commit": os.environ.get("LLMOS_SOURCE_COMMIT", ""),
        "registry_logins": registry_logins() if any(image.tag for image in plan.images) else (),
        "commit_epochs": commit_epochs(folders, project=project) if plan.builds.timestamps == "commit" else {},
        "canaries": canaries,
        "allow_replace": (*os.environ.get("LLMOS_ALLOW_REPLACE", "").split(), *temporary),
        "content_tags": content_tags(folders, project=project, salt=salt) if immutable else {},
    }
