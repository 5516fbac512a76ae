"""Copies pinned revisions from a model hub into a bucket, and verifies every file on the way.

    fill_store.py ORDER

An order is JSON: {"store", "endpoint", "retry_seconds", "artifacts": [{"source", "revision", "sha256": {file: hex}}]}.
Bytes go from the hub to the bucket without touching a disk. A file whose checksum is wrong never becomes an object, and
a revision without its manifest does not count; a killed copy begins again with the file that it was at. Exit codes: 0
complete, 1 it can never succeed like this, 2 it may the next time.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hub_client import Later, Never, listed, open_file
from s3_client import Upload, complete, put_manifest
from weight_store import CHUNK, Digest, say

ATTEMPTS = 8
PARALLEL = 4
# Parts of an object: 10,000 at most, so 312 GiB a file; four of them are in memory at once.
PART = 32 << 20


def fill(order: dict[str, Any], artifact: dict[str, Any]) -> None:
    """Copy one revision, unless it is complete."""
    source, revision = artifact["source"], artifact["revision"]
    name = f"{source}@{revision[:12]}"
    sums = artifact.get("sha256") or {}
    there = complete(order["store"], source, revision)
    if there is not None and (not sums or sums == {path: file["sha256"] for path, file in there.items()}):
        say(f"{name}: complete")
        return
    files: dict[str, dict[str, Any]] = {path: {"sha256": sha256} for path, sha256 in sums.items()}
    files = files or listed(order["endpoint"], source, revision)
    if not any(path.endswith(".safetensors") for path in files):
        raise Never(f"{name} has no weights in safetensors")
    if any(path.startswith("/") or ".." in path.split("/") for path in files):
        raise Never(f"{source}: the name of a file leads out of the folder")
    say(f"{name}: {len(files)} files to copy")
    with ThreadPoolExecutor(PARALLEL) as pool:
        jobs = {path: pool.submit(_copy, order, artifact, path, file) for path, file in files.items()}
        try:
            copied = {path: job.result() for path, job in jobs.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    put_manifest(order["store"], source, revision, copied)
    say(f"{name}: complete, {sum(file['size'] for file in copied.values()) / 2**30:.2f} GiB verified")


def _copy(order: dict[str, Any], artifact: dict[str, Any], path: str, file: dict[str, Any]) -> dict[str, Any]:
    """One file; its size and SHA-256."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _copied(order, artifact, path, file)
        except Later as error:
            if attempt == ATTEMPTS:
                raise
            say(f"{error}; try {attempt} of {ATTEMPTS}")
            time.sleep(order["retry_seconds"] * min(2 ** (attempt - 1), 30))
    raise AssertionError


def _copied(order: dict[str, Any], artifact: dict[str, Any], path: str, file: dict[str, Any]) -> dict[str, Any]:
    source, revision = artifact["source"], artifact["revision"]
    digest, sha256, size = Digest(file), hashlib.sha256(), 0
    upload = Upload(order["store"], source, revision, path)
    try:
        with open_file(order["endpoint"], source, revision, path) as answer:
            part = bytearray()
            for chunk in _chunks(answer, path):
                digest.add(chunk)
                sha256.update(chunk)
                part += chunk
                size += len(chunk)
                if len(part) >= PART:
                    upload.part(bytes(part))
                    part.clear()
        upload.part(bytes(part))
        if not digest.right:
            raise Never(f"{path}: its checksum is {digest.found}, expected is {digest.expected}")
        upload.complete()
    except BaseException:
        upload.abort()
        raise
    return {"size": size, "sha256": sha256.hexdigest()}


def _chunks(answer: Any, path: str) -> Any:
    left = int(answer.headers.get("Content-Length") or 0)
    try:
        while chunk := answer.read(CHUNK):
            left -= len(chunk)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise Later(f"{path}: {error}") from error
    if left > 0:
        raise Later(f"{path}: the connection ended {left} bytes early")


def main(arguments: list[str]) -> int:
    # The first process of a container ignores signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    try:
        order = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        for artifact in order["artifacts"]:
            fill(order, artifact)
    except (Never, Later, OSError) as error:
        print(f"failed: {error}", file=sys.stderr, flush=True)
        return 1 if isinstance(error, Never) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
