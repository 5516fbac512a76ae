"""How far a pod is on its way to serving, as `status` shows it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.cli import run
from llmos.engines import stages
from llmos.engines.stages import Stages
from llmos.events import event_lines, newest_last, plain_reason, refused_node
from llmos.images import trial
from llmos.loading import STAGES, progress_of, unready
from tests.llmos.fake_kubectl import FakeKubectl, pod

NOW = dt.datetime(2026, 11, 25, 12, 10, 0, tzinfo=dt.UTC)
MADE, STARTED = "2026-11-25T12:00:00Z", "2026-11-25T12:07:55Z"
# A start-up of the model server, line by line, with the stage and detail that each line means.
LOG = [
    ("INFO 11-25 12:07:58 [api_server.py:1200] vLLM API server version 0.28.0", "starting", ""),
    ("INFO 11-25 12:08:05 [model_runner.py:295] Starting to load model Qwen/Qwen3-8B...", "downloading weights", ""),
    ("INFO 11-25 12:08:40 [weight_utils.py:581] Time spent downloading weights for Qwen/Qwen3-8B: 34.9 seconds",
     "loading weights", ""),
    ("(EngineCore pid=41) \rLoading safetensors checkpoint shards:   0% Completed | 0/5 [00:00<?, ?it/s]\r"
     "Loading safetensors checkpoint shards:  60% Completed | 3/5 [00:06<00:04,  2.10s/it]",
     "loading weights", "3 of 5 parts"),
    ("INFO 11-25 12:08:52 [default_loader.py:397] Loading weights took 10.93 seconds", "compiling", ""),
    ("INFO 11-25 12:08:53 [gpu_model_runner.py:4879] Model loading took 15.27 GiB memory and 12.1 seconds",
     "compiling", ""),
    ("INFO 11-25 12:09:02 [backends.py:1148] Dynamo bytecode transform time: 8.52 s", "compiling", ""),
    ("INFO 11-25 12:09:20 [backends.py:393] Compiling a graph for compile range (1, 8192) takes 15.65 s",
     "compiling", ""),
    ("INFO 11-25 12:09:21 [monitor.py:48] torch.compile took 24.17 s in total", "warming up", ""),
    ("INFO 11-25 12:09:25 [kv_cache_utils.py:829] GPU KV cache size: 31,744 tokens", "warming up", "KV cache reserved"),
    ("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  57%|█████▋    | 29/51 [00:04<00:03,  6.9it/s]",
     "warming up", "CUDA graphs 57 %"),
    ("INFO 11-25 12:09:40 [gpu_model_runner.py:5993] Graph capturing finished in 14 secs, took 0.73 GiB",
     "warming up", "CUDA graphs done"),
    ("INFO 11-25 12:09:41 [api_server.py:1971] Starting vLLM API server 0 on http://0.0.0.0:8000", "answering", ""),
]  # fmt: skip
PROBE = {"httpGet": {"path": "/v1/models", "port": "http"}, "periodSeconds": 10, "failureThreshold": 120}


def server(**status: Any) -> dict[str, Any]:
    """A model server's pod that was made ten minutes ago."""
    made = pod("chat-1", workload="chat")
    made["metadata"]["creationTimestamp"] = MADE
    made["spec"]["containers"] = [{"name": "server", "startupProbe": PROBE}]
    made["status"] = {"phase": "Pending", **status}
    return made


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "server", "state": state, "restartCount": 0, **more}


RUNNING = container({"running": {"startedAt": STARTED}})


def event(reason: str, message: str = "", *, at: str = STARTED, of: str = "chat-1") -> dict[str, Any]:
    return {"reason": reason, "message": message, "lastTimestamp": at, "involvedObject": {"kind": "Pod", "name": of}}


@pytest.mark.parametrize("lines", range(1, len(LOG) + 1), ids=lambda lines: LOG[lines - 1][0][-40:])
def test_the_log_says_how_far_loading_is(lines: int) -> None:
    log = "\n".join(line for line, _, _ in LOG[:lines]) + "\nINFO something that says nothing\n"
    progress = progress_of(server(containerStatuses=[RUNNING]), log=log, now=NOW)
    assert (progress.stage, progress.detail) == LOG[lines - 1][1:]
    assert progress.elapsed_seconds == 125 and progress.limit_seconds == 1200


def test_the_stages_come_in_their_order() -> None:
    ranks = [STAGES.index(stage) for _, stage, _ in LOG]
    assert ranks == sorted(ranks)


def test_what_an_init_container_has_fetched_is_not_downloaded_again() -> None:
    made = server(containerStatuses=[RUNNING])
    made["spec"]["initContainers"] = [{"name": "weights-fetch"}]
    assert progress_of(made, log=LOG[1][0], now=NOW).stage == "loading weights"


