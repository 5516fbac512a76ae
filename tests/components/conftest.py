"""The repository's own dev stack, as every test of components begins with, and a hub with what fetches from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.components.fake_hub import FakeHub, running_hub
from tests.components.fetcher import FILES, Fetcher
from tests.support import stack_file


@pytest.fixture
def dev() -> dict[str, Any]:
    return stack_file("dev")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub(files=dict(FILES)) as made:
        yield made


@pytest.fixture
def fetcher(tmp_path: Path, hub: FakeHub) -> Fetcher:
    return Fetcher(tmp_path, hub)
