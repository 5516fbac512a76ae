"""`logs`: every pod of a workload with its prefix, what has none, and following across restarts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos import logs as logs_module
from llmos.cli import run
from llmos.commands import logs as command
from llmos.failures import reported
from llmos.images import trial
from llmos.kube import Kube
from llmos.logs import LogOptions, Source, follow
from tests.llmos.fake_kubectl import FakeKubectl, pod

Call = Callable[..., int]
RAW = {
    "target": "local", "namespace": {"name": "space"},
    "applications": {"web": {"image": {"ref": "example.com/web@sha256:" + "1" * 64}}},
    "models": {"tiny": {"source": "builtin:tiny", "engine": "llama.cpp"}},
}


@pytest.fixture
def cluster(tmp_path: Path) -> FakeKubectl:
    return FakeKubectl(tmp_path / "cluster")


@pytest.fixture
def call(cluster: FakeKubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """``logs`` on a stack whose embedded cluster is the stand-in, on simulated nodes unless a test says otherwise."""
    path = tmp_path / "Pulumi.t.yaml"
    path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": RAW}}), encoding="utf-8")
    monkeypatch.setattr("llmos.session.reach", lambda **_: cluster.info)
    monkeypatch.setattr(trial, "log_commands", lambda stack: {})

    def logs(*arguments: str) -> int:
        with reported(debug=False) as outcome:
            outcome.exit_code = run(["logs", *arguments, "--file", str(path), "--engine", "kubectl"])
        return outcome.exit_code

    return logs


def node(name: str, *, simulated: bool) -> dict[str, Any]:
    labels = {"llmagentos.dev/simulated": "true"} if simulated else {}
    return {"kind": "Node", "metadata": {"name": name, "labels": labels}}


def test_all_pods_of_a_workload_are_shown(call: Call, cluster: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.answer("pods", [pod("web-1"), pod("web-2"), pod("tiny-1", workload="tiny")])
    cluster.log("tiny-1", "[pod/tiny-1/server] another workload's\n")
    cluster.log("web-1", "[pod/web-1/server] one\n")
    cluster.log("web-2", "[pod/web-2/server] two, ä\n")
    assert call("web", "--since", "10m", "--tail", "5", "--previous") == 0
    assert capsys.readouterr().out == "[pod/web-1/server] one\n[pod/web-2/server] two, ä\n"
    (listed,) = [words for words in cluster.calls("get") if "pods" in words]
    assert "app.kubernetes.io/instance=t" in listed
    for words in cluster.calls("logs"):
        assert {"--prefix", "--all-containers", "--since=10m", "--tail=5", "--previous"} <= set(words)


def test_the_job_that_fetches_weights_belongs_to_its_model(
    call: Call, cluster: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch = pod("tiny-fetch-1", workload="tiny-fetch")
    fetch["metadata"]["labels"]["app.kubernetes.io/component"] = "weights"
    fetch["spec"]["serviceAccountName"] = "tiny"
    cluster.answer("pods", [fetch, pod("web-1")])
    cluster.log("tiny-fetch-1", "[pod/tiny-fetch-1/fetch] 3 of 9 files\n")
    cluster.log("web-1", "[pod/web-1/server] one\n")
    assert call("tiny") == 0
    assert capsys.readouterr().out == "[pod/tiny-fetch-1/fetch] 3 of 9 files\n"


def test_simulated_pods_say_so_and_their_real_container_is_shown(
    call: Call, cluster: FakeKubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.answer("pods", [pod("web-1", node="fake"), pod("tiny-1", workload="tiny", node="real")])
    cluster.answer("nodes", [node("fake", simulated=True), node("real", simulated=False)])
    cluster.log("tiny-1", "[pod/tiny-1/server] serving\n")
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    docker = [sys.executable, "-c", code, "llmos-t-web"]
    monkeypatch.setattr(trial, "log_commands", lambda stack: {"web": (docker, {})})
    assert call() == 0
    said = capsys.readouterr()
    assert "pods of web are simulated (1): they run no container and write no log" in said.err
    assert said.out.splitlines() == [
        "[pod/tiny-1/server] serving", "[container/llmos-t-web/web] out", "[container/llmos-t-web/web] err",
    ]
    assert call("tiny") == 0
    assert "llmos-t-web" not in capsys.readouterr().out


def test_a_pod_without_a_log_is_no_fault_while_others_have_one(
    call: Call, cluster: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.answer("pods", [pod("web-1"), pod("web-2")])
    cluster.log("web-1", "line\n")
    cluster.refuse("web-2", "container \"server\" in pod \"web-2\" is waiting to start: ContainerCreating")
    assert call() == 0
    assert "web-2: container \"server\" in pod \"web-2\" is waiting to start" in capsys.readouterr().err
    cluster.refuse("web-1", "previous terminated container not found")
    assert call("--previous") == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == 1 and "no log can be had" in said and "To fix: " in said


def test_wrong_usage_names_what_would_be_right(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("wep") == 1
    assert "did you mean `web`?" in capsys.readouterr().err
    assert call("--since", "yesterday") == 1
    assert "no duration such as 90s" in capsys.readouterr().err
    assert call("--follow", "--previous") == 1
    assert "--previous shows a container that has ended" in capsys.readouterr().err


def test_nothing_deployed(call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert call() == 0
    assert "no pods; `python3 -m llmos up` deploys it" in capsys.readouterr().err
    monkeypatch.setattr("llmos.session.reach", lambda **_: None)
    assert call() == 0
    assert "the embedded cluster is not running" in capsys.readouterr().out


def test_following_takes_in_pods_that_start_later_and_restarts(
    cluster: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "_POLL_SECONDS", 0.01)
    ended = pod("b", phase="Succeeded")
    answers = iter([[pod("a")], [pod("a"), pod("b")], [pod("a"), ended], [ended]])
    cluster.log("a", "from a\n")
    cluster.log("b", "from b\n")
    lines: list[str] = []
    notes: list[str] = []

    def pods() -> list[dict[str, Any]]:
        return next(answers, [])

    other = Source(name="c", command=[sys.executable, "-c", "print('from c')"], prefix="[c] ")
    options = LogOptions(tail=3, since="5m")
    follow(cluster.kube, pods, [other], options, write=lines.append, note=notes.append)
    assert {"from a\n", "from b\n", "[c] from c\n"} <= set(lines) and not notes
    calls = {words[words.index("logs") + 1]: [] for words in cluster.calls("logs")}
    for words in cluster.calls("logs"):
        calls[words[words.index("logs") + 1]].append(words)
    assert {"--tail=3", "--since=5m", "--follow"} <= set(calls["pod/a"][0]), "what is there now begins where asked"
    assert "--tail=-1" in calls["pod/b"][0], "what starts later is shown from its first line"
    assert all(any(word.startswith("--since-time=") for word in words) for words in calls["pod/a"][1:])


def test_following_says_once_what_it_cannot_show(cluster: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "_POLL_SECONDS", 0.01)
    answers = iter([[pod("a")]] * 40)
    cluster.refuse("a", "is waiting to start: ImagePullBackOff")
    notes: list[str] = []
    follow(cluster.kube, lambda: next(answers, []), [], LogOptions(), write=print, note=notes.append)
    assert notes == ["a: is waiting to start: ImagePullBackOff"]


def test_following_ends_when_nobody_reads_any_more(cluster: FakeKubectl) -> None:
    cluster.log("a", "line\n")

    def write(line: str) -> None:
        raise BrokenPipeError

    follow(cluster.kube, lambda: [pod("a")], [], LogOptions(), write=write, note=print)


def test_ctrl_c_is_the_usual_end_of_following(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "follow", interrupted)
    assert call("--follow") == 0


def test_the_command_line_names_cluster_and_context() -> None:
    kube = Kube(kubectl="kubectl", kubeconfig=Path("config"), context="here")
    assert kube.command("logs", "x") == ["kubectl", "--kubeconfig", "config", "--context", "here", "logs", "x"]
