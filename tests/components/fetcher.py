"""The script that fetches weights, on one volume, and the files of a hub on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llmos.daemons import wait_until
from tests.components.fake_hub import FakeHub

__all__ = ["FILES", "FIRST", "SCRIPTS", "WANTED", "WEIGHTS", "Fetcher", "ended", "loaded", "until"]

SCRIPTS = Path(__file__).parents[2] / "components" / "files"
# Four times what is read at once, so that half of it is on disk when the hub stops in the middle.
WEIGHTS = bytes(range(256)) * 16384
FILES = {
    "config.json": b'{"model_type": "qwen3"}', "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS[::-1], "tokenizer.json": b"{}" * 5000, "merges.txt": b"a b\n",
    # What must not be fetched: code, pickles, a second copy of the weights, the repository's own files.
    "modeling.py": b"import os", "pytorch_model.bin": b"\x80\x02" * 4000, "consolidated.safetensors": WEIGHTS,
    ".gitattributes": b"*", "README.md": b"#",
}  # fmt: skip
FIRST = "model-00001-of-00002.safetensors"
WANTED = {"config.json", FIRST, "model-00002-of-00002.safetensors", "tokenizer.json", "merges.txt"}


class Fetcher:
    """Runs the script on one volume."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.volume, self.hub = folder / "volume", hub
        self.volume.mkdir()

    def order(self, **changes: Any) -> Path:
        artifact = {"source": self.hub.source, "revision": self.hub.revision, **changes.pop("artifact", {})}
        order = {
            "folder": str(self.volume), "endpoint": self.hub.endpoint, "keep": 0, "wait_seconds": 30,
            "retry_seconds": 0.001, "artifacts": [artifact], **changes,
        }  # fmt: skip
        path = self.volume.parent / f"order-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(order), encoding="utf-8")
        return path

    def start(self, verb: str = "fetch", *, env: dict[str, str] | None = None, **changes: Any) -> subprocess.Popen[str]:
        return self.run_script(verb, str(self.order(**changes)), env=env)

    @staticmethod
    def run_script(*arguments: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
        plain = {key: value for key, value in os.environ.items() if "proxy" not in key.lower() and key != "HF_TOKEN"}
        return subprocess.Popen(
            [sys.executable, str(SCRIPTS / "fetch_weights.py"), *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**plain, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}, **more,
        )  # fmt: skip

    def __call__(self, verb: str = "fetch", **changes: Any) -> tuple[int, str]:
        return ended(self.start(verb, **changes))

    @property
    def place(self) -> Path:
        return self.volume / self.hub.source.replace("/", "--") / self.hub.revision

    @property
    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.place).as_posix(): path.read_bytes()
            for path in self.place.rglob("*") if path.is_file() and path.name != ".complete.json"
        }  # fmt: skip

    @property
    def complete(self) -> bool:
        return (self.place / ".complete.json").exists()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def until(condition: Callable[[], bool]) -> None:
    assert wait_until(condition, timeout_seconds=30)


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """One of the script's modules, in this process."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