def test_a_line_for_people() -> None:
    text = str(progress_of(server(containerStatuses=[RUNNING]), log=LOG[3][0], now=NOW))
    assert text == "loading weights (3 of 5 parts), 2 min 05 s of at most 20 min 00 s"
    again = container({"running": {"startedAt": STARTED}}, restartCount=1)
    assert str(progress_of(server(containerStatuses=[again]), now=NOW)).endswith("20 min 00 s, restarted once")
    ready = server(conditions=[{"type": "Ready", "status": "True"}], containerStatuses=[RUNNING])
    assert str(progress_of(ready, now=NOW)) == "ready"


def test_before_the_container_runs() -> None:
    unbound = server(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: no GPU"}])
    del unbound["spec"]["nodeName"]
    assert str(progress_of(unbound, now=NOW)) == "waiting for a node (0/3 nodes: no GPU), 10 min 00 s"
    nominated = [event("Nominated", "Pod should schedule on: nodeclaim/gpu-x1"), event("Nominated", of="other")]
    assert progress_of(unbound, events=nominated, now=NOW).detail == "one is being made"

    made = server(containerStatuses=[container({"waiting": {"reason": "ContainerCreating"}})])
    pulling = event("Pulling", 'Pulling image "docker.io/vllm/vllm-openai@sha256:00"', at="2026-11-25T12:01:00Z")
    assert str(progress_of(made, events=[pulling], now=NOW)) == (
        "pulling the image (docker.io/vllm/vllm-openai), 10 min 00 s"
    )
    pulled = event("Pulled", at="2026-11-25T12:03:00Z")
    assert progress_of(made, events=[pulling, pulled], now=NOW).stage == "starting"
    loads = {"name": "download-weights", "state": {"running": {"startedAt": STARTED}}, "restartCount": 0}
    waits = container({"waiting": {"reason": "PodInitializing"}})
    initialising = server(initContainerStatuses=[loads], containerStatuses=[waits])
    progress = progress_of(initialising, events=[pulling, pulled], now=NOW)
    assert (progress.stage, progress.detail) == ("downloading weights", "container download-weights")


def test_events_are_told_once_and_plainly() -> None:
    long = "0/5 nodes are available: 2 had a taint, 3 didn't match. no new claims to deallocate, preemption: 0/5 nodes."
    assert plain_reason(long) == "0/5 nodes are available: 2 had a taint, 3 didn't match"
    assert plain_reason("Back-off\n  pulling image") == "Back-off pulling image"
    many = [event("Failed", f"try {n}", at=f"2026-11-25T12:00:0{n}.123456Z") | {"type": "Warning"} for n in range(5)]
    lines = event_lines(newest_last([many[3], *many[:3], many[4]]), unready={"chat-1"})
    assert lines == ["Last warnings:", "  2026-11-25 12:00:04 UTC Failed Pod/chat-1: try 4"]
    service = {"involvedObject": {"kind": "Service", "name": "web"}, "type": "Warning", "reason": "SyncFailed",
               "message": "no address", "lastTimestamp": MADE}  # fmt: skip
    assert "SyncFailed Service/web: no address" in event_lines([service, *many], unready=())[1]
    assert event_lines([], unready=()) == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (container({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}),
         "failing (ImagePullBackOff: Back-off pulling image)"),
        (container({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}, restartCount=3,
                   lastState={"terminated": {"exitCode": 1, "reason": "Error", "message": "CUDA out of memory"}}),
         "failing (CrashLoopBackOff: server ended with 1 (Error): CUDA out of memory)"),
        (container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "hub" not found'}}),
         'failing (CreateContainerConfigError: secret "hub" not found)'),
    ],
)  # fmt: skip
def test_what_cannot_start_says_why(state: dict[str, Any], words: str) -> None:
    assert str(progress_of(server(containerStatuses=[state]), now=NOW)).startswith(words)


def test_only_pods_that_will_serve_are_listed(tmp_path: Path) -> None:
    cluster = FakeKubectl(tmp_path / "cluster")
    cluster.log("chat-1", LOG[3][0])
    ready = server(conditions=[{"type": "Ready", "status": "True"}])
    ready["metadata"]["name"] = "chat-2"
    ended = server(phase="Succeeded")
    ended["metadata"]["name"] = "chat-3"
    leaving = server(containerStatuses=[RUNNING])
    leaving["metadata"] |= {"name": "chat-4", "deletionTimestamp": MADE}
    found = unready(cluster.kube, [server(containerStatuses=[RUNNING]), ready, ended, leaving], [], now=NOW)
    assert {name: progress.stage for name, progress in found.items()} == {"chat-1": "loading weights"}
    cluster.refuse("chat-1", "Internal error occurred: Authorization error")
    found = unready(cluster.kube, [server(containerStatuses=[RUNNING])], [], now=NOW)
    assert found["chat-1"].stage == "starting", "without a log the start-up probe still tells the time"


