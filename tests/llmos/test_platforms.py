"""What differs between Linux, macOS and Windows, and between x86-64 and ARM: each branch, wherever the tests run."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from llmos import bootstrap, failures, process
from llmos.cluster import downloads, embedded
from llmos.console import show_what_can_be_shown
from llmos.daemons import locked, pid_identity
from llmos.engines import pulumi_workspace
from llmos.images.recipe import image_platform
from llmos.session import _one_kubeconfig
from planner import machine
from planner.faults import EnvironmentFault
from tests.support import ROOT


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LLMOS_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "folder"),
    [("linux", ".cache/llmos"), ("darwin", "Library/Caches/llmos"), ("win32", "AppData/Local/llmos")],
)
def test_the_cache_is_where_the_platform_keeps_caches(platform: str, folder: str, home: Path) -> None:
    assert machine.cache_dir(platform=platform) == home / folder


@pytest.mark.parametrize(("platform", "variable"), [("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")])
def test_the_platforms_own_variable_moves_the_cache(
    platform: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert machine.cache_dir(platform=platform) == tmp_path / "elsewhere" / "llmos"
    assert machine.cache_dir(platform="darwin") != tmp_path / "elsewhere" / "llmos"
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "ours"))
    for each in ("linux", "darwin", "win32"):
        assert machine.cache_dir(platform=each) == tmp_path / "ours"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that exists and is not the one that the tests run in."""
    for platform in ("linux", "win32"):
        python = bootstrap.venv_python(tmp_path / "venv", platform=platform)
        python.parent.mkdir(parents=True)
        python.touch()
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
    return tmp_path / "venv"


def test_where_there_is_exec_the_command_becomes_the_environments(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "venv_python", lambda: outside / "bin" / "python")
    monkeypatch.setattr("os.execve", lambda program, words, env: called.append(words), raising=False)
    bootstrap.enter(["status"], install=False, platform="linux")
    assert called == [[str(outside / "bin" / "python"), "-m", "llmos", "status"]]


def test_windows_waits_for_the_environments_command_and_leaves_ctrl_c_to_it(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def run(words: list[str], *, env: dict[str, str], check: bool) -> subprocess.CompletedProcess[str]:
        seen.update(words=words, utf8=env["PYTHONUTF8"], interrupt=signal.getsignal(signal.SIGINT))
        return subprocess.CompletedProcess(words, 7)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(bootstrap, "venv_python", lambda: outside / "Scripts" / "python.exe")
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as end:
            bootstrap.enter(["up", "--yes"], install=False, platform="win32")
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == 7
    assert seen["words"] == [str(outside / "Scripts" / "python.exe"), "-m", "llmos", "up", "--yes"]
    assert seen["utf8"] == "1" and seen["interrupt"] == signal.SIG_IGN


def test_windows_starts_what_its_installers_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"kubectl": r"C:\sdk\kubectl.cmd"}
    monkeypatch.setattr(process.shutil, "which", places.get)
    assert process.program("kubectl", platform="win32") == r"C:\sdk\kubectl.cmd"
    assert process.program("docker", platform="win32") == "docker", "what is not found is named in the fault"
    for platform in ("linux", "darwin"):
        assert process.program("kubectl", platform=platform) == "kubectl"


def test_the_embedded_cluster_says_where_it_does_not_run() -> None:
    for platform in ("linux", "darwin"):
        embedded._require_supported("llmos", platform=platform)
    with pytest.raises(EnvironmentFault, match=r"does not run on Windows(.|\n)*WSL 2(.|\n)*target: kubernetes"):
        embedded._require_supported("llmos", platform="win32")


def test_background_processes_are_refused_where_they_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="not supported on Windows"), locked(tmp_path / "l", platform="win32"):
        raise AssertionError("not reached")


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_process_is_known_while_it_lives(platform: str) -> None:
    if platform == "linux" and sys.platform != "linux":
        pytest.skip("/proc is Linux's")
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        identity = pid_identity(process.pid, platform=platform)
        assert identity and identity == pid_identity(process.pid, platform=platform)
    finally:
        process.communicate()
    assert pid_identity(process.pid, platform=platform) is None


def test_several_kubeconfigs_are_left_to_kubectl_to_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _one_kubeconfig("") is None and _one_kubeconfig("one") == Path("one")
    for separator, several in ((":", "/a/one:/b/two"), (";", r"C:\a\one;D:\b\two")):
        monkeypatch.setattr("os.pathsep", separator)
        assert _one_kubeconfig(several) is None
    assert _one_kubeconfig(r"C:\a\one;") == Path(r"C:\a\one")


def test_a_state_folder_of_windows_makes_an_address_that_the_pulumi_cli_reads(home: Path) -> None:
    address = pulumi_workspace._local_state(home)
    assert address.startswith("file://") and "\\" not in address


def test_what_an_old_encoding_cannot_show_ends_nothing() -> None:
    shown = io.BytesIO()
    stream = io.TextIOWrapper(shown, encoding="cp1252")
    show_what_can_be_shown(stream)
    print("→ 3 × l4 …", file=stream, flush=True)
    assert shown.getvalue().decode("cp1252").split() == ["?", "3", "×", "l4", "…"]
    strict = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    show_what_can_be_shown(strict, io.StringIO())
    assert strict.errors == "strict"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that ends a process in order")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_ended_gives_back_what_it_holds(number: signal.Signals) -> None:
    script = (
        "import os, signal, sys, threading; from llmos.failures import end_in_order, reported\n"
        # A shell starts what is in the background with Ctrl-C ignored, perhaps these tests.
        "signal.signal(signal.SIGINT, signal.default_int_handler); end_in_order()\n"
        "away, kept = os.pipe()\n"
        "reader = threading.Thread(target=lambda: (os.read(away, 1), int('what it lost')))\n"
        "with reported(debug=False) as outcome:\n"
        "    try: reader.start(); print('up', flush=True); threading.Event().wait()\n"
        "    finally: os.close(kept); reader.join(); print('given back', flush=True)\n"
        "sys.exit(outcome.exit_code)"
    )
    command = [sys.executable, "-c", script]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None and running.stdout.readline() == "up\n"
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert out == "given back\n" and running.returncode == failures._INTERRUPTED
    assert err == "interrupted; what was done stays, and the same command goes on from there\n"


@pytest.mark.parametrize(
    ("name", "platform"),
    [("x86_64", "linux/amd64"), ("AMD64", "linux/amd64"), ("aarch64", "linux/arm64"), ("arm64", "linux/arm64")],
)
def test_a_machine_is_known_by_the_name_of_its_images(name: str, platform: str) -> None:
    assert image_platform(name) == platform


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_programs_come_out_of_the_archives_of_linux_and_macos(form: str, tmp_path: Path) -> None:
    archive, content = tmp_path / "etcd.archive", b"\x7fELF"
    if form == "tar":
        with tarfile.open(archive, "w:gz") as tar:
            entry = tarfile.TarInfo("etcd-v3.6.4-linux-arm64/etcd")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    else:
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("etcd-v3.6.4-darwin-arm64/README.md", "text")
            made.writestr("etcd-v3.6.4-darwin-arm64/etcd", content)
    downloads._extract(archive, member="etcd", to=tmp_path / "etcd")
    assert (tmp_path / "etcd").read_bytes() == content
    with pytest.raises(OSError, match="holds no etcdctl"):
        downloads._extract(archive, member="etcdctl", to=tmp_path / "etcdctl")
