"""The benchmark of the offline preview: its peer registers the same, and the program loads no more than it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks import preview
from llmos import synth as synth_module
from llmos.synth import Program
from tests.support import ROOT


def test_both_programs_register_the_same_objects() -> None:
    ours, peer = preview.run_program(preview.OURS), preview.run_program(preview.PEER)
    assert preview.different_objects(ours, peer) == []
    fewer = Program(resources=tuple(item for item in ours.resources if item.name != "tiny"), outputs={})
    assert "Deployment/tiny" in preview.different_objects(fewer, peer), "a difference is seen"


def requests(main: Any, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Any]:
    """What the engine is sent for each object, by type and name."""
    found = {}
    original = synth_module._resource

    def keep(request: Any, urn: str, properties: dict[str, Any]) -> Any:
        if request.custom and request.type.startswith("kubernetes:"):
            found[request.type, request.name] = request
        return original(request, urn, properties)

    with monkeypatch.context() as patched:
        patched.setattr(synth_module, "_resource", keep)
        preview.run_program(main)
    return found


def test_our_objects_reach_the_engine_as_the_sdks_classes_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, peer = (requests(main, monkeypatch) for main in (preview.OURS, preview.PEER))
    assert ours.keys() == peer.keys() and len(ours) > 20
    for key, request in ours.items():
        for field in ("version", "pluginDownloadURL", "additionalSecretOutputs", "ignoreChanges", "retainOnDelete"):
            assert getattr(request, field) == getattr(peer[key], field), (key, field)
        assert request.version and (key[0] != "kubernetes:core/v1:Secret" or request.additionalSecretOutputs)


def test_the_program_loads_no_more_than_it_needs() -> None:
    """A planner's solver, tables for people or the SDK's typed classes would double the time of every preview."""
    heavy = ["numpy", "scipy", "highspy", "rich", "pulumi_aws", "pulumi_kubernetes.core.v1"]
    script = (
        "import sys, json; from benchmarks import preview; preview.run_program(preview.OURS);"
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert json.loads(done.stdout) == []


def test_the_benchmark_says_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    code = preview.main(["--runs", "1"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["runs"] == 1 and summary["different_objects"] == [] and summary["objects"] > 20
    assert summary["ratio_median"] == pytest.approx(summary["program_seconds"] / summary["peer_seconds"], rel=0.01)
    assert code == (0 if summary["reached"] else 1)


@pytest.mark.parametrize(("ours", "policies", "code"), [(1.0, 1.0, 0), (1.2, 1.0, 1), (1.0, 2.0, 1)])
def test_it_fails_when_it_misses_its_bar(
    ours: float, policies: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preview, "_program_seconds", lambda main: ours if main == preview.OURS else 1.0)
    monkeypatch.setattr(preview, "_policy_seconds", lambda program: policies)
    assert preview.main(["--runs", "3"]) == code
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reached"] is (code == 0)