def test_status_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = FakeKubectl(tmp_path / "cluster")
    path = tmp_path / "Pulumi.t.yaml"
    raw = {"target": "local", "namespace": {"name": "space"},
           "applications": {"web": {"image": {"ref": "example.com/web@sha256:" + "1" * 64}}}}  # fmt: skip
    path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": raw}}), encoding="utf-8")
    monkeypatch.setattr("llmos.session.reach", lambda **_: cluster.info)
    monkeypatch.setattr(trial, "running", lambda stack: {})
    deployment = {"metadata": {"name": "chat"}, "spec": {"replicas": 1}, "status": {}}
    cluster.answer("deployments", [deployment])
    cluster.answer("pods", [server(containerStatuses=[RUNNING])])
    scheduling = event("FailedScheduling", "0/3 nodes are available: no GPU. preemption: 0/3 nodes", at=MADE)
    cluster.answer("events", [event("Pulled"), scheduling | {"type": "Warning"}])
    cluster.log("chat-1", LOG[6][0])
    assert run(["status", "--file", str(path), "--engine", "kubectl"]) == 0
    said = capsys.readouterr().out
    assert "Network policies: not enforced on simulated nodes\n" in said
    assert "Not ready yet:\n  chat-1: compiling, " in said and "of at most 20 min 00 s" in said
    assert said.splitlines()[-2:] == [
        "Last warnings:", "  2026-11-25 12:00:00 UTC FailedScheduling Pod/chat-1: 0/3 nodes are available: no GPU",
    ]

    ready = server(conditions=[{"type": "Ready", "status": "True"}], containerStatuses=[RUNNING])
    cluster.answer("pods", [ready])
    assert run(["status", "--file", str(path), "--engine", "kubectl"]) == 0
    said = capsys.readouterr().out
    assert "Not ready yet" not in said and "FailedScheduling" not in said, "a warning about a pod that serves is over"
    assert said.endswith("Last events:\n  2026-11-25 12:07:55 UTC Pulled Pod/chat-1: \n")


def test_why_no_node_is_made_is_said_beside_why_none_fits() -> None:
    full = event("FailedScheduling", "0/3 nodes are available: no GPU", at=STARTED) | {"type": "Warning"}
    karpenter = {"type": "Warning", "reportingComponent": "karpenter"}
    earlier = event("FailedScheduling", "no capacity", at=MADE) | karpenter
    limit = event("FailedScheduling", "all exceed limits for nodepool (NodePool=gpu)", at=STARTED) | karpenter
    of_another = event("FailedScheduling", "another reason", at=STARTED, of="chat-2") | karpenter
    events = [limit, earlier, full, of_another]
    assert refused_node(events, "chat-1") == "all exceed limits for nodepool (NodePool=gpu)"
    assert refused_node([full], "chat-1") == ""
    foreign = event("FailedScheduling", "did not tolerate taint (taint=nvidia.com/gpu=true:NoSchedule)") | karpenter
    assert refused_node([foreign], "chat-1") == "", "its nodes are not for this pod"
    both = f"{foreign['message']}; {limit['message']}"
    assert refused_node([{**limit, "message": both}], "chat-1") == both, "one pool of another model, one of its own"
    lines = event_lines(newest_last(events), unready=["chat-1"])
    assert len(lines) == 3 and any("no GPU" in line for line in lines) and any("limits" in line for line in lines)
    unbound = server()
    del unbound["spec"]["nodeName"]
    waiting = progress_of(unbound, events=events, now=NOW)
    assert (waiting.stage, waiting.detail) == ("waiting for a node", refused_node(events, "chat-1"))
    made = progress_of(unbound, events=[*events, event("Nominated")], now=NOW)
    assert made.detail == "one is being made"


def test_who_waits_is_told_each_stage_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, said = FakeKubectl(tmp_path / "cluster"), []
    cluster.answer("pods", [server(containerStatuses=[RUNNING])])
    patient = Stages(cluster.kube, namespace="space", stack="t", progress=said.append)
    patient.tell()
    assert not said and not cluster.calls("get"), "most pods are ready before the first question is due"

    monkeypatch.setattr(stages, "_PAUSE_SECONDS", 0)
    told = Stages(cluster.kube, namespace="space", stack="t", progress=said.append)
    for lines in (1, 2, 4, 4, 5):
        cluster.log("chat-1", "\n".join(line for line, _, _ in LOG[:lines]))
        told.tell()
    assert [line.split(",")[0] for line in said] == [
        "  chat-1: downloading weights", "  chat-1: loading weights (3 of 5 parts)", "  chat-1: compiling",
    ]
