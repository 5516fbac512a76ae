"""The good stack breaks no rule; without this, a case that fails would prove nothing."""

from __future__ import annotations

import pytest

from tests.policies.support import BY_ID, ask, good_stack


@pytest.mark.parametrize("rule_id", sorted(BY_ID))
def test_good_stack_passes(rule_id: str) -> None:
    found = ask(rule_id, good_stack())
    assert found.clean, found
