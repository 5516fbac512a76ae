"""The table in docs/aws.md says what the tests do, no more and no less: ``--update-golden`` writes it."""

from __future__ import annotations

import pytest

from tests.aws.calls import CALLS
from tests.aws.coverage import END, START, UNVERIFIED, _name, kinds, table
from tests.aws.readback import READERS
from tests.support import ROOT

PAGE = ROOT / "docs" / "aws.md"


def test_the_table_is_what_the_tests_cover(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    wanted = f"{before}{START}\n\n{table()}\n{END}{after}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted, encoding="utf-8", newline="\n")
    assert PAGE.read_text(encoding="utf-8") == wanted, "docs/aws.md differs; if that is meant: --update-golden"


def test_every_type_that_is_called_or_read_back_stands_in_the_table() -> None:
    of_aws = {kind.removeprefix("aws:") for kind in kinds() if kind.startswith("aws:")}
    assert of_aws == CALLS.keys() and READERS.keys() <= of_aws


def test_nothing_is_said_of_types_that_are_gone() -> None:
    assert UNVERIFIED.keys() <= {_name(kind) for kind in kinds()}
