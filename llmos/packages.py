"""System packages: what a Debian or Ubuntu machine lacks is installed by one visible apt-get line, never silently."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from llmos.console import note, step
from llmos.process import run
from planner.faults import EnvironmentFault, Fault

__all__ = ["ensure", "missing"]


def ensure(packages: Sequence[str], *, install: bool, why: str) -> None:
    """Make sure that Debian packages are installed.

    Args:
        packages: names as apt knows them, e.g. ``["docker.io"]``.
        install: whether a missing package may be installed (the ``--no-install`` flag turns this off).
        why: what they are needed for, shown beside the apt-get line, e.g. ``"building the image of `assistant`"``.

    Raises:
        EnvironmentFault: a package is missing and may not, or cannot, be installed from here; names the exact line.
    """
    absent = missing(packages)
    if not absent:
        return
    names = " ".join(absent)
    line = f"apt-get install -y --no-install-recommends {names}"
    where = f"system packages for {why}"
    if shutil.which("apt-get") is None:
        fix = f"install the equivalent of Debian's {names} with this system's package manager"
        raise EnvironmentFault(Fault(what=f"{names} not found, and this system has no apt-get", where=where, fix=fix))
    if not install:
        raise EnvironmentFault(
            Fault(what=f"{names} not installed, and --no-install was given", where=where, fix=f"run `{line}` as root")
        )
    if not _is_root():
        raise EnvironmentFault(
            Fault(what=f"{names} not installed, and only root may do so", where=where, fix=f"run `sudo {line}`")
        )
    note(f"needed for {why}: {line}")
    _apt_install(absent, line=line, where=where)


def missing(packages: Sequence[str]) -> list[str]:
    """The packages that dpkg does not report as installed, in the given order; all of them where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return list(packages)
    return [name for name in packages if not _installed(name)]


def _installed(name: str) -> bool:
    done = run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", name], check=False)
    return done.returncode == 0 and done.stdout.strip() == "installed"


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _apt_install(packages: Sequence[str], *, line: str, where: str) -> None:
    # A lock held by an unattended upgrade is waited for instead of failing the whole command.
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2"]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    fix = f"run `apt-get update && {line}` as root and read what apt says"
    with step(f"installing {' '.join(packages)}"):
        if not _all_known(packages):
            run([*apt, "update"], env=env, where=where, fix=fix)
        install = [*apt, "install", "-y", "--no-install-recommends", *packages]
        done = run(install, env=env, where=where, fix=fix, check=False)
        if done.returncode != 0:
            # Package lists that are older than the archive name files that no longer exist: refresh them once.
            run([*apt, "update"], env=env, where=where, fix=fix)
            run(install, env=env, where=where, fix=fix)


def _all_known(packages: Sequence[str]) -> bool:
    """Whether apt's lists hold an installable version of every package (a fresh container has no lists at all)."""
    return all(
        run(["apt-cache", "show", "--no-all-versions", name], check=False).returncode == 0 for name in packages
    )
