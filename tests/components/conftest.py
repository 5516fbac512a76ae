"""The repository's own dev stack, as every test of components begins with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import stack_file


@pytest.fixture
def dev() -> dict[str, Any]:
    return stack_file("dev")
