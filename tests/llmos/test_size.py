"""The command ``size``: what it writes, what it prints, and what it leaves alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos import stacks
from llmos.cli import run
from planner.faults import EnvironmentFault, UserFault

STACK: dict[str, Any] = {
    "target": "local",
    "environment": "staging",
    "applications": {"assistant": {"image": {"build": "./app"}, "model": "chat"}},
    "models": {
        "chat": {
            "source": "Qwen/Qwen3-8B",
            "hardware": "auto",
            "slo": {"ttft_ms": 500, "tpot_ms": 80},
            "traffic": {"requests_per_second": 2, "input_tokens": 800, "output_tokens": 200},
        }
    },
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with one stack, `s`."""
    monkeypatch.setattr(stacks, "PROJECT_ROOT", tmp_path)
    write(tmp_path, STACK)
    return tmp_path


def write(folder: Path, stack: dict[str, Any], *, name: str = "s") -> Path:
    path = folder / f"Pulumi.{name}.yaml"
    path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": stack}}), encoding="utf-8")
    return path


def size(*arguments: str) -> int:
    return run(["size", "--stack", "s", *arguments])


def test_it_writes_the_lock_keeps_its_other_keys_and_the_plan_takes_it(project: Path) -> None:
    lock = project / "locks" / "s.json"
    lock.parent.mkdir()
    release = {"revisions": {"chat": "a" * 40}}
    lock.write_text(json.dumps({"release": release}), encoding="utf-8")
    assert size() == 0
    content = json.loads(lock.read_text(encoding="utf-8"))
    assert content["release"] == release
    (project / "app").mkdir()
    (project / "app" / "Dockerfile").touch()
    (model,) = stacks.load_stack("s").plan.models
    assert model.instance_type == content["sizing"]["models"]["chat"]["instance_type"]
    assert [path.name for path in lock.parent.iterdir()] == ["s.json"], "no temporary file stays"


def test_a_second_run_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size()
    lock = project / "locks" / "s.json"
    before = lock.stat().st_mtime_ns, lock.read_bytes()
    capsys.readouterr()
    assert size() == 0
    assert (lock.stat().st_mtime_ns, lock.read_bytes()) == before
    assert "is current" in capsys.readouterr().err


def test_the_table_says_what_why_and_what_else(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size()
    text = capsys.readouterr().out
    for label in ("chosen", "because", "next best", "rejected", "may stand in", "days old", "per month"):
        assert label in text


def test_what_if_prints_differences_and_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "Pulumi.s.yaml").read_bytes()
    assert size("--what-if", "models.chat.traffic.requests_per_second=50", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    changes = {(item["subject"], item["what"]): item for item in document["changes"]}
    assert changes["total", "usd_per_month"]["after"] > changes["total", "usd_per_month"]["before"]
    assert not (project / "locks").exists()
    assert (project / "Pulumi.s.yaml").read_bytes() == before


def test_compare_takes_a_stack_file_or_a_lock(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy = json.loads(json.dumps(STACK))
    busy["models"]["chat"]["traffic"]["requests_per_second"] = 50
    other = write(project, busy, name="busy")
    assert size("--compare", str(other)) == 0
    assert "usd per month" in capsys.readouterr().out
    assert not (project / "locks").exists()
    size()
    capsys.readouterr()
    assert size("--compare", str(project / "locks" / "s.json")) == 0
    assert "No difference" in capsys.readouterr().out


def test_markdown_has_a_row_per_model(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size("--markdown")
    assert "\n| chat | " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--what-if", "models.chat"), "is not PATH=VALUE"),
        (("--what-if", "models.chat.slo.ttft=3"), "unknown key `ttft`"),
        (("--what-if", "models.chat.source.x=3"), "is a plain value"),
        (("--what-if", "budget.usd_per_month=10"), "no plan satisfies"),
        (("--compare", "locks/none.json"), "no sizing to compare with"),
        (("--plot", "cost.gif"), "neither .png nor .svg"),
    ],
)
def test_faults_name_what_is_wrong_and_write_nothing(project: Path, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserFault, match=words):
        size(*arguments)
    assert not (project / "locks").exists()


def test_a_stack_that_leaves_nothing_open_says_so(project: Path) -> None:
    stated = json.loads(json.dumps(STACK))
    stated["models"]["chat"]["hardware"] = {"instance_type": "g6e.xlarge"}
    write(project, stated)
    with pytest.raises(UserFault, match="nothing to size"):
        size()


def test_a_plot_without_matplotlib_says_how_to_get_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EnvironmentFault, match="matplotlib is not installed"):
        size("--plot", str(project / "cost.png"))


def test_a_plot_is_drawn_the_same_every_time(project: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib, of requirements-dev.txt")
    first, second = project / "one.svg", project / "two.svg"
    size("--plot", str(first))
    size("--plot", str(second))
    assert first.read_bytes().startswith(b"<?xml") and first.read_bytes() == second.read_bytes()


def test_own_prices_with_a_bare_date_reach_the_program(project: Path) -> None:
    path = write(project, STACK)
    row = "      catalog: {instances: [{name: g6e.xlarge, usd_per_hour: 1.5, price_date: 2026-11-01}]}\n"
    text = yaml.safe_dump({"config": {"llmagentos:stack": STACK}}, indent=2)
    path.write_text(text.replace("    environment:", f"{row[2:]}    environment:"), encoding="utf-8")
    assert json.dumps(stacks.read_stack_file(path)["catalog"])
    size()
    kept = json.loads((project / "locks" / "s.json").read_text(encoding="utf-8"))
    assert kept["sizing"]["models"]["chat"]["price_date"] == "2026-11-01"
