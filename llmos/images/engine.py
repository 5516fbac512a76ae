"""Which Docker engine builds the images: the one that answers, else one of our own from Debian's packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmos import packages
from llmos.console import note
from llmos.images import own_engine
from llmos.process import run
from planner.faults import EnvironmentFault, Fault

__all__ = ["Engine", "check_engine", "ensure_engine", "find_engine", "missing_packages", "plugin_client", "stop_engine"]

_WHERE = "Docker engine"
_ANSWER_SECONDS = 15
# From 23.0 on, `docker build` hands BuildKit builds to the buildx plugin and refuses them without it.
_FIRST_CLIENT_THAT_NEEDS_BUILDX = 23


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A Docker engine that answered.

    Attributes:
        client: the ``docker`` program to talk to it with.
        buildx: whether that client builds through the buildx plugin.
        host: address of the engine we started ourselves; None when the client's own configuration names it.
        version: the engine's version.
    """

    client: Path
    buildx: bool
    host: str | None
    version: str

    @property
    def own(self) -> bool:
        """Whether it is the one we started (and `llmos cluster down` stops)."""
        return self.host is not None

    def docker(
        self,
        arguments: Sequence[str | Path],
        *,
        where: str = _WHERE,
        fix: str = "read what Docker says, remove the cause, then run the command again",
        env: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``docker ARGUMENTS`` against this engine; ``env`` is added to this process's environment."""
        environment = {**self.environment, **(env or {})}
        command = [self.client, *arguments]
        return run(command, where=where, fix=fix, env=environment, timeout_seconds=timeout_seconds, check=check)

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, for a client that talks to this engine."""
        environment = dict(os.environ)
        if self.host is not None:
            environment["DOCKER_HOST"] = self.host
            environment.pop("DOCKER_CONTEXT", None)
        return environment


def find_engine() -> Engine | None:
    """The engine that answers now, nothing started: our own, else the one the client is configured for."""
    chosen = "DOCKER_HOST" in os.environ or "DOCKER_CONTEXT" in os.environ
    hosts: list[str | None] = [None]
    if not chosen and own_engine.running():
        hosts.insert(0, own_engine.host())
    for host in hosts:
        for client, buildx in _clients():
            version = _server_version(client, host)
            if version:
                return Engine(client=client, buildx=buildx, host=host, version=version)
    return None


def ensure_engine(*, install: bool, why: str) -> Engine:
    """The engine that answers, after starting one of our own where none does.

    Our own is Debian's docker.io as a background process with all its state in the user's cache folder; it is started
    on Linux as root only, because an engine needs that.

    Args:
        install: whether missing Debian packages may be installed (``--no-install`` turns it off).
        why: what the engine is needed for, shown to the user, e.g. ``"building the image of `assistant`"``.

    Raises:
        EnvironmentFault: no engine answers and none can be started here; says what to do.
    """
    engine = find_engine()
    if engine is not None:
        return engine
    _refuse_where_none_can_be_started(why)
    needed = missing_packages()
    if needed:
        packages.ensure(needed, install=install, why=f"{why} (no Docker engine answers)")
        if not _clients():  # Newer releases of Debian ship the client and its BuildKit plugin on their own.
            packages.ensure(["docker-cli", "docker-buildx"], install=install, why=why)
        engine = find_engine()  # Where systemd runs, installing the package has started the machine's own engine.
        if engine is not None:
            return engine
    own_engine.start(install=install)
    note(f"no Docker engine answered: started one of our own ({own_engine.host()})")
    engine = find_engine()
    if engine is None:
        what = "the engine was started, but no `docker` client that can build with BuildKit reaches it"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=_BUILDX_FIX))
    return engine


def check_engine(*, install: bool, why: str) -> None:
    """Raise what ``ensure_engine`` would raise for want of an engine or a package; installs and starts nothing."""
    if find_engine() is not None:
        return
    _refuse_where_none_can_be_started(why)
    if not install:
        packages.ensure(missing_packages(), install=False, why=f"{why} (no Docker engine answers)")


def missing_packages() -> list[str]:
    """Debian packages that starting an engine of our own takes and this machine lacks."""
    return [] if own_engine.program() and _clients() else ["docker.io"]


def plugin_client() -> Path | None:
    """A `docker` program with the buildx plugin, whether or not an engine answers it."""
    return next((client for client, buildx in _clients() if buildx), None)


def stop_engine() -> bool:
    """Stop our own engine and take down its mounts and bridge; False when it was not running. Others are left alone."""
    return own_engine.stop()


_BUILDX_FIX = "install the buildx plugin of your Docker client (package `docker-buildx` or `docker-buildx-plugin`)"


def _refuse_where_none_can_be_started(why: str) -> None:
    where = f"{_WHERE} for {why}"
    plain = [client for client in _programs() if _server_version(client, None)]
    if plain:
        what = f"`{plain[0]}` cannot build with BuildKit: its buildx plugin is missing"
        raise EnvironmentFault(Fault(what=what, where=where, fix=_BUILDX_FIX))
    chosen = next((name for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if name in os.environ), None)
    if chosen:
        what = f"no Docker engine answers at {chosen}={os.environ[chosen]}"
        fix = f"start that engine, or unset {chosen} to use the default one"
        raise EnvironmentFault(Fault(what=what, where=where, fix=fix))
    if sys.platform != "linux":
        fix = "start Docker Desktop (or another Docker engine), then run the command again"
        raise EnvironmentFault(Fault(what="no Docker engine answers", where=where, fix=fix))
    if os.geteuid() != 0:
        what = "no Docker engine answers, and only root can start one"
        fix = "start it (`sudo systemctl start docker`) and join the `docker` group, or run the command as root"
        raise EnvironmentFault(Fault(what=what, where=where, fix=fix))


def _clients() -> list[tuple[Path, bool]]:
    """The `docker` programs that can build with BuildKit, in the order of PATH, and whether they do so by buildx."""
    found = []
    for program in _programs():
        said = run([program, "--version"], check=False).stdout
        version = re.match(r"Docker version (\d+)\.", said)
        if run([program, "buildx", "version"], check=False).returncode == 0:
            found.append((program, True))
        elif version and int(version[1]) < _FIRST_CLIENT_THAT_NEEDS_BUILDX:
            found.append((program, False))
    return found


def _programs() -> list[Path]:
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    programs: dict[Path, Path] = {}
    for folder in folders:
        found = shutil.which("docker", path=folder) if folder else None
        if found:
            programs.setdefault(Path(found).resolve(), Path(found))
    return list(programs.values())


def _server_version(client: Path, host: str | None) -> str:
    address = ["--host", host] if host else []
    try:
        done = run(
            [client, *address, "version", "--format", "{{.Server.Version}}"],
            check=False, timeout_seconds=_ANSWER_SECONDS,
        )
    except EnvironmentFault:
        return ""  # An engine that accepts the connection but never answers is as good as none.
    return done.stdout.strip() if done.returncode == 0 else ""
