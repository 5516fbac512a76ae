"""Runs of the kubectl engine that are killed at every write: what is left, and what the next run makes of it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmos.cluster.info import ClusterInfo
from llmos.engines import apply, held, teardown
from llmos.engines.applyset import MEMBER_LABEL
from llmos.engines.base import EngineRun
from llmos.engines.holder import this_process
from llmos.kube import Kube, KubeObject
from llmos.synth import Program, Resource
from planner.faults import LlmosError
from tests.e2e.breaking_proxy import BreakingProxy, breaking_proxy
from tests.e2e.snapshots import PATIENCE_SECONDS, Snapshot, set_id, snapshot

pytestmark = pytest.mark.cluster


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
    left["metadata"]["labels"][MEMBER_LABEL] = set_id(stack.stack)
    for end in (stack.destroy, lambda: stack.up("b")):
        kube.run("create", "-f", "-", stdin=json.dumps(left))
        end()
        assert not kube.get("nodepools", stack.stack)
