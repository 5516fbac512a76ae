"""Running other programs: no shell, text in UTF-8, and an error that quotes what the program said."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from planner.faults import EnvironmentFault, Fault

__all__ = ["program", "run"]

# How long a program goes on after it is told to stop.
_STOP_SECONDS = 0.2


def run(
    command: Sequence[str | Path],
    *,
    where: str = "",
    fix: str = "run the command by hand to see more",
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_seconds: float | None = None,
    check: bool = True,
    stop: threading.Event | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed.

    Args:
        command: program and arguments; never passed through a shell.
        where: what the program was run for, the ``where`` of the fault when it fails; the program's name by default.
        fix: the ``To fix:`` of that fault.
        stdin: text given on standard input; nothing by default, so that no program ever waits for a key.
        env: the whole environment; this process's by default.
        cwd: working directory; this process's by default.
        timeout_seconds: limit; none by default because builds take minutes.
        check: raise when the exit status is not 0.
        stop: ends the program as soon as it is set; what it printed until then is returned.

    Raises:
        EnvironmentFault: the program is missing, ran out of time, or (with ``check``) failed; quotes its last lines.
    """
    words = [str(word) for word in command]
    where = where or words[0]
    words[0] = program(words[0])
    try:
        done = _run(
            words, input=stdin or "", env=dict(env) if env is not None else None, cwd=cwd, timeout=timeout_seconds,
            stop=stop,
        )
    except FileNotFoundError as error:
        raise EnvironmentFault(Fault(what=f"`{words[0]}` was not found", where=where, fix=fix)) from error
    except subprocess.TimeoutExpired as error:
        what = f"`{' '.join(words[:3])}` did not finish in {timeout_seconds:g} s"
        raise EnvironmentFault(Fault(what=what, where=where, fix=fix)) from error
    if check and done.returncode != 0:
        said = "\n    ".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        what = f"`{' '.join(words[:3])}` failed with exit code {done.returncode}:\n    {said}"
        raise EnvironmentFault(Fault(what=what, where=where, fix=fix))
    return done


def program(name: str, *, platform: str = sys.platform) -> str:
    """What to start for a program's name. Windows itself looks for ``name.exe`` only; installers also bring
    ``name.cmd``."""
    return shutil.which(name) or name if platform == "win32" else name


def _run(
    words: Sequence[str], *, input: str, timeout: float | None, stop: threading.Event | None, **options: Any
) -> subprocess.CompletedProcess[str]:
    text = {"text": True, "encoding": "utf-8", "errors": "replace"}
    if stop is None:
        return subprocess.run(words, input=input, timeout=timeout, capture_output=True, check=False, **text, **options)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    deadline, given = time.monotonic() + (timeout or math.inf), input
    with subprocess.Popen(words, **pipes, **text, **options) as process:
        while True:
            try:
                out, err = process.communicate(given, timeout=_STOP_SECONDS)
                return subprocess.CompletedProcess(words, process.returncode, out, err)
            except subprocess.TimeoutExpired:
                given = None  # it has been handed over by the first call
                if stop.is_set():
                    process.kill()
                elif time.monotonic() > deadline:
                    process.kill()
                    raise
            except BaseException:
                process.kill()
                raise
