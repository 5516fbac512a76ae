"""The Pulumi CLI: which one is taken, and how one gets there when there is none."""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from llmos.console import step
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault

if TYPE_CHECKING:
    from pulumi.automation import PulumiCommand

__all__ = ["MINIMUM_VERSION", "can_install", "find", "require"]

MINIMUM_VERSION = "3.206.0"
"""The first CLI that sends its events over gRPC; the Automation API tails a file with older ones and may lose some."""

_INSTALLER = "https://get.pulumi.com/install.sh"
_BY_HAND = "install it as https://www.pulumi.com/docs/install/ says and put it on PATH, or take `--engine kubectl`"


def find() -> Path | None:
    """The CLI on PATH, else the one that an earlier run installed, else None. Starts nothing, imports no SDK."""
    on_path = shutil.which("pulumi")
    if on_path:
        return Path(on_path)
    own = shutil.which("pulumi", path=_own_root() / "bin")
    return Path(own) if own else None


def can_install(*, timeout_seconds: float = 5.0) -> bool:
    """Whether Pulumi's installer answers from here.

    ``timeout_seconds`` is short because a person waits for the choice of an engine while it runs.
    """
    request = urllib.request.Request(_INSTALLER, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def require() -> PulumiCommand:
    """The CLI, installed into the user's cache when there is none.

    Raises:
        EnvironmentFault: it is older than MINIMUM_VERSION, does not start, or cannot be downloaded.
    """
    from pulumi.automation import PulumiCommand
    from semver import VersionInfo

    found = find()
    if found is None:
        return _install()
    try:
        command = (
            PulumiCommand(skip_version_check=True)
            if shutil.which("pulumi")
            else PulumiCommand(root=str(_own_root()), skip_version_check=True)
        )
    except (OSError, subprocess.CalledProcessError) as error:
        what = f"`{found} version` failed: {error}"
        raise EnvironmentFault(Fault(what=what, where="Pulumi CLI", fix=_BY_HAND)) from error
    if command.version is None or command.version < VersionInfo.parse(MINIMUM_VERSION):
        what = f"{found} is version {command.version or 'unknown'}, but {MINIMUM_VERSION} or newer is needed"
        raise EnvironmentFault(Fault(what=what, where="Pulumi CLI", fix=f"upgrade it: {_BY_HAND}"))
    return command


def _own_root() -> Path:
    return cache_dir() / "pulumi-cli"


def _install() -> PulumiCommand:
    from pulumi.automation import InvalidVersionError, PulumiCommand

    try:
        with step("Installing the Pulumi CLI into the user's cache"):
            return PulumiCommand.install(root=str(_own_root()))
    except subprocess.CalledProcessError as error:
        said = (error.output or b"").decode("utf-8", "replace").strip().splitlines()[-3:]
        what = f"Pulumi's installer failed with exit code {error.returncode}: {' / '.join(said)}"
        raise EnvironmentFault(Fault(what=what, where="Pulumi CLI", fix=_BY_HAND)) from error
    except (OSError, InvalidVersionError) as error:
        what = f"there is no `pulumi` on PATH, and {_INSTALLER} cannot be had from here ({error})"
        raise EnvironmentFault(Fault(what=what, where="Pulumi CLI", fix=_BY_HAND)) from error
