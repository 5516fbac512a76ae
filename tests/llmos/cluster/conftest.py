from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmos.cluster import claims

Script = Callable[[str, str], Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def own_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's list of ranges in a place of this test alone."""
    path = tmp_path / "claims" / "networks.json"
    path.parent.mkdir()
    monkeypatch.setattr(claims, "_CLAIMS", path)
    return path


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Makes an executable of the given name, first and alone on PATH, out of Python source."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, source: str) -> Path:
        path = folder / name
        preamble = f"#!{sys.executable}\nimport json, os, pathlib, sys\nargs = sys.argv[1:]\n"
        path.write_text(f"{preamble}{source}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make
