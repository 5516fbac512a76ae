"""The local image registry: Debian's docker-registry as a background process, on loopback only.

Docker engines accept a registry without TLS on 127.0.0.0/8, and nothing but this machine reaches it, so it needs
neither certificate nor password.
"""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from llmos import packages
from llmos.console import note
from llmos.daemons import Daemon
from llmos.images.engine import find_engine, missing_packages
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault

__all__ = [
    "DEFAULT_PORT",
    "DIRECT",
    "Registry",
    "ensure_registry",
    "find_registry",
    "free_port",
    "is_digest",
    "stop_registry",
]

DEFAULT_PORT = 5000
"""The port every registry takes unless told otherwise; the next free one where something else has it."""

_WHERE = "local image registry"
_ANSWER_SECONDS = 10
_MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs on loopback, for which the machine's proxy must never be asked."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry that speaks plain HTTP on loopback.

    Attributes:
        address: host and port as they stand in an image reference, e.g. ``127.0.0.1:5000``.
    """

    address: str

    def answers(self) -> bool:
        """Whether something there speaks the registry protocol."""
        try:
            with DIRECT.open(f"http://{self.address}/v2/", timeout=_ANSWER_SECONDS) as answer:
                return "registry/2.0" in answer.headers.get("Docker-Distribution-Api-Version", "")
        except (OSError, http.client.HTTPException):
            return False

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest behind a tag (or digest) of a repository; None when the registry does not have it.

        Args:
            repository: name without the address, e.g. ``assistant``.
            reference: a tag, or a digest to ask whether it exists.

        Raises:
            EnvironmentFault: the registry does not answer as one.
        """
        headers = {"Accept": ", ".join(_MANIFEST_TYPES)}
        url = f"http://{self.address}/v2/{repository}/manifests/{reference}"
        request = urllib.request.Request(url, headers=headers, method="HEAD")
        try:
            with DIRECT.open(request, timeout=_ANSWER_SECONDS) as answer:
                digest = answer.headers.get("Docker-Content-Digest", "")
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                return None
            raise self._fault(f"answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._fault(f"does not answer ({error})") from error
        if not is_digest(digest):
            raise self._fault(f"named no digest for {repository}:{reference}")
        return digest

    def has(self, repository: str, digest: str) -> bool:
        """Whether the image with this digest can be pulled from here now."""
        try:
            return self.digest(repository, digest) == digest
        except EnvironmentFault:
            return False

    def _fault(self, problem: str) -> EnvironmentFault:
        fix = f"read {_daemon().log_path} and run the command again"
        return EnvironmentFault(Fault(what=f"the registry at {self.address} {problem}", where=_WHERE, fix=fix))


def is_digest(text: str) -> bool:
    """Whether the text is a whole image digest, ``sha256:`` and 64 hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def find_registry() -> Registry | None:
    """The local registry when it runs and answers, nothing started."""
    address = _recorded_address()
    if address is None or not _daemon().running():
        return None
    registry = Registry(address=address)
    return registry if registry.answers() else None


def ensure_registry(*, install: bool) -> Registry:
    """The local registry, started when it does not run.

    It keeps its port from one start to the next, because deployed objects name it; images lie in the cache folder.

    Raises:
        EnvironmentFault: docker-registry is missing and may not be installed, or it did not start; quotes its log.
    """
    registry = find_registry()
    if registry is not None:
        return registry
    if shutil.which("docker-registry") is None:
        # With what an engine will need next, so that one apt-get line, or one message, names everything.
        needed = ["docker-registry", *([] if find_engine() else missing_packages())]
        packages.ensure(needed, install=install, why="building images and keeping them in a local registry")
    daemon = _daemon()
    if not daemon.running():
        _configure()
    started = daemon.start()
    registry = Registry(address=_recorded_address() or "")
    daemon.wait_ready(registry.answers, timeout_seconds=30)
    if started:
        note(f"started the local image registry ({registry.address})")
    return registry


def stop_registry() -> bool:
    """Stop the local registry, keeping its images; False when it was not running."""
    address = _recorded_address()
    return address is not None and _daemon().stop()


def free_port(*, first: int = 0) -> int:
    """A port on loopback that nobody listens on: the lowest from ``first`` upwards, or any when it is 0."""
    if first == 0:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]
    port = next((port for port in range(first, first + 1000) if _is_free(port)), None)
    if port is None:
        what = f"no port from {first} to {first + 999} is free on 127.0.0.1"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix="stop something that listens there"))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that connections that are still closing down do not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _folder() -> Path:
    return cache_dir() / "registry"


def _recorded_address() -> str | None:
    path = _folder() / "address"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _daemon() -> Daemon:
    command = ["docker-registry", "serve", _folder() / "config.yml"]
    return Daemon(name="docker-registry", command=command, state_dir=_folder())


def _configure() -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    address = _recorded_address()
    if address is None or not _is_free(int(address.rpartition(":")[2])):
        address = f"127.0.0.1:{free_port(first=DEFAULT_PORT)}"
    configuration = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: '{_folder().resolve() / "data"}'}}
  delete: {{enabled: true}}
http: {{addr: '{address}'}}
"""
    (_folder() / "config.yml").write_text(configuration, encoding="utf-8")
    (_folder() / "address").write_text(address, encoding="utf-8")
