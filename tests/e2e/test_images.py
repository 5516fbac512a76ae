"""The image path for real: an engine, a build pushed to the local registry, and the application over HTTP."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from llmos.daemons import pid_identity, wait_until
from llmos.images import engine, own_engine, registry, trial
from llmos.images.build import BuiltImage, build
from llmos.images.context import context_files
from llmos.images.engine import Engine
from llmos.images.registry_client import DIRECT
from llmos.paths import PROJECT_ROOT
from planner.faults import UserFault

_ROOT_ON_LINUX = sys.platform == "linux" and os.geteuid() == 0
pytestmark = [
    pytest.mark.docker,
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(
        engine.find_engine() is None and not (_ROOT_ON_LINUX and shutil.which("apt-get")),
        reason="needs a Docker engine, or Debian's packages and root to start one",
    ),
]

STACK = "image-test"
STRANGER = "llmos-stranger"
KEY = "sk-image-test-0123456789abcdef0123456789"
QUESTION = {"model": "tiny-random", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12}


@pytest.fixture(scope="module")
def docker() -> Iterator[Engine]:
    """The engine and registry that `up` would take, left as they were found: their base image takes minutes to make."""
    was_running = own_engine.running(), registry.find_registry() is not None
    yield engine.ensure_engine(install=True, why="the tests of the image path")
    trial.remove(STACK)
    if not was_running[0]:
        engine.stop_engine()
    if not was_running[1]:
        registry.stop_registry()


@pytest.fixture(scope="module")
def image(docker: Engine) -> BuiltImage:
    return build(context=PROJECT_ROOT / "app", repository="image-test")


@pytest.fixture(scope="module")
def url(image: BuiltImage) -> str:
    return _start(image)


def _start(image: BuiltImage) -> str:
    return trial.ensure_running(
        stack=STACK, application="assistant", ref=image.ref, env={"PRESET": "customer-service"},
        secrets={"API_KEYS": KEY}, container_port=8000, ready_path="/readyz",
    )  # fmt: skip


def _post(url: str, body: dict, *, key: str = KEY) -> bytes:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", data=json.dumps(body).encode(), headers=headers)
    with DIRECT.open(request, timeout=60) as answer:
        return answer.read()


def test_the_registry_has_what_was_deployed(image: BuiltImage) -> None:
    repository, _, digest = image.ref.partition("@")
    found = registry.find_registry()
    assert found is not None
    assert repository == f"{found.address}/image-test"
    assert digest == image.digest
    assert found.has("image-test", image.digest)


def test_a_second_build_gives_the_same_digest(docker: Engine, image: BuiltImage, tmp_path: Path) -> None:
    again = build(context=PROJECT_ROOT / "app", repository="image-test")
    assert (again.ref, again.changed) == (image.ref, False)
    assert again.seconds < 3
    # A folder elsewhere with the same content has no record here, so the engine builds it, from its own cache.
    copy = tmp_path / "app"
    shutil.copytree(PROJECT_ROOT / "app", copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert build(context=copy, repository="image-test-copy").digest == image.digest


def test_the_image_runs_nothing_as_root_and_holds_no_secret(docker: Engine, image: BuiltImage) -> None:
    found = json.loads(docker.docker(["image", "inspect", image.ref]).stdout)[0]
    assert found["Config"]["User"] not in ("", "0", "root")
    assert "8000/tcp" in found["Config"]["ExposedPorts"]
    assert "PYTHONUNBUFFERED=1" in found["Config"]["Env"]
    listed = docker.docker(["run", "--rm", "--entrypoint", "ls", image.ref, "-A", "/run", "/run/secrets"], check=False)
    assert "ca" not in listed.stdout.split()


def test_the_application_answers_with_real_inference(url: str) -> None:
    answer = json.loads(_post(url, QUESTION))
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] == QUESTION["max_tokens"]


def test_the_application_streams(url: str) -> None:
    lines = [line for line in _post(url, {**QUESTION, "stream": True}).decode().splitlines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    parts = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    said = [part["choices"][0]["delta"].get("content") or "" for part in parts if part["choices"]]
    assert len([piece for piece in said if piece]) > 1


def test_a_caller_without_a_key_is_refused(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _post(url, QUESTION, key="wrong")
    assert caught.value.code == 401


def test_the_openai_client_works_unchanged(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        assert "tiny-random" in [model.id for model in client.models.list()]
        whole = client.chat.completions.create(**QUESTION, temperature=0)
        with client.chat.completions.create(**QUESTION, temperature=0, stream=True) as stream:
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content


def test_the_container_is_confined_and_kept(docker: Engine, image: BuiltImage, url: str) -> None:
    before = docker.docker(["container", "inspect", f"llmos-{STACK}-assistant"]).stdout
    host = json.loads(before)[0]["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
    assert {binding["HostIp"] for bindings in host["PortBindings"].values() for binding in bindings} == {"127.0.0.1"}
    assert _start(image) == url
    assert json.loads(docker.docker(["container", "inspect", f"llmos-{STACK}-assistant"]).stdout)[0]["Id"] in before


def test_removing_the_stack_leaves_no_container(docker: Engine, image: BuiltImage) -> None:
    url = _start(image)
    assert trial.running(STACK) == {"assistant": url}
    assert trial.remove(STACK) == ["assistant"]
    assert trial.running(STACK) == {}
    listed = docker.docker(["ps", "--all", "--quiet", "--filter", f"label=llmagentos.dev/stack={STACK}"])
    assert listed.stdout == ""


def test_a_step_that_fails_is_quoted(docker: Engine, tmp_path: Path) -> None:
    lines = ("ARG BASE_IMAGE=python:3.11-slim-bookworm", "FROM ${BASE_IMAGE}", "RUN echo about to fail && exit 3", "")
    (tmp_path / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserFault, match=r"RUN echo about to fail && exit 3`:\n    about to fail\n"):
        build(context=tmp_path, repository="image-test-fails")


def test_the_ignore_file_is_read_as_the_engine_reads_it(docker: Engine, tmp_path: Path) -> None:
    names = ("a.txt", "b.md", "src/a.py", "src/a.pyc", "src/deep/c.py", "src/deep/keep.pyc", "docs/x", "docs/in/y")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text(
        "# comment\n/*.md\n**/*.pyc\n!src/**/keep.py?\ndocs/\n!docs/in\nDockerfile\n", encoding="utf-8"
    )
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    image = build(context=tmp_path, repository="image-test-ignore")
    container = docker.docker(["create", image.ref, "none"]).stdout.strip()
    archive = tmp_path / "root.tar"
    docker.docker(["export", "--output", str(archive), container])
    docker.docker(["rm", container])
    with tarfile.open(archive) as tar:
        listed = tar.getnames()
    archive.unlink()
    copied = {name for name in listed if name in {*names, ".dockerignore", "Dockerfile"}}
    assert copied == set(context_files(tmp_path, dockerfile=tmp_path / "Dockerfile"))
    assert copied >= {"a.txt", "src/deep/keep.pyc", "docs/in/y"}


def _bridge_address() -> str:
    command = ["ip", "-br", "-4", "address", "show", "dev", own_engine._own_name()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    return done.stdout.split()[2]


@pytest.mark.skipif(not _ROOT_ON_LINUX, reason="an engine of our own needs root on Linux")
@pytest.mark.parametrize("depth", [1, 60], ids=["short path", "path too long for a socket"])
def test_our_own_engine_survives_a_kill_and_leaves_nothing_behind(docker: Engine, monkeypatch, depth: int) -> None:
    if own_engine.program() is None:
        pytest.skip("needs dockerd (Debian package docker.io)")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("LLMOS_CACHE_DIR", str(Path(folder, "x" * depth)))
        ours = {f"{own_engine._folder()}/", f"{own_engine._run_folder()}/"}
        try:
            own_engine.start(install=False)
            first = own_engine._daemon().pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            assert wait_until(lambda: pid_identity(first) is None, timeout_seconds=20)
            with concurrent.futures.ThreadPoolExecutor(2) as pool:  # two commands at once start one engine
                list(pool.map(lambda _: own_engine.start(install=False), range(2)))
            assert own_engine._daemon().pid not in (None, first)
            # Its network was given away while it was not there: it takes another.
            address = _bridge_address()
            own_engine.stop()
            subprocess.run(["ip", "link", "add", STRANGER, "type", "bridge"], check=True)
            subprocess.run(["ip", "address", "add", address, "dev", STRANGER], check=True)
            subprocess.run(["ip", "link", "set", STRANGER, "up"], check=True)
            own_engine.start(install=False)
            assert _bridge_address() not in ("", address)
        finally:
            subprocess.run(["ip", "link", "delete", STRANGER], capture_output=True, check=False)
            stopped = own_engine.stop()
        assert stopped is True
        assert own_engine.stop() is False
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
        processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, encoding="utf-8", check=True)
        assert not any(path in mounts or path in processes.stdout for path in ours)
        assert not Path("/sys/class/net", own_engine._own_name()).exists()
        assert not own_engine._run_folder().exists()
