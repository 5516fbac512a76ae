"""Two revisions side by side: each rendered by its own code, offline, and never by touching the checkout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from llmos import git
from llmos.against import revisions
from llmos.against.comment import comment
from llmos.against.compare import document
from tests.llmos.against.conftest import Checkout

COST = re.compile(r"Monthly cost [+-]\$[\d,]+ \(\$[\d,]+ -> \$[\d,]+\)")


@pytest.fixture
def base(checkout: Checkout) -> Iterator[str]:
    """The commit that a test starts from; what it changed is undone."""
    yield checkout.git("rev-parse", "HEAD")
    checkout.git("reset", "-q", "--hard", "HEAD")
    checkout.git("clean", "-fdq")


@pytest.fixture(autouse=True)
def _project(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (git, revisions):
        monkeypatch.setattr(module, "PROJECT_ROOT", checkout.root)


def compared(ref: str, *names: str) -> tuple[dict[str, Any], str]:
    """The comparison as JSON, with the stacks by name, and as Markdown."""
    comparison = revisions.compare_with(ref, names)
    found = json.loads(json.dumps(document(comparison)))
    found["stacks"] = {stack["stack"]: stack for stack in found["stacks"]}
    return found, comment(comparison)


def changes(stack: dict[str, Any]) -> dict[str, dict[str, tuple[str, str]]]:
    return {
        f"{item['action']} {item['kind']}/{item['name']}": {
            field["path"]: (field["before"], field["after"]) for field in item["changes"]
        }
        for item in stack["objects"]
    }


def test_objects_cost_hardware_and_findings_of_the_stacks_that_are_touched(checkout: Checkout, base: str) -> None:
    checkout.edit("Pulumi.dev.yaml", "max: 10", "max: 7")
    checkout.edit("Pulumi.dev.yaml", "instance_type: g6.xlarge", "instance_type: g6.2xlarge")
    checkout.edit("Pulumi.prod.yaml", "replicas: 4", "replicas: 5")
    found, text = compared(base)
    assert found["touched"] == ["dev", "prod"]
    assert found["deployable"] == [{"stack": "prod", "environment": "prod"}], "dev is local"
    dev, prod = changes(found["stacks"]["dev"]), changes(found["stacks"]["prod"])
    assert dev["update HorizontalPodAutoscaler/assistant"] == {"spec.maxReplicas": ("10", "7")}
    assert prod["update Deployment/chat"]["spec.replicas"] == ("4", "5")
    (hardware,) = found["stacks"]["dev"]["hardware"]
    assert "g6.xlarge" in hardware["before"] and "g6.2xlarge" in hardware["after"] and hardware["rejected"]
    assert any(row["rule"] == "budget-warning" for row in found["stacks"]["prod"]["new"])
    money = found["usd_per_month"]
    assert money["difference"] == pytest.approx(
        sum(stack["usd_per_month"]["difference"] for stack in found["stacks"].values())
    )
    assert found["stacks"]["prod"]["usd_per_month"]["difference"] == pytest.approx(587.5, abs=0.01)
    assert COST.fullmatch(text.splitlines()[0])
    assert "- update HorizontalPodAutoscaler `assistant/assistant`: spec.maxReplicas: `10` -> `7`" in text
    assert "<details><summary>Hardware and the reasons" in text and "### staging" not in text


def test_an_image_whose_source_changed_is_rebuilt(checkout: Checkout, base: str) -> None:
    (checkout.root / "app" / "src" / "assistant" / "more.py").write_text("X = 1\n", encoding="utf-8")
    found, _ = compared(base, "dev", "staging")
    assert found["touched"] == ["dev"], "staging runs what was promoted"
    dev = changes(found["stacks"]["dev"])
    assert dev["update Deployment/assistant"] == {"image": ("built from ./app", "rebuilt: its source changed")}
    assert "update Deployment/tiny" in dev, "it is served by the same image"


def test_a_promotion_shows_digests(checkout: Checkout, base: str) -> None:
    ref = "registry.example.com/llmagentos/assistant@sha256:" + "a" * 64
    server = "registry.example.com/llmagentos/vllm-openai:v0.28.0@sha256:" + "b" * 64
    release = {"images": {"assistant": ref}, "model_images": {"chat": server}, "revisions": {"chat": "c" * 40}}
    (checkout.root / "locks").mkdir(exist_ok=True)
    (checkout.root / "locks" / "staging.json").write_text(json.dumps({"release": release}), encoding="utf-8")
    found, _ = compared(base, "staging")
    app = changes(found["stacks"]["staging"])["update Deployment/assistant"]
    (path,) = app
    assert path.endswith("containers[application].image") and app[path][0] == "(not known yet)"
    assert app[path][1].startswith("registry.example.com/llmagentos/assistant@sha256:aaa")


def test_stacks_that_come_go_or_cannot_be_planned(checkout: Checkout, base: str) -> None:
    prod = (checkout.root / "Pulumi.prod.yaml").read_text(encoding="utf-8")
    (checkout.root / "Pulumi.extra.yaml").write_text(prod.replace("assistant-prod", "extra"), encoding="utf-8")
    (checkout.root / "Pulumi.prod.yaml").unlink()
    checkout.edit("Pulumi.staging.yaml", "max_gpus: 3", "max_gpus: 1")
    found, text = compared(base)
    assert {name: stack["status"] for name, stack in found["stacks"].items()} == {
        "dev": "unchanged", "extra": "added", "prod": "removed", "staging": "failed",
    }  # fmt: skip
    assert found["touched"] == ["extra", "staging"]
    assert "smallest that fits" in found["stacks"]["staging"]["faults"]["after"][0]["nearest"]
    assert found["stacks"]["prod"]["usd_per_month"]["after"] == 0
    assert text.startswith("Monthly cost unknown (") and "cannot be planned as it is now" in text


def test_an_older_revision_without_snapshots_is_asked_for_its_preview(checkout: Checkout, base: str) -> None:
    (checkout.root / "llmos" / "snapshot.py").rename(checkout.root / "snapshot.txt")
    older = checkout.commit("as it was before")
    (checkout.root / "snapshot.txt").rename(checkout.root / "llmos" / "snapshot.py")
    checkout.edit("Pulumi.dev.yaml", "replicas: {min: 3, max: 10, cpu_percent: 70}", "replicas: 3")
    found, _ = compared(older, "dev")
    checkout.git("reset", "-q", "--hard", base)
    assert changes(found["stacks"]["dev"]) == {"delete HorizontalPodAutoscaler/assistant": {}}
    assert found["usd_per_month"]["difference"] == 0


def test_the_command_line_fails_where_a_budget_is_exceeded(checkout: Checkout, base: str) -> None:
    checkout.edit("Pulumi.staging.yaml", "usd_per_month: 1500", "usd_per_month: 500")
    done = checkout.llmos("preview", "--against", base, "--stack", "staging")
    assert done.returncode == 1 and "- mandatory monthly-cost" in done.stdout, done.stderr
    assert done.stdout.startswith("Monthly cost +$0 (")


def test_it_reads_the_repository_and_writes_nothing(checkout: Checkout, base: str) -> None:
    def state() -> dict[str, int]:
        found = (path for path in checkout.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path): path.stat().st_mtime_ns for path in found if path.name != "index"}

    before = state()
    done = checkout.llmos("preview", "--against", base, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["touched"] == [], done.stderr
    assert state() == before
    assert checkout.git("worktree", "list").count("\n") == 0
    assert not list(checkout.temporary.iterdir()), "the older revision is taken away again"


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--against", "no-such-branch"), "git knows no commit `no-such-branch`"),
     (("--against", "main", "--stack", "stagin"), "did you mean `staging`?"),
     (("--against", "main", "--file", "Pulumi.x.yaml"), "has no earlier revision here")],
)  # fmt: skip
def test_wrong_usage(checkout: Checkout, words: tuple[str, ...], said: str) -> None:
    done = checkout.llmos("preview", *words)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
