"""What a person sees. Everything goes to stderr except the result of a command, so that ``--json`` stays one document."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["note", "step", "warn"]


def note(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print one line that deserves attention but stops nothing."""
    note(f"warning: {text}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a piece of work and, when it took a second or more, say how long it took."""
    started = time.monotonic()
    note(f"{title} ...")
    yield
    elapsed = time.monotonic() - started
    if elapsed >= 1:
        note(f"  done in {_duration(elapsed)}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
