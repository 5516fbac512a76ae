"""A folder with a history of requests, and what is sized from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.sizing import Sizing
from tests.planner.histories import RAW, office_hours, sized


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("history")
    office_hours(made)
    return made


@pytest.fixture(scope="module")
def sizing(folder: Path) -> Sizing:
    return sized(RAW, folder)
