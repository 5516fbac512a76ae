"""A copy of the project with a history of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT

_PARTS = (
    "__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.staging.yaml", "Pulumi.prod.yaml", "app", "components",
    "llmos", "planner", "policies",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """The project's code in a folder of the test's own, under version control."""

    root: Path

    @property
    def temporary(self) -> Path:
        """Where its commands put temporary files."""
        return self.root.parent / "temporary"

    def git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, subject: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def edit(self, name: str, before: str, after: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert before in text
        (self.root / name).write_text(text.replace(before, after), encoding="utf-8")

    def llmos(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line on this copy, past the making of a virtual environment."""
        program = (
            "import sys; from llmos.cli import run; from llmos.failures import reported\n"
            "with reported(debug=False) as outcome: outcome.exit_code = run(sys.argv[1:])\nsys.exit(outcome.exit_code)"
        )
        env = {key: value for key, value in os.environ.items() if not key.startswith("LLMOS_")}
        self.temporary.mkdir(exist_ok=True)
        env |= {"LLMOS_CACHE_DIR": str(self.root.parent / "cache"), "TMPDIR": str(self.temporary)}
        return subprocess.run(
            [sys.executable, "-c", program, *words], cwd=self.root, env=env, capture_output=True, text=True,
            encoding="utf-8", stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One copy for the tests of a module; each test commits what it needs and compares with that."""
    root = tmp_path_factory.mktemp("checkout") / "project"
    root.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for path in (ROOT / part for part in _PARTS):
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        copy(path, root / path.name, **({"ignore": ignored} if path.is_dir() else {}))
    if (ROOT / "locks").is_dir():
        shutil.copytree(ROOT / "locks", root / "locks")
    made = Checkout(root=root)
    (root / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    made.git("init", "-q", "-b", "main")
    made.commit("first")
    return made
