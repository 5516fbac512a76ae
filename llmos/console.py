"""What a person sees of work in progress. It goes to stderr, so that ``--json`` on stdout stays one document."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["duration", "note", "show_what_can_be_shown", "step", "warn"]

# On a terminal the elapsed time ticks in place; in a log a line now and then says that the work goes on.
_TICK_SECONDS, _LOG_SECONDS = 1.0, 30.0
_TICK_COLUMNS = 20
# Steps under way, outermost first; only the innermost shows its time.
_running: list[threading.Event] = []


def show_what_can_be_shown(*streams: TextIO) -> None:
    """Let streams whose encoding is not UTF-8 (a pipe on Windows, an old locale) print ``?`` for what it lacks, where
    Python would end with an error."""
    for stream in streams:
        encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
        if encoding != "utf8" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def note(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print one line that deserves attention but stops nothing."""
    note(f"warning: {text}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a piece of work, show the elapsed time while it lasts and, when it took a second or more, how long."""
    started, done = time.monotonic(), threading.Event()
    note(f"{title} ...")
    ticker = threading.Thread(target=_tick, args=(started, done), daemon=True)
    _running.append(done)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
        _running.remove(done)
    elapsed = time.monotonic() - started
    if elapsed >= 1:
        note(f"  done in {duration(elapsed)}")


def _tick(started: float, done: threading.Event) -> None:
    terminal = sys.stderr.isatty()
    while not done.wait(_TICK_SECONDS if terminal else _LOG_SECONDS):
        if _running[-1] is not done:
            continue
        text = f"  {duration(time.monotonic() - started)}"
        print(f"\r{text}", end="", file=sys.stderr, flush=True) if terminal else note(f"{text} elapsed")
    if terminal:
        # Blanks, because not every terminal of Windows knows the escape sequence.
        print(f"\r{' ' * _TICK_COLUMNS}\r", end="", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time span as a person says it: ``42 s``, ``3 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
