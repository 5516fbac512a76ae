"""Runs of the kubectl engine that are killed, at every write and at any time, and runs that meet: what is left, and
what the next run makes of it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from llmos.cluster.info import ClusterInfo
from llmos.daemons import wait_until
from llmos.engines import apply, held, teardown
from llmos.engines.applyset import MEMBER_LABEL, ApplySet
from llmos.engines.base import EngineRun
from llmos.engines.holder import processes_of_run, this_process
from llmos.engines.lock import Timing, hold, holder_of
from llmos.engines.shapes import comparable
from llmos.kube import Kube, KubeObject, identity
from llmos.paths import PROJECT_ROOT
from llmos.synth import Program, Resource
from planner.faults import LlmosError
from tests.e2e.breaking_proxy import BreakingProxy, breaking_proxy
from tests.e2e.conftest import Llmos, Write

pytestmark = pytest.mark.cluster

PATIENCE_SECONDS = 120
KINDS = "configmaps,secrets,networkpolicies,deployments,services,leases,serviceaccounts"


@pytest.fixture(scope="module")
def proxy(embedded_cluster: ClusterInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakingProxy]:
    with breaking_proxy(embedded_cluster.kubeconfig, tmp_path_factory.mktemp("proxy")) as made:
        yield made


def one(kind: str, name: str, namespace: str, api_version: str = "v1", **fields: Any) -> KubeObject:
    labels = {"app.kubernetes.io/instance": namespace or name}
    metadata = {"name": name, "labels": labels} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def node_pool(stack: str) -> KubeObject:
    spec = {
        "template": {"spec": {
            "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": stack},
            "requirements": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}],
        }},
        "limits": {"cpu": "0"},
    }  # fmt: skip
    return one("NodePool", stack, "", "karpenter.sh/v1", spec=spec)


def objects(stack: str, variant: str) -> list[KubeObject]:
    """Two variants of a stack: one has an object outside namespaces and a Service, the other a NetworkPolicy; the
    settings differ. Its Deployment has no pods, so that nothing is waited for."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "example.org/web"}]}}
    common = [
        one("ConfigMap", "settings", stack, data={"variant": variant}),
        one("Deployment", "web", stack, "apps/v1",
            spec={"replicas": 0, "selector": {"matchLabels": labels}, "template": template}),
    ]  # fmt: skip
    if variant == "b":
        return [*common, one("NetworkPolicy", "deny", stack, "networking.k8s.io/v1", spec={"podSelector": {}})]
    service = one("Service", "web", stack, spec={"selector": labels, "ports": [{"port": 80}]})
    return [*common, node_pool(stack), service]


def program(stack: str, variant: str, *, own_namespace: bool) -> Program:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stack, "labels": {"team": "a"}}}
    resources = []
    for item in [*([space] if own_namespace else []), *objects(stack, variant)]:
        version = item["apiVersion"]
        token = f"kubernetes:{version if '/' in version else 'core/' + version}:{item['kind']}"
        resources.append(Resource(
            type=token, name=item["metadata"]["name"], urn=token, properties=item, custom=True, parent="", provider="",
            dependencies=(), options={},
        ))  # fmt: skip
    return Program(resources=tuple(resources), outputs={})


Snapshot = dict[tuple[str, ...], KubeObject]


def snapshot(kube: Kube, stack: str) -> Snapshot:
    """Everything of the stack, without what the server decides."""
    found = [item for item in kube.get(KINDS, "-n", stack) if item["metadata"]["name"] not in
             ("kube-root-ca.crt", "default")]  # fmt: skip
    found += [item for item in kube.get("nodepools") if item["metadata"]["name"] == stack]
    found += kube.get("namespace", stack)
    plain = {}
    for item in found:
        kept = comparable(item)
        # Karpenter hashes a spec that holds the stack's name.
        noted = {k: v for k, v in kept["metadata"].get("annotations", {}).items() if not k.startswith("karpenter.sh/")}
        kept["metadata"]["annotations"] = noted | {"deployment.kubernetes.io/revision": ""}
        if item["kind"] == "Service":
            for field in ("clusterIP", "clusterIPs"):
                kept["spec"].pop(field, None)
        # Names carry the stack, and two stacks are compared.
        plain[tuple(part.replace(stack, "STACK") for part in identity(item))] = yaml.safe_load(
            yaml.safe_dump(kept).replace(stack, "STACK").replace(_set_id(stack), "SET")
        )
    return plain


def _set_id(stack: str) -> str:
    return ApplySet(kube=Kube(), stack=stack, namespace=stack).id


