"""Reading the API server's refusals: owners of fields, immutable fields, counts that pass from an autoscaler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmos.engines import counts
from llmos.engines.asking import immutable_fields, raise_refused, refusal
from llmos.engines.conflicts import Conflict, conflicts
from llmos.kube import Kube
from planner.faults import EnvironmentFault, UserFault

# Words of kube-apiserver 1.34 by way of kubectl.
ONE = 'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas\nPlease review'
SCALED = 'conflict with "kube-controller-manager" with subresource "scale" using apps/v1: .spec.replicas'
SEVERAL = """error: Apply failed with 3 conflicts: conflicts with "other" using apps/v1:
- .spec.minReadySeconds
- .spec.template.spec.containers[name="application"].image
conflicts with "kube-controller-manager" with subresource "scale" using apps/v1:
- .spec.replicas
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:"""
SELECTOR = (
    'The Deployment "web" is invalid: spec.selector: Invalid value: '
    '{"matchLabels":{"app":"y"}}: field is immutable'
)
CLAIM = """The PersistentVolumeClaim "w" is invalid: spec: Forbidden: spec is immutable after creation except \
resources.requests and volumeAttributesClassName for bound claims
@@ -10,7 +10,7 @@
- "StorageClassName": "a",
+ "StorageClassName": "b","""


def test_every_owner_and_field_is_read() -> None:
    assert conflicts(ONE) == (Conflict(owner="kubectl-edit", subresource="", fields=(".spec.replicas",)),)
    assert [(one.owner, one.subresource, one.fields) for one in conflicts(SEVERAL)] == [
        ("other", "", (".spec.minReadySeconds", '.spec.template.spec.containers[name="application"].image')),
        ("kube-controller-manager", "scale", (".spec.replicas",)),
    ]
    assert conflicts("exceeded quota") == ()


def test_a_conflict_is_told_by_object_owner_and_field() -> None:
    error = refusal(("Deployment", "assistant", "chat"), SEVERAL)
    (fault,) = error.faults
    assert isinstance(error, UserFault) and fault.where == "Deployment/assistant/chat"
    assert "other set .spec.minReadySeconds" in fault.what
    assert "an autoscaler, kube-controller-manager (through `scale`), set .spec.replicas" in fault.what
    assert "replicas: {min" in fault.nearest and "--force-conflicts" in fault.fix
    assert "somebody by hand, with kubectl-edit, set" in str(refusal(("Deployment", "a", "b"), ONE))


def test_an_engines_own_managers_are_nobody_else() -> None:
    mixed = SEVERAL.replace('"other"', '"pulumi-kubernetes"')
    (fault,) = refusal(("Deployment", "a", "web"), mixed, own="pulumi-kubernetes").faults
    assert "kube-controller-manager" in fault.what and "pulumi" not in fault.what
    assert counts.is_only_a_count(mixed, own="pulumi-kubernetes") and not counts.is_only_a_count(mixed)


def test_all_refusals_are_told_together() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        raise_refused({("Service", "n", "s"): "Error: spec.ports: Required value", ("Deployment", "n", "d"): ONE})
    assert [fault.where for fault in caught.value.faults] == ["Deployment/n/d", "Service/n/s"]
    assert "spec.ports: Required value" in caught.value.faults[1].what
    raise_refused({})


def test_fields_that_cannot_be_changed_in_place() -> None:
    live: dict[str, Any] = {"spec": {"selector": {"matchLabels": {"app": "x"}}, "storageClassName": "a"}}
    wanted: dict[str, Any] = {"spec": {"selector": {"matchLabels": {"app": "y"}}, "storageClassName": "b"}}
    assert immutable_fields(SELECTOR, live=live, wanted=wanted) == ("spec.selector",)
    claim = {"spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "a", "volumeMode": "Filesystem"}}
    other = {"spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "b"}}
    assert immutable_fields(CLAIM, live=claim, wanted=other) == ("spec.storageClassName",)
    assert immutable_fields(ONE, live=live, wanted=wanted) == ()


def test_only_an_autoscalers_count_is_a_count_that_passes() -> None:
    assert counts.is_only_a_count(SCALED)
    for said in (ONE, SEVERAL, "exceeded quota", SCALED.replace(".spec.replicas", ".spec.paused")):
        assert not counts.is_only_a_count(said)


class Cluster(Kube):
    """One Deployment whose count an autoscaler wrote, and the autoscalers on it."""

    def __init__(self, *autoscalers: dict[str, Any], manager: str = "kube-controller-manager") -> None:
        super().__init__(kubectl=Path("kubectl"))
        fields = [{"manager": "llmagentos", "fieldsV1": {"f:spec": {"f:paused": {}}}},
                  {"manager": manager, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]  # fmt: skip
        deployment = {"kind": "Deployment", "metadata": {"name": "d", "namespace": "n", "managedFields": fields}}
        self.__dict__["found"] = {"deployments": [deployment], "horizontalpodautoscalers": list(autoscalers)}
        self.__dict__["done"] = []

    def get(self, *arguments: str) -> list[dict[str, Any]]:
        return self.__dict__["found"][arguments[0]]

    def run(self, *arguments: str, **more: Any) -> Any:
        self.__dict__["done"].append(arguments)


def autoscaler(*, stack: str, owner: str = "") -> dict[str, Any]:
    owners = [{"kind": "ScaledObject", "name": owner}] if owner else []
    return {
        "metadata": {"name": "h", "labels": {"app.kubernetes.io/instance": stack}, "ownerReferences": owners},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}},
    }


@pytest.mark.parametrize(
    ("cluster", "fixed", "gone"),
    [
        (Cluster(autoscaler(stack="dev")), True, [("HorizontalPodAutoscaler", "h")]),
        (Cluster(autoscaler(stack="dev", owner="s")), True, [("ScaledObject", "s")]),
        (Cluster(), True, []),
        (Cluster(autoscaler(stack="another")), True, None),
        (Cluster(autoscaler(stack="dev")), False, None),
        (Cluster(manager="kubectl"), True, None),
    ],
    ids=["own", "KEDA's", "gone already", "somebody else's", "still autoscaled", "set by a person"],
)
def test_a_count_passes_only_from_the_stacks_own_autoscaler(
    cluster: Cluster, fixed: bool, gone: list[tuple[str, str]] | None
) -> None:
    wanted = [("Deployment", "n", "d")] if fixed else []
    found = counts.claims(cluster, namespace="n", stack="dev", fixed=wanted)
    assert [list(claim.autoscalers) for claim in found] == ([] if gone is None else [gone])
    counts.release(cluster, found)
    deleted = [(call[1], call[2]) for call in cluster.__dict__["done"] if call[0] == "delete"]
    assert deleted == [(kind.lower(), name) for kind, name in gone or []]
    patches = [json.loads(call[-1]) for call in cluster.__dict__["done"] if call[0] == "patch"]
    assert [patch[-1] for patch in patches] == [{"op": "remove", "path": "/metadata/managedFields/1"}] * len(found)
