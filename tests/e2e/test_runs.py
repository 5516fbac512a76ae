"""The command as a process of its own: one that is killed at any time, and two that meet."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmos.cluster.info import ClusterInfo
from llmos.daemons import wait_until
from llmos.engines import held
from llmos.engines.holder import processes_of_run
from llmos.engines.lock import Timing, hold, holder_of
from llmos.kube import Kube
from llmos.paths import PROJECT_ROOT
from planner.faults import LlmosError
from tests.e2e.conftest import Llmos, Write
from tests.e2e.snapshots import PATIENCE_SECONDS, Snapshot, snapshot

pytestmark = pytest.mark.cluster

# As `python -m llmos`, without looking at the environment that the tests run in.
_MAIN = """
import sys
from llmos.cli import run
from llmos.failures import reported
with reported(debug=True) as outcome:
    outcome.exit_code = run(sys.argv[1:])
sys.exit(outcome.exit_code)
"""


def command(*words: str, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _MAIN, *words], cwd=PROJECT_ROOT, env={**os.environ, **env}, text=True,
        encoding="utf-8", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def plain_stack(cluster: ClusterInfo, **application: Any) -> dict[str, Any]:
    """One application on target kubernetes, whose kubectl comes from PATH."""
    digest = "sha256:" + "1" * 64
    return {
        "target": "kubernetes", "environment": "dev", "context": cluster.context,
        "applications": {"web": {
            "image": {"ref": f"docker.io/library/web@{digest}"}, "replicas": 1, "endpoint": {"type": "ClusterIP"},
            **application,
        }},
    }  # fmt: skip


@pytest.fixture
def real(embedded_cluster: ClusterInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of the real command, with a kubectl on PATH that kills its caller where it is told to.

    ``KILL_AT`` names a word of a kubectl command line: the process that calls such a kubectl is killed, and kubectl
    does its work later, once the file ``go`` is there, although nobody waits for it any more.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    wrapper = folder / "kubectl"
    wrapper.write_text(
        "#!/bin/bash\n"
        'if [ -n "$KILL_AT" ] && [[ " $* " == *" $KILL_AT"* ]]; then kill -9 $PPID; '
        f'until [ -e "{tmp_path}/go" ]; do sleep 0.1; done; fi\n'
        f'exec "{embedded_cluster.kubectl}" "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    env = {"KUBECONFIG": str(embedded_cluster.kubeconfig), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


def test_a_kubectl_that_outlives_its_run_is_waited_for(
    real: dict[str, str], embedded_cluster: ClusterInfo, llmos: Llmos, stack: Write, kube: Kube, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def seen(run: str) -> list[psutil.Process]:
        found = processes_of_run(run)
        if found:
            (tmp_path / "go").touch()
        return found

    monkeypatch.setattr(held, "processes_of_run", seen)
    raw = plain_stack(embedded_cluster)
    raw["applications"]["gone"] = {**raw["applications"]["web"]}
    path = stack(raw)
    space = f"llmagentos-{path.name.split('.')[1]}"
    up = ("up", "--yes", "--engine", "kubectl", "--file", str(path))
    killed = command(*up, env={**real, "KILL_AT": "--applyset"})
    _, said = killed.communicate(timeout=PATIENCE_SECONDS)
    assert killed.returncode == -signal.SIGKILL, said

    del raw["applications"]["gone"]
    stack(raw)
    done = llmos(*up)
    assert done.returncode == 0, done.stderr
    assert f"process {killed.pid}" in done.stderr and "waiting for what it left at work" in done.stderr
    names = {item["metadata"]["name"] for item in kube.get("deployments", "-n", space)}
    assert names == {"web"}, "the late kubectl created the other one, and it was pruned"
    assert not kube.get("leases", "-n", space)


def test_runs_killed_at_any_time_are_completed(
    real: dict[str, str], embedded_cluster: ClusterInfo, llmos: Llmos, stack: Write, kube: Kube
) -> None:
    path = stack(plain_stack(embedded_cluster))
    name = path.name.split(".")[1]
    up = ("up", "--yes", "--engine", "kubectl", "--file", str(path))
    assert llmos(*up).returncode == 0
    wanted = without_random(snapshot(kube, f"llmagentos-{name}"))
    chance = random.Random(5)
    for words in (("destroy", *up[1:]), up):
        killed = command(*words, env=real)
        # Reading the program takes the first second; from then on it works on the cluster.
        with pytest.raises(subprocess.TimeoutExpired):
            killed.wait(chance.uniform(1, 3))
        killed.kill()
        killed.communicate()
        done = llmos(*up)
        assert done.returncode == 0, done.stderr
        assert without_random(snapshot(kube, f"llmagentos-{name}")) == wanted


def without_random(found: Snapshot) -> Snapshot:
    for item in found.values():
        item.pop("data", None) if item["kind"] == "Secret" else None
    return found


def test_of_two_runs_one_is_refused_and_told_how_to_go_on(
    real: dict[str, str], embedded_cluster: ClusterInfo, llmos: Llmos, stack: Write, kube: Kube
) -> None:
    path = stack(plain_stack(embedded_cluster, pod_overrides={"nodeSelector": {"nowhere": "to-be-found"}}))
    name = path.name.split(".")[1]
    up = ("up", "--yes", "--engine", "kubectl", "--file", str(path))
    first = command(*up, env=real)  # waits for a pod that may run nowhere
    lock = {"stack": name, "namespace": f"llmagentos-{name}"}
    deployed = lambda: kube.get("deployments", "-n", lock["namespace"]) != []  # noqa: E731
    assert wait_until(lambda: deployed() or first.poll() is not None, timeout_seconds=PATIENCE_SECONDS)
    assert first.poll() is None, first.communicate()[1]
    holder = holder_of(kube, **lock)
    assert holder and holder.pid == first.pid and holder.lives_here

    for words in (up, ("destroy", *up[1:])):
        done = llmos(*words)
        assert done.returncode == 2
        assert f"another run holds the stack: {holder}" in done.stderr and f"up --stack {name}" in str(holder)
        assert f"llmos unlock --stack {name}" in done.stderr
    done = llmos("unlock", "--yes", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 2 and f"end process {first.pid}" in done.stderr

    first.kill()
    first.communicate()
    stack(plain_stack(embedded_cluster))
    done = llmos(*up)
    assert done.returncode == 0, done.stderr
    assert "a run that no longer lives held the stack" in done.stderr
    done = llmos("unlock", "--yes", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0 and "no run holds it" in done.stdout


def test_the_api_server_lets_one_of_many_win_and_a_broken_lock_stops_its_run(kube: Kube) -> None:
    space = {"stack": "locks", "namespace": "locks"}
    kube.run("create", "namespace", "locks")
    try:
        with ThreadPoolExecutor(6) as threads:
            start, end = threading.Barrier(6), threading.Event()

            def contend(_: int) -> bool:
                start.wait()
                try:
                    with hold(kube, **space, command="up", progress=lambda text: None):
                        return end.wait(PATIENCE_SECONDS)
                except LlmosError:
                    return False

            running = [threads.submit(contend, number) for number in range(6)]
            assert wait_until(lambda: sum(each.done() for each in running) == 5, timeout_seconds=PATIENCE_SECONDS)
            end.set()
            assert sum(each.result() for each in running) == 1

        quick = Timing(duration_seconds=4, renew_seconds=0.5)
        with pytest.raises(LlmosError, match="lost the lock"), hold(
            kube, **space, command="up", progress=lambda text: None, timing=quick
        ) as mine:
            kube.run("annotate", "lease", "llmagentos-locks", "-n", "locks", "somebody=was-here")
            mine.kube.run("get", "namespace", "locks")
            kube.run("delete", "lease", "llmagentos-locks", "-n", "locks")
            assert mine.lost.wait(PATIENCE_SECONDS)
            mine.kube.run("get", "namespace", "locks")
        assert not kube.get("leases", "-n", "locks")
    finally:
        kube.run("delete", "namespace", "locks", "--wait=false")
