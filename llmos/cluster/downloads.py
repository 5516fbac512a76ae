"""The official builds of the cluster's programs, from wherever kwokctl says they are."""

from __future__ import annotations

import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from llmos.cluster.versions import ETCD, KUBE_APISERVER, Program
from llmos.paths import cache_dir
from llmos.process import run
from planner.faults import LlmosError

__all__ = ["fetch"]

# A network that refuses often does so by silence; the build that follows takes minutes, so seconds are well spent.
_TIMEOUT_SECONDS = 5
_BESIDE_THE_SERVER = ("kubelet", "kube-proxy")


def fetch(programs: Sequence[Program], *, kwokctl: Path, progress: Callable[[str], None]) -> list[Program]:
    """Download what can be downloaded into the cache; stop with one line at the first refusal.

    Args:
        programs: what is missing; those without an official build are left out.
        kwokctl: knows the addresses.
        progress: receives a line for each download, and one when the network refuses.

    Returns:
        The programs that are in the cache now.
    """
    addresses = _addresses(kwokctl)
    fetched = []
    for program in programs:
        address = addresses.get(program.name)
        if address is None:
            continue
        progress(f"downloading {program.name} {program.version} ...")
        try:
            _install(program, address)
        except (OSError, urllib.error.URLError, tarfile.TarError, zipfile.BadZipFile, LlmosError) as error:
            reason = str(getattr(error, "reason", None) or error).splitlines()[0]
            progress(f"official downloads cannot be had here ({reason}): building from Go modules instead")
            break
        fetched.append(program)
    return fetched


def _addresses(kwokctl: Path) -> dict[str, str]:
    """Program name to address; an archive's address ends in ``#`` and the name of the member."""
    env = {
        **os.environ,
        "KWOK_WORKDIR": str(cache_dir()),
        "KWOK_KUBE_VERSION": KUBE_APISERVER.version,
        "KWOK_ETCD_VERSION": ETCD.version.removeprefix("v"),
    }
    listed = run([kwokctl, "get", "artifacts", "--runtime", "binary"], env=env).stdout.split()
    addresses = {}
    for address in listed:
        location, _, member = address.partition("#")
        name = member or location.rsplit("/", 1)[-1]
        addresses["kwok" if name.startswith("kwok-") else name] = address
    # kwokctl has no use for these two, which lie beside the API server.
    server = addresses.get(KUBE_APISERVER.name, "")
    if server.endswith(f"/{KUBE_APISERVER.name}"):
        addresses |= {name: f"{server.removesuffix(KUBE_APISERVER.name)}{name}" for name in _BESIDE_THE_SERVER}
    return addresses


def _install(program: Program, address: str) -> None:
    location, _, member = address.partition("#")
    target = cache_dir() / "bin" / program.file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    archive = temporary.with_name(f"{temporary.name}.archive")
    try:
        _download(location, archive if member else temporary)
        if member:
            _extract(archive, member=member, to=temporary)
        temporary.chmod(0o755)
        # A page of a captive portal is a download too: only a program that runs is taken.
        run([temporary, *(["version", "--client"] if program.name == "kubectl" else ["--version"])])
        temporary.replace(target)
    finally:
        archive.unlink(missing_ok=True)
        temporary.unlink(missing_ok=True)


def _download(location: str, to: Path) -> None:
    with urllib.request.urlopen(location, timeout=_TIMEOUT_SECONDS) as answer, to.open("wb") as file:
        shutil.copyfileobj(answer, file)
        expected = answer.headers.get("Content-Length")
    if expected is not None and to.stat().st_size != int(expected):
        raise OSError(f"{location} ended after {to.stat().st_size} of {expected} bytes")


def _extract(archive: Path, *, member: str, to: Path) -> None:
    """Take one file out of an archive: a tar for Linux, a zip for macOS in the case of etcd."""
    with (_from_zip if zipfile.is_zipfile(archive) else _from_tar)(archive, member) as content, to.open("wb") as file:
        shutil.copyfileobj(content, file)


@contextmanager
def _from_tar(archive: Path, member: str) -> Iterator[IO[bytes]]:
    with tarfile.open(archive) as tar:
        entry = next((entry for entry in tar if entry.isfile() and entry.name.rsplit("/", 1)[-1] == member), None)
        content = tar.extractfile(entry) if entry else None
        if content is None:
            raise OSError(f"{archive.name} holds no {member}")
        yield content


@contextmanager
def _from_zip(archive: Path, member: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(archive) as found:
        name = next((name for name in found.namelist() if name.rsplit("/", 1)[-1] == member), None)
        if name is None:
            raise OSError(f"{archive.name} holds no {member}")
        with found.open(name) as content:
            yield content
