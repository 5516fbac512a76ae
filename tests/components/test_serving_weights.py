"""Where weights are kept: volumes of nodes, replicas and stacks, claims, images."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.faults import UserFault
from tests.components.serving import IMAGE, PIN, SHARED, env, jobs, model_pod, mounts, objects, served, server, volume
from tests.support import by_name

# Where weights are kept


def test_the_four_places_of_weights() -> None:
    assert volume(model_pod())["emptyDir"] == {"sizeLimit": "22Gi"}
    assert volume(model_pod(weights={"size": "80Gi"}))["emptyDir"] == {"sizeLimit": "80Gi"}
    assert volume(model_pod(weights=SHARED))["persistentVolumeClaim"] == {"claimName": "chat-weights"}
    own = volume(model_pod(weights={"volume": "replica", "storage_class": "gp3"}))["ephemeral"]["volumeClaimTemplate"]
    assert own["spec"]["accessModes"] == ["ReadWriteOnce"] and own["spec"]["storageClassName"] == "gp3"
    made = objects(weights={"claim": {"name": "models"}})
    assert not [kind for kind, _ in made if kind == "PersistentVolumeClaim"], "an existing claim is not made"
    assert volume(made["Deployment", "chat"]["spec"]["template"]["spec"])["persistentVolumeClaim"] == {
        "claimName": "models"
    }


def test_a_replicas_own_volume_takes_the_default_class_when_none_is_named() -> None:
    template = volume(model_pod(weights={"volume": "replica"}))["ephemeral"]["volumeClaimTemplate"]
    assert "storageClassName" not in template["spec"]


def test_a_claim_for_one_pod_is_given_up_before_it_is_taken() -> None:
    claim = {"claim": {"name": "disk", "access": "ReadWriteOnce"}}
    deployment = objects(weights=claim, replicas=1, stack={"gpu_pool": {
        "kind": "existing", "selector": {"gpu": "l4"}, "max_gpus": 4,
    }})["Deployment", "chat"]  # fmt: skip
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    with pytest.raises(UserFault, match="which one pod can use"):
        by_name_of(served(weights=claim, replicas=2))


def by_name_of(raw: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """The objects, after the checks that the command line makes."""
    from planner.plan import make_plan
    from planner.settings import parse

    make_plan(parse(raw, where="f"), stack="dev")
    return by_name(raw)


_CLASSES = st.sampled_from([None, "efs", "gp3"])
_CLAIMS = st.none() | st.fixed_dictionaries(
    {"name": st.just("disk")}, optional={"access": st.sampled_from(["ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce"])}
)
_WEIGHTS = st.fixed_dictionaries({}, optional={
    "volume": st.sampled_from(["node", "replica", "shared"]), "storage_class": _CLASSES, "claim": _CLAIMS,
    "size": st.just("50Gi"), "path": st.sampled_from([None, "models/qwen"]), "image": st.sampled_from([None, IMAGE]),
    "download": st.sampled_from(["server", "init", "job"]), "sha256": st.sampled_from([{}, PIN]),
})  # fmt: skip
_REPLICAS = st.one_of(
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda pair: {"min": min(pair), "max": max(pair)}),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(weights=_WEIGHTS, replicas=_REPLICAS, autoscaling=st.sampled_from(["fixed", "keda"]), spare=st.integers(0, 2))
def test_no_settings_let_two_pods_want_a_volume_of_one(
    weights: dict[str, Any], replicas: Any, autoscaling: str, spare: int
) -> None:
    most = replicas if isinstance(replicas, int) else replicas["max"]
    raw = served(weights=weights, replicas=replicas, autoscaling=autoscaling, stack={
        "observability": {"prometheus_url": "http://prometheus.monitoring:9090"},
        "gpu_pool": {"kind": "existing", "selector": {"gpu": "l4"}, "max_gpus": most + spare},
    })  # fmt: skip
    try:
        made = by_name_of(raw)
    except UserFault:
        return
    spec = made["Deployment", "chat"]["spec"]
    scaled = made.get(("ScaledObject", "chat"), {"spec": {"maxReplicaCount": 0}})["spec"]["maxReplicaCount"]
    surge = spec["strategy"].get("rollingUpdate", {}).get("maxSurge", 0)
    pods = max(spec["replicas"], scaled) + surge
    access = (weights.get("claim") or {}).get("access", "ReadWriteMany")
    own = made.get(("PersistentVolumeClaim", "chat-weights"))
    modes = own["spec"]["accessModes"] if own else [access]
    users = [spec["template"]["spec"], *(job["spec"]["template"]["spec"] for job in jobs(made))]
    mounted = [pod for pod in users if "persistentVolumeClaim" in volume(pod)]
    if mounted and modes == ["ReadWriteOnce"]:
        assert len(mounted) == 1 and pods == 1 and spec["strategy"]["type"] == "Recreate"
    for pod in users:
        names = {item["name"] for item in pod["volumes"]}
        containers = [*pod["containers"], *pod.get("initContainers", [])]
        assert names == {mount["name"] for container in containers for mount in container["volumeMounts"]}


# Images


def test_weights_from_an_image_need_no_network() -> None:
    made = objects(weights={"image": IMAGE, "path": "models/qwen"})
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    assert volume(pod)["image"] == {"reference": IMAGE, "pullPolicy": "IfNotPresent"}
    (main,) = pod["containers"]
    assert "--model=/weights/models/qwen" in main["args"] and mounts(main)["weights"]["readOnly"] is True
    assert env(main)["HF_HUB_OFFLINE"] == "1"
    assert made["NetworkPolicy", "chat"]["spec"]["egress"] == []
    assert "--model=/weights" in server(weights={"image": IMAGE})["args"]


def test_an_image_of_the_stacks_registry_is_pulled_with_its_secret() -> None:
    stack = {"registry": {"server": "reg.example", "pull_secret": "regcred"}}
    assert model_pod(weights={"image": IMAGE}, stack=stack)["imagePullSecrets"] == [{"name": "regcred"}]
    assert "imagePullSecrets" not in model_pod(stack=stack)


def test_a_filled_claim_is_only_read() -> None:
    made = objects(weights={"claim": {"name": "models", "access": "ReadOnlyMany"}, "path": "qwen"})
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    assert volume(pod)["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    assert "--model=/weights/qwen" in pod["containers"][0]["args"]
    assert made["NetworkPolicy", "chat"]["spec"]["egress"] == []
