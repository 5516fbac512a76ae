"""`diff dev prod`: settings, releases, sizing, limits and cost of two stacks, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmos.cli import run
from llmos.failures import reported
from tests.support import stack_file

REF = "registry.example.com/llmagentos/a-very-long-name-of-an-application/assistant@sha256:" + "a" * 64
SERVER = "registry.example.com/llmagentos/vllm-openai:v0.28.0@sha256:" + "b" * 64


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMOS_LOCKS", str(tmp_path))
    return tmp_path


def rows(capsys: pytest.CaptureFixture[str], *stacks: str) -> dict[tuple[str, str], tuple[str, str]]:
    assert run(["diff", *stacks, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["stacks"] == list(stacks) and document["schema"] == 1
    return {(row["section"], row["path"]): (row["first"], row["second"]) for row in document["differences"]}


def test_every_section(locks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release = {
        "images": {"assistant": REF}, "model_images": {"chat": SERVER}, "revisions": {"chat": "c" * 40},
        "source_commit": "d" * 40, "promoted_at": "2026-11-25T10:00:00Z",
    }  # fmt: skip
    (locks / "prod.json").write_text(json.dumps({"release": release}), encoding="utf-8")
    found = rows(capsys, "dev", "prod")
    assert found["settings", "target"] == ("local", "kubernetes")
    assert found["settings", "applications.assistant.image.from"] == ("", "lock")
    assert found["release", "images.assistant"] == ("built from ./app", REF), "the whole digest"
    assert found["release", "source_commit"] == ("", "d" * 40)
    assert found["sizing", "chat.replicas_max"] == ("1", "4")
    dev, prod = stack_file("dev"), stack_file("prod")
    limits = found["limits", "usd_per_month"]
    assert [float(limit) for limit in limits] == [raw["budget"]["usd_per_month"] for raw in (dev, prod)]
    assert found["policies", "public-tls"] == ("disabled", "mandatory")
    assert all(text.endswith(" USD") for text in found["cost", "usd_per_month"])
    assert found["cost", "usd_per_month"][0] != found["cost", "usd_per_month"][1]


def test_the_lower_limit_counts(locks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(capsys, "staging", "prod")["limits", "replicas"] == ("100.0", "300.0"), "only policies state one"


def test_a_stack_does_not_differ_from_itself(locks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(capsys, "staging", "staging") == {}


def test_before_the_first_promotion(locks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "dev", "staging"]) == 0
    said = capsys.readouterr().out
    assert "not promoted yet" in said and "Release" in said and said.splitlines()[-1].endswith("differences")


@pytest.mark.parametrize(
    ("words", "said"), [(["dev"], "1 stack is named"), (["dev", "prodd"], "did you mean `prod`?"),
                        (["dev", "staging", "prod"], "3 stacks are named")],
)  # fmt: skip
def test_wrong_usage(words: list[str], said: str, locks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reported(debug=False) as outcome:
        run(["diff", *words])
    assert outcome.exit_code == 1 and said in capsys.readouterr().err
