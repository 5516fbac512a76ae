"""Getting from any Python 3.11 to the project's own virtual environment. Standard library only."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from llmos.console import step
from llmos.files import write_whole
from llmos.packages import ensure
from llmos.paths import PROJECT_ROOT
from planner.faults import EnvironmentFault, Fault

__all__ = ["ensure_requirements", "enter", "venv_python"]

VENV = PROJECT_ROOT / "venv"


def venv_python(venv: Path = VENV, *, platform: str = sys.platform) -> Path:
    """The interpreter inside a virtual environment."""
    return venv / ("Scripts/python.exe" if platform == "win32" else "bin/python")


def enter(arguments: Sequence[str], *, install: bool, platform: str = sys.platform) -> None:
    """Return at once inside ``venv/``; otherwise make it from ``requirements.txt`` and go on inside it.

    Raises:
        EnvironmentFault: the environment cannot be made; says what is missing.
    """
    if Path(sys.prefix).resolve() == VENV.resolve():
        ensure_requirements("requirements.txt", install=install)
        return
    if not venv_python().exists():
        _create(install=install)
    command = [str(venv_python()), "-m", "llmos", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_python_path())}
    if platform == "win32":
        # Windows has no exec: a child that replaced this process would leave the terminal to the shell. Ctrl-C reaches
        # both, and the child is the one to answer it. Its files and pipes are UTF-8, as everywhere else.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        environment.setdefault("PYTHONUTF8", "1")
        raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)


def ensure_requirements(name: str, *, install: bool, venv: Path = VENV) -> None:
    """Install a requirements file into the environment unless exactly this text has been installed before."""
    mark = venv / f".installed-{name}"
    wanted = _fingerprint(name)
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return
    if not install:
        raise EnvironmentFault(
            Fault(
                what=f"{name} is not installed, and --no-install was given", where="venv",
                fix=f"run {venv_python(venv)} -m pip install -r {name}",
            )
        )
    with step(f"installing {name} into venv/"):
        done = subprocess.run(
            [str(venv_python(venv)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", name],
            cwd=PROJECT_ROOT, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False,
        )
    if done.returncode != 0:
        said = "\n    ".join(done.stderr.strip().splitlines()[-6:])
        raise EnvironmentFault(
            Fault(
                what=f"pip could not install {name}:\n    {said}", where="venv",
                fix="check that pip reaches its package index (proxy, PIP_INDEX_URL, certificates) and repeat",
            )
        )
    write_whole(mark, wanted)


def _create(*, install: bool) -> None:
    if not install:
        raise EnvironmentFault(
            Fault(
                what="the virtual environment is missing, and --no-install was given", where="venv",
                fix=f"run {sys.executable} -m venv venv && {venv_python(Path('venv'))} -m pip install "
                "-r requirements.txt",
            )
        )
    try:
        import ensurepip  # noqa: F401 - Debian ships Python without it, and then venv fails half-way
    except ImportError:
        ensure([f"python3.{sys.version_info.minor}-venv"], install=install, why="the virtual environment")
    with step("making the virtual environment venv/"):
        made = subprocess.run(
            [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, encoding="utf-8", check=False
        )
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        said = (made.stderr or made.stdout).strip().splitlines()[-1:]
        raise EnvironmentFault(
            Fault(what=f"python3 -m venv failed: {' '.join(said)}", where="venv", fix="install Python's venv module")
        )


def _fingerprint(name: str) -> str:
    """Hash of a requirements file, the ones it includes, and the interpreter."""
    text, pending = sys.version, [name]
    for current in pending:
        content = (PROJECT_ROOT / current).read_text(encoding="utf-8")
        text += content
        pending += [line[3:].strip() for line in content.splitlines() if line.startswith("-r ")]
    return hashlib.sha256(text.encode()).hexdigest()


def _python_path() -> list[str]:
    """The project's folder first, so that ``-m llmos`` is found wherever the command was started."""
    return [str(PROJECT_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
