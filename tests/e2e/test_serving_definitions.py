"""What is handed to KEDA, KServe, llm-d, a gateway and Prometheus' operator, put to a real API server with their own
definitions and the CEL rules in them. Their controllers do not run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from llmos.engines.asking import ask
from llmos.engines.shapes import comparable, in_namespace
from llmos.kube import Kube, KubeObject, as_list, identity
from tests.components.serving import objects
from tests.components.test_serving_handed_on import GATEWAY, KSERVE, LLM_D
from tests.components.test_serving_scaling import SCALED, TO_ZERO
from tests.go_definitions import Definitions, wait_established

pytestmark = pytest.mark.cluster


def definitions(*, keda: str, kserve: str, pools: str, gateway: str) -> tuple[Definitions, ...]:
    return (
        Definitions(
            module="github.com/kedacore/keda/v2", version=keda, folder="config/crd/bases",
            names=["keda.sh_scaledobjects.yaml"],
        ),
        Definitions(
            module="github.com/kserve/kserve", version=kserve, folder="config/crd/full",
            names=["serving.kserve.io_inferenceservices.yaml"],
        ),
        Definitions(
            module="sigs.k8s.io/gateway-api-inference-extension", version=pools, folder="config/crd/bases",
            names=["inference.networking.k8s.io_inferencepools.yaml"],
        ),
        Definitions(
            module="sigs.k8s.io/gateway-api", version=gateway, folder="config/crd/standard",
            names=["gateway.networking.k8s.io_httproutes.yaml"],
        ),
        Definitions(
            module="github.com/prometheus-operator/prometheus-operator", version="v0.85.0",
            folder="example/prometheus-operator-crd", names=["monitoring.coreos.com_podmonitors.yaml"],
        ),
    )  # fmt: skip


# The oldest that docs/serving.md and docs/bring-your-own-cluster.md promise, and the newest that there are.
VERSIONS = {
    "oldest": definitions(keda="v2.17.0", kserve="v0.16.0", pools="v1.0.0", gateway="v1.4.0"),
    "newest": definitions(keda="v2.21.0", kserve="v0.19.0", pools="v1.5.0", gateway="v1.7.0"),
}
KINDS = ("HTTPRoute", "InferencePool", "InferenceService", "PodMonitor", "ScaledObject")
MONITORED = {"stack": {"observability": {"scrape": {"by": "pod-monitor"}}}}
VARIANTS: dict[str, dict[str, Any]] = {
    "scaled": SCALED,
    "down to zero": TO_ZERO,
    "monitored": MONITORED,
    "kserve": KSERVE,
    "kserve, scaled": {**SCALED, **KSERVE},
    "kserve, filled by a job, overridden": {
        **KSERVE, "weights": {"storage_class": "efs", "download": "job"},
        "pod_overrides": {"priorityClassName": "serving", "containers": [{"name": "server", "stdin": True}]},
    },
    "kserve, adapters": {
        **KSERVE, "weights": {"image": f"reg.example/w@sha256:{'2' * 64}"}, "adapters": {"a": {"path": "a", "rank": 8}},
    },
    "llm-d": LLM_D,
    "llm-d, scaled": {**SCALED, **LLM_D},
    "llm-d, a route without a path": {**LLM_D, "gateway": {**GATEWAY, "url": "http://chat.example"}},
    "llm-d, a gateway of the namespace": {**LLM_D, "gateway": {**GATEWAY, "parent": {"name": "inference"}}},
}  # fmt: skip
WRONG: dict[str, tuple[dict[str, Any], str, list[str | int], Any]] = {
    "a misspelt behaviour": (SCALED, "ScaledObject", ["spec", "fallback", "behavior"], "keepWhatRuns"),
    "a count in words": (SCALED, "ScaledObject", ["spec", "maxReplicaCount"], "three"),
    "a container's unknown field": (KSERVE, "InferenceService", ["spec", "predictor", "containers", 0, "gpu"], 1),
    "a pool without a port": (LLM_D, "InferencePool", ["spec", "targetPorts"], []),
    "a picker of no known mode": (LLM_D, "InferencePool", ["spec", "endpointPickerRef", "failureMode"], "FailMaybe"),
    "a time without a unit": (LLM_D, "HTTPRoute", ["spec", "rules", 0, "timeouts", "request"], "0"),
    "no pods to monitor": (MONITORED, "PodMonitor", ["spec", "selector"], None),
}  # fmt: skip


def handed_on(changes: dict[str, Any], namespace: str = "default") -> list[KubeObject]:
    return [in_namespace(item, namespace) for (kind, _), item in objects(**changes).items() if kind in KINDS]


def refused(kube: Kube, wanted: list[KubeObject]) -> str:
    done = kube.run("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=as_list(wanted), check=False)
    return "" if done.returncode == 0 else done.stderr


@pytest.fixture(scope="module")
def definitions_gone_afterwards(kube: Kube) -> Iterator[None]:
    """Other tests' clusters have none of them."""
    yield
    names = [word for each in VERSIONS["newest"] for file in each.files() for word in ("-f", str(file))]
    kube.run("delete", "--ignore-not-found", "--wait=false", *names, timeout_seconds=120)


@pytest.fixture(scope="module", params=VERSIONS)
def served(request: pytest.FixtureRequest, kube: Kube, definitions_gone_afterwards: None) -> Kube:
    """The test cluster with the definitions of these versions, the newer ones in place of the older."""
    names = [word for each in VERSIONS[request.param] for file in each.files() for word in ("-f", str(file))]
    # By the server, because they are larger than what a client notes in an annotation.
    kube.run("apply", "--server-side", *names, timeout_seconds=120)
    wait_established(kube, *names)
    return kube


def test_the_definitions_take_what_is_handed_on(served: Kube) -> None:
    found = [item for changes in VARIANTS.values() for item in handed_on(changes)]
    assert {item["kind"] for item in found} == set(KINDS)
    assert refused(served, found) == ""


@pytest.mark.parametrize("served", ["newest"], indirect=True)
def test_wrong_objects_would_be_refused(served: Kube) -> None:
    for what, (changes, kind, path, value) in WRONG.items():
        item = copy.deepcopy(next(item for item in handed_on(changes) if item["kind"] == kind))
        place: Any = item
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        said = refused(served, [item]).lower()
        words = ("invalid", "unknown field", "unsupported value", "missing required field")
        assert any(word in said for word in words), f"{what}: {said}"


def test_what_the_server_adds_is_no_difference(served: Kube) -> None:
    """Else every `up` would update them again."""
    names = {"scaled": {**SCALED, **KSERVE}, "picked": {**SCALED, **LLM_D}, "monitored": MONITORED}
    try:
        served.run("apply", "-f", "-", stdin=as_list([namespace_of(name) for name in names]))
        wanted = [item for name, changes in names.items() for item in handed_on(changes, name)]
        served.run("apply", "--server-side", "--field-manager=test", "-f", "-", stdin=as_list(wanted))
        live, again = served.live(wanted), ask(served, wanted, manager="test")
        assert not again.refused
        for key in map(identity, wanted):
            assert comparable(again.stored[key]) == comparable(live[key])
    finally:
        served.run("delete", "namespace", *names, "--ignore-not-found", timeout_seconds=120)


def namespace_of(name: str) -> KubeObject:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
