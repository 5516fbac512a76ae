"""Weights on a volume: where they lie, whether they are whole, and who may write. Beside ``fetch_weights.py`` in a
container, with the standard library of Python 3.9 or newer only."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub_client import Later

MARKER = ".complete.json"
CHUNK = 1 << 20


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Full(Later):
    """The volume is full, and is so the next second as well: whoever waits must hear of it now."""

    def __init__(self, why: str) -> None:
        super().__init__(f"no room on the volume: {why}; state a larger weights.size, or give the claim more room")


def failure(name: str, error: Exception) -> Later:
    """What to raise when a file could not be brought, or not be written."""
    return Full(f"{name}: {error}") if getattr(error, "errno", None) in _FULL else Later(f"{name}: {error}")


def say(text: str) -> None:
    print(text, flush=True)


class Digest:
    """SHA-256, or the SHA-1 by which git names a file of known size."""

    def __init__(self, file: dict[str, Any]) -> None:
        self.expected = file.get("sha256") or file["git"]
        self._hash = hashlib.sha256() if file.get("sha256") else hashlib.sha1(b"blob %d\0" % file["size"])

    def take(self, source: Any) -> None:
        """The rest of what can be read."""
        for chunk in iter(lambda: source.read(CHUNK), b""):
            self._hash.update(chunk)

    def add(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    @property
    def found(self) -> str:
        return self._hash.hexdigest()

    @property
    def right(self) -> bool:
        return self.found == self.expected


def target(order: dict[str, Any], artifact: dict[str, Any]) -> Path:
    return Path(order["folder"]) / artifact["source"].replace("/", "--") / artifact["revision"]


def is_complete(order: dict[str, Any], artifact: dict[str, Any]) -> bool:
    """Whether exactly the marked files are there, each with its size, verified by the checksums that are pinned."""
    place = target(order, artifact)
    try:
        files = json.loads((place / MARKER).read_text(encoding="utf-8"))["files"]
        whole = all((place / name).stat().st_size == size for name, (size, _) in files.items())
    except (OSError, ValueError, KeyError):
        return False
    pinned = artifact.get("sha256") or {name: sha256 for name, (_, sha256) in files.items()}
    return whole and set(files) == present(place) and pinned == {name: files[name][1] for name in files}


def present(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} - {MARKER}


@contextlib.contextmanager
def locked(place: Path) -> Iterator[str]:
    """Be the only one that writes there; gives the suffix under which files grow."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("a") as lock:
        try:
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{place.name[:12]}: another one fetches it; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            suffix = ".part"
        except (ImportError, OSError):
            suffix = f".{socket.gethostname()}.part"
        yield suffix


def is_whole(path: Path, file: dict[str, Any]) -> bool:
    if not path.is_file() or path.stat().st_size != file.get("size", path.stat().st_size):
        return False
    digest = Digest(file)
    with path.open("rb") as content:
        digest.take(content)
    return digest.right


def make_room(place: Path, missing: dict[str, dict[str, Any]], parts: dict[str, Path]) -> None:
    have = sum(part.stat().st_size for part in parts.values() if part.exists())
    need, free = sum(file.get("size", 0) for file in missing.values()) - have, shutil.disk_usage(place).free
    if need > free:
        raise Full(f"{need / 2**30:.2f} GiB are still to come and {free / 2**30:.2f} GiB are free")


def mark(place: Path, content: dict[str, Any]) -> None:
    new = place.with_suffix(".marker")
    with new.open("w", encoding="utf-8") as out:
        json.dump(content, out, indent=1, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())
    new.replace(place / MARKER)


def forget(place: Path, keep: int) -> None:
    """Remove the oldest complete revisions of the same source, so that the volume holds the next one as well."""
    others = [marker for marker in place.parent.glob(f"*/{MARKER}") if marker.parent != place]
    others.sort(key=lambda marker: marker.stat().st_mtime, reverse=True)
    for marker in others[keep - 1 :] if keep else []:
        say(f"{marker.parent.name[:12]}: an older revision is removed")
        marker.unlink()
        shutil.rmtree(marker.parent, ignore_errors=True)
