"""The stacks of target aws: the cluster and the three examples, with a release for those that are promoted into."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmos.synth import Program
from tests.aws.stacks import RELEASE, STACKS, program, raw


@pytest.fixture(scope="session")
def first_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the locks of a first release."""
    folder = tmp_path_factory.mktemp("locks")
    for name in ("aws-staging", "aws-prod"):
        (folder / f"{name}.json").write_text(json.dumps({"release": RELEASE}), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def locks(first_releases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of a first release; nothing else of this machine reaches the program."""
    for name in [key for key in os.environ if key.startswith("LLMOS_") and key != "LLMOS_CACHE_DIR"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LLMOS_LOCKS", str(first_releases))


@pytest.fixture(scope="session")
def programs() -> Callable[[str], Program]:
    """The program of a stack, run once, by the first test that asks for it."""
    made: dict[str, Program] = {}

    def of(name: str) -> Program:
        if name not in made:
            made[name] = program(raw(name), name)
        return made[name]

    return of


@pytest.fixture
def dev() -> dict[str, Any]:
    return raw("aws-dev")


@pytest.fixture
def cluster() -> dict[str, Any]:
    return raw("cluster")


@pytest.fixture(params=STACKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)
