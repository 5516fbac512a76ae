"""The local image registry: Debian's docker-registry as a process of ours, or the official image where there is none.

It listens on loopback only. Docker engines accept a registry without TLS on 127.0.0.0/8, and nothing but this machine
reaches it, so it needs neither certificate nor password.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from llmos import packages
from llmos.cluster.ports import is_free
from llmos.console import note
from llmos.daemons import Daemon, wait_until
from llmos.files import write_whole
from llmos.images.engine import Engine, ensure_engine, find_engine, missing_packages
from llmos.images.registry_client import Registry
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault

__all__ = ["DEFAULT_PORT", "ensure_registry", "find_registry", "known_address", "stop_registry"]

_CLOSING_SECONDS = 3
DEFAULT_PORT = 5000
"""The port every registry takes unless told otherwise; the next free one where something else has it."""

_WHERE = "local image registry"
_READY_SECONDS = 30
# For machines without Debian's packages: container, volume and image of the registry.
_CONTAINER = "llmos-registry"
_IMAGE = "registry:2"


def known_address() -> str:
    """Where the local registry runs, or ran before it was stopped; empty where there has never been one."""
    return _address_file().read_text(encoding="utf-8") if _address_file().is_file() else ""


def find_registry() -> Registry | None:
    """The local registry when it runs and answers, nothing started."""
    if not _address_file().is_file() or not (_container_file().is_file() or _daemon().running()):
        return None
    registry = Registry(address=_address_file().read_text(encoding="utf-8"))
    return registry if registry.answers() else None


def ensure_registry(*, install: bool) -> Registry:
    """The local registry, started when it does not run.

    It keeps its port from one start to the next, because deployed objects name it. Its images lie in the cache folder,
    or in a Docker volume where it is a container (on macOS, and on Linux without apt-get).

    Raises:
        EnvironmentFault: docker-registry is missing and may not be installed, or it did not start; quotes its log.
    """
    registry = find_registry()
    if registry is not None:
        return registry
    _folder().mkdir(parents=True, exist_ok=True)
    if shutil.which("docker-registry") is None and shutil.which("apt-get") is None:
        registry = _start_container(ensure_engine(install=install, why="the local image registry"))
    else:
        registry = _start_process(install=install)
    note(f"local image registry: {registry.address}")
    return registry


def stop_registry() -> bool:
    """Stop the local registry, keeping its images; False when it was not running."""
    if not _container_file().is_file():
        return _daemon().stop()
    _container_file().unlink()
    engine = find_engine()
    return engine is not None and engine.docker(["rm", "--force", _CONTAINER], check=False).stdout.strip() != ""


def _start_process(*, install: bool) -> Registry:
    if shutil.which("docker-registry") is None:
        # With what an engine will need next, so that one apt-get line, or one message, names everything.
        needed = ["docker-registry", *([] if find_engine() else missing_packages())]
        packages.ensure(needed, install=install, why="building images and keeping them in a local registry")
    daemon = _daemon()
    if not daemon.running():
        configuration = _CONFIGURATION.format(data=_folder().resolve() / "data", address=_choose_address())
        write_whole(_folder() / "config.yml", configuration)
    daemon.start()
    registry = Registry(address=_address_file().read_text(encoding="utf-8"))
    daemon.wait_ready(registry.answers, timeout_seconds=_READY_SECONDS)
    return registry


def _start_container(engine: Engine) -> Registry:
    engine.docker(["rm", "--force", _CONTAINER], where=_WHERE, check=False)
    registry = Registry(address=_choose_address())
    options = ["--publish", f"{registry.address}:5000", "--volume", f"{_CONTAINER}:/var/lib/registry"]
    options += ["--env", "REGISTRY_STORAGE_DELETE_ENABLED=true", "--restart=unless-stopped"]
    fix = f"pull `{_IMAGE}` by hand, or push to a registry of your own"
    engine.docker(["run", "--detach", "--name", _CONTAINER, *options, _IMAGE], where=_WHERE, fix=fix)
    _container_file().touch()
    if not wait_until(registry.answers, timeout_seconds=_READY_SECONDS):
        what = f"the container {_CONTAINER} does not answer at {registry.address} after {_READY_SECONDS} s"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=f"read `docker logs {_CONTAINER}`"))
    return registry


def _choose_address() -> str:
    """The address it had before while nobody else took it, else one with the next free port; recorded."""
    path, address = _address_file(), known_address()
    if not address or not _comes_free(int(address.rpartition(":")[2])):
        address = f"127.0.0.1:{next(port for port in range(DEFAULT_PORT, 65536) if is_free(port))}"
        write_whole(path, address)
    return address


def _folder() -> Path:
    return cache_dir() / "registry"


def _address_file() -> Path:
    return _folder() / "address"


def _container_file() -> Path:
    """Says that the registry is a container."""
    return _folder() / "container"


def _daemon() -> Daemon:
    command = ["docker-registry", "serve", _folder() / "config.yml"]
    return Daemon(name="docker-registry", command=command, state_dir=_folder())


_CONFIGURATION = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: '{data}'}}
  delete: {{enabled: true}}
http: {{addr: '{address}'}}
"""


def _comes_free(port: int) -> bool:
    """Whether the port is free, or becomes so at once: a process counts as ended a moment before its last thread has
    closed its sockets, and a registry that moved would leave deployed objects with an address that nobody answers."""
    return wait_until(lambda: is_free(port), timeout_seconds=_CLOSING_SECONDS)
