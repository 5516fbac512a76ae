"""The kubectl engine's pure parts: choice of engine, comparison of objects, reasons of stuck pods, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmos.engines import choose, pulumi_cli
from llmos.engines.applyset import raise_refusal
from llmos.engines.rollout import Stuck, _fault, _pod_reasons, is_available, stuck_reasons
from llmos.engines.shapes import comparable, has_unknown, keep_ignored, masked, stand_in
from llmos.objects import kubernetes_objects
from llmos.synth import UNKNOWN
from planner.faults import EnvironmentFault, UserFault
from tests.llmos.fake_kubectl import FakeKubectl
from tests.support import stack_file, synthesised


@pytest.mark.parametrize(
    ("wanted", "owner", "found", "installable", "engine"),
    [
        ("kubectl", "pulumi", True, True, "kubectl"),
        ("auto", "kubectl", True, True, "kubectl"),
        ("auto", "pulumi", False, False, "pulumi"),
        ("auto", "", True, False, "pulumi"),
        ("auto", "", False, True, "pulumi"),
        ("auto", "", False, False, "kubectl"),
    ],
)
def test_the_engine_and_its_reason(
    wanted: str, owner: str, found: bool, installable: bool, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi_cli, "find", lambda: Path("/opt/pulumi") if found else None)
    monkeypatch.setattr(pulumi_cli, "can_install", lambda: installable)
    choice = choose(wanted, owner=owner)
    assert choice.name == engine and choice.why


def test_an_obstacle_is_asked_for_only_where_pulumi_would_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli, "find", lambda: Path("/opt/pulumi"))
    choice = choose("auto", obstacle=lambda: "buildx is missing")
    assert choice.name == "kubectl" and "buildx is missing" in choice.why
    assert choose("pulumi", obstacle=lambda: "buildx is missing").name == "pulumi"
    assert choose("auto", owner="pulumi", obstacle=lambda: "buildx is missing").name == "pulumi"


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec,
        "metadata": {"name": "a", "namespace": "n", "labels": {}},
    }  # fmt: skip


def test_the_servers_own_fields_are_no_difference() -> None:
    live = deployment(replicas=1)
    live["metadata"] |= {"resourceVersion": "5", "managedFields": [], "generation": 2, "uid": "u"}
    live["metadata"]["labels"] = {"applyset.kubernetes.io/part-of": "x"}
    live["status"] = {"replicas": 1}
    assert comparable(live) == comparable(deployment(replicas=1))
    assert comparable(live) != comparable(deployment(replicas=2))


def test_what_others_own_keeps_its_live_value() -> None:
    live = {("Deployment", "n", "a"): deployment(replicas=7, paused=True)}
    kept = keep_ignored(deployment(replicas=3), live, ["spec.replicas"])
    assert kept["spec"] == {"replicas": 7}
    assert keep_ignored(deployment(replicas=3), {}, ["spec.replicas"])["spec"] == {"replicas": 3}


def test_a_stand_in_is_recognisable_and_only_where_a_value_is_unknown() -> None:
    value = {"image": UNKNOWN, "args": ["a"]}
    assert has_unknown(value) and not has_unknown(stand_in(value))
    assert stand_in(value) == {"image": "not-built-yet@sha256:" + "0" * 64, "args": ["a"]}


def test_values_of_secrets_are_masked_in_a_diff() -> None:
    secret = {"kind": "Secret", "data": {"keys": "dmFsdWU="}, "metadata": {"name": "s"}}
    assert "dmFsdWU=" not in str(masked(secret))


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": status}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}}]},
         "ImagePullBackOff: no such host"),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}},
                                 "lastState": {"terminated": {"message": "API_KEYS: no key"}}}]},
         "CrashLoopBackOff: API_KEYS: no key"),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                          "message": "0/3 nodes"}]},
         "Unschedulable: 0/3 nodes"),
        ({"phase": "Running", "containerStatuses": [{"ready": False, "state": {"running": {}}}]}, "NotReady"),
        ({"initContainerStatuses": [{"ready": False, "state": {"terminated": {
            "exitCode": 2, "reason": "Error", "message": "failed: no room on the volume"}}}],
          "containerStatuses": [{"ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}]},
         "Error: failed: no room on the volume"),
        ({"initContainerStatuses": [{"ready": False, "state": {"running": {}}, "lastState": {"terminated": {
            "exitCode": 2, "reason": "Error", "message": "failed: no room on the volume"}}}]},
         "Error: failed: no room on the volume"),
    ],
)  # fmt: skip
def test_a_stuck_pod_is_asked_for_its_reason(status: dict[str, Any], reason: str) -> None:
    (found,) = _pod_reasons(pod(**status))
    assert reason in str(found)


def test_a_registry_that_is_away_is_named_although_the_runtime_says_it_last() -> None:
    image = f"127.0.0.1:5000/app@sha256:{'1' * 64}"
    said = (
        f'Back-off pulling image "{image}": ErrImagePull: failed to pull and unpack image "{image}": failed to resolve '
        f'reference "{image}": failed to do request: Head "https://127.0.0.1:5000/v2/app/manifests/sha256:{"1" * 64}": '
        "dial tcp 127.0.0.1:5000: connect: connection refused"
    )
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": said}}
    (found,) = _pod_reasons(pod(containerStatuses=[{"ready": False, "state": waiting}]))
    assert str(found).endswith("dial tcp 127.0.0.1:5000: connect: connection refused") and len(str(found)) < 340
    deployment = {"metadata": {"name": found.subject}, "spec": {"replicas": 3}, "status": {"availableReplicas": 3}}
    fault = _fault(deployment, [found], "here")
    assert "make the registry 127.0.0.1:5000 answer and repeat `up`" in fault.fix
    other = _fault(deployment, [Stuck(subject=found.subject, reason="OOMKilled", message="")], "here")
    assert other.fix.startswith("mend the reason and repeat `up`")


def test_a_server_that_waits_for_a_job_gives_the_reason_of_the_job(tmp_path: Path) -> None:
    kubectl = FakeKubectl(tmp_path / "bin")
    labels = {"app.kubernetes.io/name": "chat", "app.kubernetes.io/instance": "dev"}
    deployment = {"metadata": {"name": "chat"}, "spec": {"selector": {"matchLabels": labels}}}
    server = pod(initContainerStatuses=[{"name": "weights-wait", "ready": False, "state": {"running": {}}}])
    full = {"exitCode": 2, "reason": "Error", "message": "failed: no room on the volume"}
    fetcher = pod(phase="Running", containerStatuses=[{"ready": False, "state": {"terminated": full}}])
    done = pod(phase="Succeeded", containerStatuses=[{"ready": False, "state": {"terminated": {"exitCode": 0}}}])
    why = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}
    job = {"metadata": {"name": "chat-fetch-1"}, "status": {"conditions": [why]}}
    for item, name in ((server, "chat-a"), (fetcher, "chat-fetch-1-b"), (done, "chat-fetch-0-c")):
        item["metadata"]["name"] = name
    kubectl.answer("pods", [server], [fetcher, done])
    kubectl.answer("jobs", [job])
    said = {str(one) for one in stuck_reasons(kubectl.kube, namespace="here", deployments=[deployment])}
    assert said == {
        "chat-fetch-1-b: Error: failed: no room on the volume", "chat-fetch-1: BackoffLimitExceeded: too often"
    }


def test_a_pod_that_is_going_gives_no_reason() -> None:
    going = pod(containerStatuses=[{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}])
    going["metadata"]["deletionTimestamp"] = "now"
    assert _pod_reasons(going) == []


@pytest.mark.parametrize(("field", "value"), [("updatedReplicas", 1), ("availableReplicas", 1), ("replicas", 3),
                                               ("observedGeneration", 1)])  # fmt: skip
def test_available_means_the_newest_version_and_nothing_else(field: str, value: int) -> None:
    status = {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}
    item = {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}
    assert is_available(item)
    assert not is_available({**item, "status": {**status, field: value}})


def test_a_conflict_names_its_owner() -> None:
    said = 'error: Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas\n'
    with pytest.raises(UserFault, match=r"by hand, with kubectl-edit, set \.spec\.replicas"):
        raise_refusal(said)
    with pytest.raises(EnvironmentFault, match="quota"):
        raise_refusal("Error from server (Forbidden): exceeded quota\n")


def test_both_engines_are_given_the_same_objects() -> None:
    program = synthesised(stack_file("dev"))
    ours, theirs = (kubernetes_objects(program, engine=name) for name in ("kubectl", "pulumi"))
    for item in (*ours, *theirs):
        item["metadata"]["labels"].pop("llmagentos.dev/engine", None)
    assert ours == theirs
