"""Files are written whole or not at all, and scratch folders do not outlive the commands that made them for long."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmos import files
from llmos.files import write_whole
from llmos.scratch import scratch_folder
from tests.support import ROOT


def test_the_text_is_there_with_line_feeds_and_the_mode_it_should_have(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_whole(path, "één\nzwei\n")
    assert path.read_bytes() == "één\nzwei\n".encode()
    write_whole(path, "secret", mode=0o600)
    assert path.read_text(encoding="utf-8") == "secret" and [p.name for p in tmp_path.iterdir()] == ["record.json"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_fails_half_way_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    write_whole(path, "old")

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old" and [p.name for p in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="the writer kills itself by a POSIX signal")
def test_a_writer_that_is_killed_leaves_the_old_text_and_the_next_one_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_whole(path, "old")
    script = (
        "import os, sys; from pathlib import Path; from llmos import files\n"
        f"files.os.fsync = lambda descriptor: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "files.write_whole(Path(sys.argv[1]), 'new')"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text(encoding="utf-8") == "old" and len(list(tmp_path.iterdir())) == 2
    write_whole(path, "newer")
    assert path.read_text(encoding="utf-8") == "newer" and [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_what_a_killed_command_left_in_its_scratch_folder_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    left = tmp_path / "scratch" / f"build-{gone.pid}-abc_d"
    left.mkdir(parents=True)
    (left / "pip.conf").write_text("secret", encoding="utf-8")
    with scratch_folder("build") as mine:
        assert not left.exists() and mine.is_dir()
        if os.name == "posix":
            assert stat.S_IMODE(mine.stat().st_mode) == 0o700
        with scratch_folder("build") as another:
            assert mine.is_dir() and another != mine, "what is in use stays"
    assert list((tmp_path / "scratch").iterdir()) == []