class Runs:
    """Runs of one stack, some of which die."""

    def __init__(
        self, stack: str, embedded: ClusterInfo, proxy: BreakingProxy, patch: pytest.MonkeyPatch, own_namespace: bool
    ) -> None:
        self.stack, self._proxy, self._patch, self._own = stack, proxy, patch, own_namespace
        self.run = EngineRun(
            stack=stack, stack_file=Path(f"Pulumi.{stack}.yaml"), environment="dev", namespace=stack,
            kubeconfig=embedded.kubeconfig, kubectl=embedded.kubectl, progress=lambda text: None,
        )  # fmt: skip

    def up(self, variant: str, run: EngineRun | None = None) -> None:
        wanted = program(self.stack, variant, own_namespace=self._own)
        apply.up(run or self.run, wanted, timeout_seconds=PATIENCE_SECONDS)

    def destroy(self, run: EngineRun | None = None) -> None:
        teardown.destroy(run or self.run)

    def killed(self, work: Callable[[EngineRun], None], writes: int) -> bool:
        """Run something that dies after so many writes; returns whether it came to its end before."""
        self._proxy.allow(writes)
        with self._patch.context() as patched:
            # The next run finds the holder to be a process that is gone.
            patched.setattr(held, "this_process", lambda **given: dataclasses.replace(
                this_process(**given), process="gone"))  # fmt: skip
            try:
                work(dataclasses.replace(self.run, kubeconfig=self._proxy.kubeconfig))
            except LlmosError:
                assert self._proxy.broke
        return not self._proxy.broke


Make = Callable[..., Runs]


@pytest.fixture
def runs(
    embedded_cluster: ClusterInfo, proxy: BreakingProxy, monkeypatch: pytest.MonkeyPatch, kube: Kube
) -> Iterator[Make]:
    made: list[str] = []

    def make(stack: str, *, own_namespace: bool = True) -> Runs:
        made.append(stack)
        if not own_namespace:
            kube.run("create", "namespace", stack)
        return Runs(stack, embedded_cluster, proxy, monkeypatch, own_namespace)

    yield make
    for kind in ("nodepools", "namespace"):
        kube.run("delete", kind, *made, "--ignore-not-found", "--wait=false", timeout_seconds=PATIENCE_SECONDS)


def undisturbed(make: Make, kube: Kube, variants: str, **how: bool) -> dict[str, Snapshot]:
    """What the variants look like when nothing is killed."""
    clean, found = make(f"undisturbed-{variants}", **how), {}
    for variant in variants:
        clean.up(variant)
        found[variant] = snapshot(kube, clean.stack)
    return found


def moments(first: int) -> Iterator[int]:
    """After how many writes to kill: every fourth one, from another one in each test, or every single one."""
    return itertools.count() if os.environ.get("LLMOS_TEST_EVERY_WRITE") else itertools.count(first, 4)


def test_a_killed_first_up_leaves_nothing_that_an_up_of_another_stack_file_does_not_clear_away(
    runs: Make, kube: Kube
) -> None:
    wanted = undisturbed(runs, kube, "b")["b"]
    assert not {key for key in wanted if key[0] in ("NodePool", "Service", "Lease")} and len(wanted) == 5
    for writes in moments(1):
        stack = runs(f"first-{writes}")
        complete = stack.killed(lambda run, stack=stack: stack.up("a", run), writes)
        stack.up("b")
        assert snapshot(kube, stack.stack) == wanted, f"killed after {writes} writes"
        if complete:
            break
    assert writes > 8


def test_a_killed_change_is_completed_by_the_next_up(runs: Make, kube: Kube) -> None:
    wanted = undisturbed(runs, kube, "ab")
    stack = runs("change")
    stack.up("b")
    for variant, writes in zip(itertools.cycle("ab"), moments(2), strict=False):
        complete = stack.killed(lambda run, variant=variant: stack.up(variant, run), writes)
        stack.up(variant)
        assert snapshot(kube, stack.stack) == wanted[variant], f"killed after {writes} writes"
        if complete:
            break
    assert writes > 8


def test_a_killed_destroy_is_completed_by_the_next_one_or_undone_by_an_up(runs: Make, kube: Kube) -> None:
    wanted = undisturbed(runs, kube, "a", own_namespace=False)["a"]
    stack = runs("destroyed", own_namespace=False)
    for again, writes in zip(itertools.cycle([False, True]), moments(0), strict=False):
        stack.up("a")
        assert snapshot(kube, stack.stack) == wanted, "after a destroy that was killed"
        complete = stack.killed(stack.destroy, writes)
        if again or complete:
            stack.destroy()
            assert [key for key in snapshot(kube, stack.stack) if key[0] != "Namespace"] == [], f"{writes} writes"
        if complete:
            break
    assert writes > 6


def test_a_namespace_that_a_killed_destroy_is_deleting_is_waited_for(runs: Make, kube: Kube) -> None:
    stack = runs("leaving")
    stack.up("b")
    before = snapshot(kube, stack.stack)
    kube.run("delete", "namespace", stack.stack, "--wait=false")
    stack.up("b")
    assert snapshot(kube, stack.stack) == before
    kube.run("delete", "namespace", stack.stack, "--wait=false")
    stack.destroy()
    assert snapshot(kube, stack.stack) == {}


def test_what_outlives_a_namespace_that_was_deleted_by_hand_is_found(runs: Make, kube: Kube) -> None:
    stack = runs("by-hand")
    left = node_pool(stack.stack)
    left["metadata"]["labels"][MEMBER_LABEL] = _set_id(stack.stack)
    for end in (stack.destroy, lambda: stack.up("b")):
        kube.run("create", "-f", "-", stdin=json.dumps(left))
        end()
        assert not kube.get("nodepools", stack.stack)


# --- the real command, as a process of its own ---


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
