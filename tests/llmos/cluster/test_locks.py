from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmos.cluster.locks import exclusive
from llmos.paths import PROJECT_ROOT
from planner.faults import EnvironmentFault

HOLD = """
import sys
from llmos.cluster.locks import exclusive
with exclusive("thing", why="w", progress=print, timeout_seconds=5):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_holder_waits_says_so_and_gives_up_in_time(cache: Path) -> None:
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        cwd=PROJECT_ROOT,
    ) as holder:
        assert holder.stdout and holder.stdin
        assert holder.stdout.readline().strip() == "held"
        with (
            pytest.raises(EnvironmentFault, match=r"busy elsewhere, and did not finish in 0\.3 s"),
            exclusive("thing", why="busy elsewhere", progress=said.append, timeout_seconds=0.3),
        ):
            pytest.fail("two holders at once")
        holder.kill()
    assert said == ["busy elsewhere: waiting for it"]
    # The lock of a killed holder is free at once.
    with exclusive("thing", why="w", progress=said.append, timeout_seconds=0):
        pass
    assert len(said) == 1
    assert list((cache / "locks").iterdir()) == []
