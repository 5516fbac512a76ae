"""The sample application and its CPU model server as processes on loopback, for benchmarks."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llmos.paths import PROJECT_ROOT

__all__ = ["Program", "application", "tiny_model"]

_SOURCE = PROJECT_ROOT / "app" / "src"
_LISTENING = re.compile(r"running on (http://[\w.:]+)")
_START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Program:
    """A running application: its base URL, the key that it takes, and its process."""

    url: str
    key: str = field(repr=False)
    process: subprocess.Popen[bytes] = field(repr=False)


def tiny_model(folder: Path) -> Path:
    """The model file of the image, written into ``folder``."""
    path = folder / "tiny-random.gguf"
    subprocess.run([sys.executable, "-m", "assistant.tiny_model", str(path)], env=_environment({}), check=True)
    return path


@contextmanager
def application(folder: Path, settings: Mapping[str, str]) -> Iterator[Program]:
    """The application on a free port of loopback; ``settings`` are its environment variables, its log is in ``folder``.

    Raises:
        RuntimeError: it ends, or does not listen within a minute; the message has its log.
    """
    key = secrets.token_urlsafe(16)
    log = folder / f"application-{time.monotonic_ns()}.log"
    given = {"HOST": "127.0.0.1", "PORT": "0", "API_KEYS": key, "DRAIN_DELAY_SECONDS": "0", **settings}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "assistant"], env=_environment(given), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield Program(url=_url(process, log), key=key, process=process)
    finally:
        process.kill()
        process.wait()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := _LISTENING.search(log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.02)
    raise RuntimeError(f"the application does not listen:\n{log.read_text(encoding='utf-8')}")


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SYSTEMROOT")}
    return {**kept, "PYTHONPATH": str(_SOURCE), "PYTHONUNBUFFERED": "1", **given}
