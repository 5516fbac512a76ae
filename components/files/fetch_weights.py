"""Fetches pinned revisions from a model hub into a volume and verifies every file.

    fetch_weights.py fetch ORDER     download what the order names, and mark it complete
    fetch_weights.py wait ORDER      wait until somebody else has done so
    fetch_weights.py sums SOURCE REVISION
                                     print the checksums that the hub lists, for `sha256` in a stack file

An order is JSON: {"folder", "endpoint", "keep", "wait_seconds", "retry_seconds", "artifacts": [{"source", "revision",
"sha256": {file: hex}, "rank"}]}. A revision lands in FOLDER/<source>/<revision>. A file has its own name only when it
is whole and verified; it grows under another one, and a killed download goes on where it stopped. Several that fetch
into one volume wait for each other by a lock; where the volume knows no locks each writes under a name of its own.
Exit codes: 0 complete, 1 it can never succeed like this, 2 it may the next time.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hub_client import Later, Never, listed, open_file
from weight_store import (
    CHUNK,
    Digest,
    Full,
    failure,
    forget,
    is_complete,
    is_whole,
    locked,
    make_room,
    mark,
    present,
    say,
    target,
)  # fmt: skip

ATTEMPTS = 8
PARALLEL = 4
_stop = threading.Event()


def fetch(order: dict[str, Any], artifact: dict[str, Any]) -> None:
    """Bring one revision, unless it is complete."""
    place, name = target(order, artifact), f"{artifact['source']}@{artifact['revision'][:12]}"
    with locked(place) as suffix:
        if is_complete(order, artifact):
            say(f"{name}: complete")
            return
        files = _files(order, artifact)
        place.mkdir(parents=True, exist_ok=True)
        for stray in present(place) - set(files):
            (place / stray).unlink()
        missing = {path: file for path, file in files.items() if not is_whole(place / path, file)}
        say(f"{name}: {len(missing)} of {len(files)} files to fetch")
        parts = {path: place.with_suffix(".parts") / (path + suffix) for path in missing}
        make_room(place, missing, parts)
        _fetch_all(order, artifact, missing, parts)
        _check_rank(place, artifact)
        sizes = {path: ((place / path).stat().st_size, file.get("sha256", "")) for path, file in files.items()}
        mark(place, {"source": artifact["source"], "revision": artifact["revision"], "files": sizes})
        shutil.rmtree(place.with_suffix(".parts"), ignore_errors=True)
        forget(place, order["keep"])
        say(f"{name}: complete, {sum(size for size, _ in sizes.values()) / 2**30:.2f} GiB verified")


def _files(order: dict[str, Any], artifact: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files to fetch: exactly the pinned ones, or what the hub lists."""
    files: dict[str, dict[str, Any]] = {
        path: {"sha256": sha256} for path, sha256 in (artifact.get("sha256") or {}).items()
    }
    files = files or listed(order["endpoint"], artifact["source"], artifact["revision"])
    if any(path.startswith("/") or ".." in path.split("/") or "\\" in path for path in files):
        raise Never(f"{artifact['source']}: the name of a file leads out of the folder")
    if not any(path.endswith(".safetensors") for path in files):
        raise Never(f"{artifact['source']}@{artifact['revision']} has no weights in safetensors")
    return files


