"""Builders outside the Docker engine: BuildKit in a container, or a buildkitd elsewhere, both through buildx."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from llmos.console import warn
from llmos.images.build_faults import builder_fault
from llmos.images.engine import ensure_engine, plugin_client
from llmos.images.options import BuildOptions
from llmos.images.recipe import Recipe
from llmos.paths import cache_dir
from llmos.process import run
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["Builder", "builder_for", "ensure_builder", "register", "require_reachable", "store"]

OWN_NAME = "llmagentos"
"""The builder container that is made where the stack file names none."""

_WHERE = "image builder"
_CONNECT_SECONDS = 5
_REFUSAL_SECONDS = 1
# Booting a container pulls its image first; a remote daemon that does not answer is given up by buildx after 20 s.
_BOOT_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A builder that answered.

    Attributes:
        command: what to call buildx by.
        name: its name in buildx.
        env: what buildx needs in its environment to find it.
    """

    command: tuple[str | Path, ...]
    name: str
    env: Mapping[str, str]

    def buildx(
        self, arguments: Sequence[str | Path], *, env: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``buildx ARGUMENTS``; never raises for its exit status."""
        environment = {**os.environ, **self.env, **(env or {})}
        command = [*self.command, *arguments]
        return run(command, where=_WHERE, env=environment, timeout_seconds=timeout_seconds, check=False)


def ensure_builder(options: BuildOptions, *, install: bool, why: str) -> Builder:
    """The builder that the options name, running and reachable.

    Args:
        options: with builder ``container`` or ``remote``.
        install: whether missing Debian packages may be installed when an engine has to be started for a container.
        why: what it is needed for, shown to the user.

    Raises:
        UserFault: a certificate file does not exist.
        EnvironmentFault: buildx is missing, no builder has that name, or it does not answer.
    """
    if options.builder == "remote":
        env = {}
        if options.address:
            require_reachable(options)
            register(options)
            env = {"BUILDX_CONFIG": str(store())}
        builder = Builder(command=_client(why), name=options.name, env=env)
    else:
        engine = ensure_engine(install=install, why=why)
        env = {"DOCKER_HOST": engine.host} if engine.host else {}
        builder = Builder(command=_client(why), name=options.name or OWN_NAME, env=env)
        if not options.name and builder.buildx(["inspect", OWN_NAME]).returncode != 0:
            # In the host's network, so that it reaches a registry on loopback and needs no forwarding of ours.
            create = ["create", f"--name={OWN_NAME}", "--driver=docker-container", "--driver-opt=network=host"]
            _require(builder.buildx(create), builder)
    _require(builder.buildx(["inspect", "--bootstrap", builder.name], timeout_seconds=_BOOT_SECONDS), builder)
    return builder


def builder_for(recipe: Recipe) -> Builder | None:
    """The builder that an image is to be built by; None for the engine's own.

    The engine's also stands in where a builder container is only the default and cannot be had, unless the image needs
    what only a builder can do: then, as always, the fault of ``ensure_builder`` is raised.
    """
    options = recipe.options
    if options.builder == "engine":
        return None
    try:
        return ensure_builder(options, install=recipe.install, why=f"building the {recipe.where}")
    except EnvironmentFault as error:
        attested = any(name.startswith("BUILDKIT_ATTEST_") for name in recipe.build_args)
        if options.stated or attested or len(recipe.platforms) > 1 or "type=registry" in "".join(options.cache_to):
            raise
        warn(f"the Docker engine's own BuildKit builds the {recipe.where}: {error.faults[0].what}")
        return None


def store() -> Path:
    """The folder in which remote builders are registered (``BUILDX_CONFIG``): our own, the user's stays as it is."""
    return cache_dir().absolute() / "buildx"


def register(options: BuildOptions) -> None:
    """Write the entry that ``docker buildx create --driver remote`` would write; needs no Docker client.

    The build provider finds it by the same folder, with buildx's own library.
    """
    roles = {"ca": "cacert", "cert": "cert", "key": "key"}
    node = {
        "Name": f"{options.name}0", "Endpoint": options.address, "Platforms": None,
        "DriverOpts": {roles[role]: str(path) for role, path in options.tls.items()}, "Flags": None, "Files": None,
    }  # fmt: skip
    entry = {"Name": options.name, "Driver": "remote", "Nodes": [node], "Dynamic": False}
    path = store() / "instances" / options.name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = store() / f"{options.name}.{os.getpid()}"
    temporary.write_text(json.dumps(entry), encoding="utf-8")
    temporary.replace(path)


def require_reachable(options: BuildOptions) -> None:
    """Raise when the certificates of a remote builder are not there or not accepted, or nothing listens at its address.

    buildx itself would say "deadline exceeded" after 20 s to all of these.
    """
    missing = [f"{role}: {path}" for role, path in options.tls.items() if not path.is_file()]
    if missing:
        what = f"there is no file for tls.{', tls.'.join(missing)}"
        fix = "correct the paths under `builds.tls`; relative ones start at the project's folder"
        raise UserFault(Fault(what=what, where=_WHERE, fix=fix))
    parts = urlsplit(options.address)
    try:
        if parts.scheme == "tcp":
            with socket.create_connection((parts.hostname, parts.port), timeout=_CONNECT_SECONDS) as connection:
                if options.tls:
                    _shake_hands(connection, options.tls, host=parts.hostname or "")
        elif parts.scheme == "unix" and not Path(parts.path).is_socket():
            raise FileNotFoundError("there is no such socket")
    except ssl.SSLError as error:
        what = f"the buildkitd at {options.address} and this side do not trust each other: {error.reason or error}"
        fix = "correct `builds.tls`: the authority of the daemon's certificate, and a client certificate it accepts"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=fix)) from error
    except OSError as error:
        what = f"no buildkitd answers at {options.address}: {error.strerror or error}"
        fix = "start it, correct `builds.address`, or leave `builds` out to build on this machine"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=fix)) from error


def _shake_hands(connection: socket.socket, tls: Mapping[str, Path], *, host: str) -> None:
    context = ssl.create_default_context(cafile=tls["ca"])
    context.set_alpn_protocols(["h2"])
    if "cert" in tls:
        context.load_cert_chain(tls["cert"], tls["key"])
    with context.wrap_socket(connection, server_hostname=host) as secured:
        # With TLS 1.3 the daemon's refusal comes after the handshake, as the first thing that is read.
        secured.settimeout(_REFUSAL_SECONDS)
        with contextlib.suppress(TimeoutError):
            secured.recv(1)


def _client(why: str) -> tuple[str | Path, ...]:
    client = plugin_client()
    if client is not None:
        return (client, "buildx")
    alone = shutil.which("docker-buildx") or shutil.which("buildx")
    if alone is not None:
        return (alone,)
    what = f"{why} by a builder of its own takes buildx, which is neither a plugin of `docker` nor on PATH"
    fix = "install it (package `docker-buildx` or `docker-buildx-plugin`, Go module github.com/docker/buildx)"
    nearest = "the engine's own BuildKit needs no buildx: `builds: {builder: engine}`"
    raise EnvironmentFault(Fault(what=what, where=_WHERE, nearest=nearest, fix=fix))


def _require(done: subprocess.CompletedProcess[str], builder: Builder) -> None:
    if done.returncode != 0:
        raise EnvironmentFault(builder_fault(done.stderr or done.stdout, name=builder.name))
