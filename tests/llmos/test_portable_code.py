"""What code has to do, and must leave alone, so that it runs on Linux, macOS and Windows."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.conftest import NOT_ON_WINDOWS
from tests.support import ROOT

PARTS = ("llmos", "planner", "components", "policies", "app")


def python_files() -> Iterator[Path]:
    for part in PARTS:
        # What is mounted into pods runs on Linux only.
        yield from sorted(path for path in (ROOT / part).rglob("*.py") if path.parent != ROOT / "components" / "files")


def test_every_text_names_its_encoding() -> None:
    """Without one, Windows reads and writes in the code page of the user's country."""
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _is_text(node) and not {"encoding", None} & {k.arg for k in node.keywords}
    ]
    assert not missing


def _is_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in ("read_text", "write_text"):
        return True
    if name in ("run", "Popen", "check_output"):
        return isinstance(given.get("text"), ast.Constant)
    modes = [value.value for value in (*call.args, given.get("mode")) if isinstance(value, ast.Constant)]
    opens = name in ("open", "fdopen") and (isinstance(call.func, ast.Name) or not call.args or bool(modes))
    return opens and not any("b" in str(mode) for mode in modes) and _opens_a_file(call)


def _opens_a_file(call: ast.Call) -> bool:
    """Not URLs, archives, descriptors or browsers, whose `open` has other arguments."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    text = ast.unparse(owner) if owner else "builtins"
    return not any(word in text.lower() for word in ("opener", "direct", "tarfile", "zipfile", "found", "self", "os"))


def test_nothing_is_imported_that_windows_lacks() -> None:
    """Our modules, with everything taken away that only POSIX systems have; what they import of others stays."""
    script = """
import importlib, os, pathlib, pkgutil, signal, sys
import grpc, psutil, pulumi, pulumi.automation, pulumi_docker_build, pulumi_kubernetes, pulumi_policy, rich.console
import yaml, numpy, scipy.optimize, highspy, pydantic, asyncio, multiprocessing, tempfile, subprocess
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None
for name in ("fork", "geteuid", "getuid", "getgid", "killpg", "getpgid", "setsid", "uname", "mkfifo", "chown"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGCHLD", "pthread_sigmask", "sigwait", "sigtimedwait"):
    delattr(signal, name)
for part in ("llmos", "planner", "components"):
    package = importlib.import_module(part)
    for found in pkgutil.walk_packages(package.__path__, f"{part}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print("imported")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.stdout.strip() == "imported", done.stderr


def test_tests_that_windows_cannot_run_are_left_out_there() -> None:
    """Those that write a script and run it as a program; whatever else is collected there has to pass."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        below, text = path.relative_to(ROOT / "tests").as_posix(), path.read_text(encoding="utf-8")
        if '"#!' in text or "'#!" in text:
            left_out = any(fnmatch(below, pattern) for pattern in NOT_ON_WINDOWS)
            helper = path.stem == "pulumi_standin"
            assert left_out or helper or "win32" in text, f"{below} belongs into NOT_ON_WINDOWS of tests/conftest.py"


def test_files_have_the_same_line_ends_everywhere() -> None:
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    crooked = [str(path) for path in python_files() if b"\r" in path.read_bytes()]
    assert not crooked