def _fetch_all(
    order: dict[str, Any], artifact: dict[str, Any], files: dict[str, dict[str, Any]], parts: dict[str, Path]
) -> None:
    _stop.clear()
    with ThreadPoolExecutor(PARALLEL) as pool:
        jobs = [pool.submit(_fetch_file, order, artifact, name, file, parts[name]) for name, file in files.items()]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            _stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_file(order: dict[str, Any], artifact: dict[str, Any], name: str, file: dict[str, Any], part: Path) -> None:
    """Bring one file; wrong content is thrown away and asked for once more from the beginning."""
    final, wrong = target(order, artifact) / name, 0
    for folder in (final.parent, part.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            digest = _download(order, artifact, name, file, part)
            if digest.right:
                part.replace(final)
                return
            part.unlink()
            wrong += 1
            if wrong > 1:
                raise Never(f"{name}: its checksum is {digest.found}, expected is {digest.expected}")
            say(f"{name}: its checksum is wrong; once more from the beginning")
        except Later as error:
            if attempt == ATTEMPTS or _stop.is_set() or isinstance(error, Full):
                raise
            say(f"{error}; try {attempt} of {ATTEMPTS}")
            _stop.wait(order["retry_seconds"] * min(2 ** (attempt - 1), 30))


def _download(order: dict[str, Any], artifact: dict[str, Any], name: str, file: dict[str, Any], part: Path) -> Digest:
    digest, have = Digest(file), part.stat().st_size if part.exists() else 0
    if have:
        with part.open("rb") as kept:
            digest.take(kept)
        if digest.right:
            return digest
        if have >= file.get("size", have + 1):
            digest, have = Digest(file), 0
    place = (order["endpoint"], artifact["source"], artifact["revision"], name)
    with open_file(*place, **({"Range": f"bytes={have}-"} if have else {})) as answer:
        if have and answer.status != 206:
            digest, have = Digest(file), 0
        with part.open("ab" if have else "wb") as out:
            _write(answer, out, digest, name)
    return digest


def _write(answer: Any, out: Any, digest: Digest, name: str) -> None:
    left = int(answer.headers.get("Content-Length") or 0)
    try:
        while chunk := answer.read(CHUNK):
            out.write(chunk)
            digest.add(chunk)
            left -= len(chunk)
            if _stop.is_set():
                raise Later(f"{name}: given up with the others")
        out.flush()
        os.fsync(out.fileno())
    except (OSError, http.client.HTTPException) as error:
        raise failure(name, error) from error
    if left > 0:
        raise Later(f"{name}: the connection ended {left} bytes early")


def _check_rank(place: Path, artifact: dict[str, Any]) -> None:
    rank, config = artifact.get("rank"), place / "adapter_config.json"
    if rank and not config.is_file():
        raise Never(f"{artifact['source']} is no LoRA adapter: it has no adapter_config.json")
    found = json.loads(config.read_text(encoding="utf-8")).get("r", 0) if rank else 0
    if rank and found > rank:
        raise Never(f"{artifact['source']} has rank {found}, and the stack file says {rank}")


def wait(order: dict[str, Any]) -> None:
    """Wait for somebody else's download."""
    deadline, told = time.monotonic() + order["wait_seconds"], False
    while missing := [artifact for artifact in order["artifacts"] if not is_complete(order, artifact)]:
        if time.monotonic() > deadline:
            raise Later(f"{missing[0]['source']} is not complete; look at the Job that fetches it, or delete it")
        if not told:
            say(f"waiting for {', '.join(artifact['source'] for artifact in missing)}")
            told = True
        time.sleep(order["retry_seconds"])


def sums(source: str, revision: str) -> None:
    """Print checksums as `sha256sum` does. Small files are read, because the hub lists SHA-256 of large ones only."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    for path, file in sorted(listed(endpoint, source, revision).items()):
        sha256 = file.get("sha256")
        if sha256 is None:
            with open_file(endpoint, source, revision, path) as answer:
                content = answer.read()
            digest = Digest({"git": file["git"], "size": len(content)})
            digest.add(content)
            if not digest.right:
                raise Never(f"{path}: the content is not what the hub lists")
            sha256 = hashlib.sha256(content).hexdigest()
        print(f"{sha256}  {path}")


def main(arguments: list[str]) -> int:
    # The first process of a container ignores signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    try:
        if arguments[:1] == ["sums"] and len(arguments) == 3:
            sums(*arguments[1:])
        elif len(arguments) == 2 and arguments[0] in ("fetch", "wait"):
            order = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
            if arguments[0] == "wait":
                wait(order)
            for artifact in order["artifacts"] if arguments[0] == "fetch" else []:
                fetch(order, artifact)
        else:
            raise Never(str(__doc__))
    except (Never, Later, OSError) as error:
        said = failure("writing", error) if isinstance(error, OSError) else error
        print(f"failed: {said}", file=sys.stderr, flush=True)
        return 1 if isinstance(error, Never) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
