"""How a command ends when something goes wrong: one message per fault, the right exit code, no traceback."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from planner.faults import LlmosError

__all__ = ["Outcome", "end_in_order", "reported"]

_INTERRUPTED = 130


@dataclass
class Outcome:
    """Exit code of the command."""

    exit_code: int = 0


def end_in_order() -> None:
    """Let Ctrl-C, and SIGTERM by which pipelines and containers end a job, end a command in order: what it started is
    ended and the stack's lock is given back."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell started it to ignore Ctrl-C
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # What other threads fail at from now on follows from this: the Automation API's readers lose their pipes, say.
    threading.excepthook = lambda _: None
    raise KeyboardInterrupt


@contextmanager
def reported(*, debug: bool) -> Iterator[Outcome]:
    """Print what a block raises as faults and set the exit code; with ``debug`` the traceback as well."""
    outcome = Outcome()
    try:
        yield outcome
    except LlmosError as error:
        if debug:
            traceback.print_exc()
        for fault in error.faults:
            print(f"error: {fault}", file=sys.stderr)
        outcome.exit_code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was done stays, and the same command goes on from there", file=sys.stderr)
        outcome.exit_code = _INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(
            f"error: llmos: {type(error).__name__}: {error}\n"
            "  To fix: this is a fault of the program; repeat with --debug and report what it prints",
            file=sys.stderr,
        )
        outcome.exit_code = 2
