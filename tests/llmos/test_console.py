"""Progress as a person reads it in a log."""

from __future__ import annotations

import threading

import pytest

from llmos import console


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (65, "1 min 05 s"), (3600, "60 min 00 s")])
def test_durations(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


def test_only_the_innermost_step_shows_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_LOG_SECONDS", 0.01)
    ticked = threading.Event()
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        if "elapsed" in text:
            ticked.set()

    monkeypatch.setattr(console, "note", note)
    with console.step("outer"):
        assert ticked.wait(10)
        with console.step("inner"):
            ticked.clear()
            assert ticked.wait(10)
            assert [event.is_set() for event in console._running] == [False, False]
    assert said[0] == "outer ..." and "inner ..." in said
    assert console._running == []


def test_a_step_that_fails_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="x"), console.step("work"):
        raise ValueError("x")
    assert console._running == []
