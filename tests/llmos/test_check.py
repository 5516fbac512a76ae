"""`check`, as a user calls it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from llmos.cli import build_parser
from planner.faults import UserFault

BAD = """
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    metadata: {name: one, namespace: ns}
    spec: {hostNetwork: true, containers: [{name: c, image: "busybox", env: [{name: DB_PASSWORD, value: hunter2}]}]}
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: two, namespace: ns}
---
# Source: chart/templates/empty.yaml
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: three, namespace: ns}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: "busybox:1"}]}}}}}
"""


def check(*words: str) -> int:
    """Run the command as the command line does."""
    args = build_parser("check").parse_args(["check", *words])
    return int(args.run(args))


@pytest.fixture
def bad(tmp_path: Path) -> str:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD, encoding="utf-8")
    return str(file)


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return json.loads(capsys.readouterr().out)["findings"]


def test_json(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(bad, "--json", "--env", "dev") == 1
    found = rows(capsys)
    assert {row["object"] for row in found} >= {"Pod/ns/one", "CronJob/ns/three"}
    [row] = [row for row in found if row["control"] == "pss/baseline/hostNamespaces"]
    assert row == {
        "file": bad, "object": "Pod/ns/one", "rule": "pod-security-baseline", "level": "mandatory",
        "path": "spec.hostNetwork", "message": row["message"], "fix": "remove hostNetwork",
        "control": "pss/baseline/hostNamespaces", "why": row["why"],
    }
    assert "hunter2" not in json.dumps(found)


def test_table(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(bad) == 1
    text = capsys.readouterr().out
    assert "CronJob/ns/three" in text
    assert "spec.jobTemplate.spec.template.spec.containers[0].image" in text
    assert "3 objects, limits of prod" in text


def test_sarif(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(bad, "--sarif") == 1
    [run] = json.loads(capsys.readouterr().out)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_report_lists_rules_and_exemptions(
    bad: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmos.checks import configuration

    row = {"object": "Pod/ns/one", "owner": "ann", "reason": "being moved", "expires": "2999-12-31"}
    read = configuration.read
    exempted = {"pod-security-baseline": {"exemptions": [row]}}
    monkeypatch.setattr(configuration, "read", lambda folder, name: {**read(folder, name), **exempted})
    assert check(bad, "--report") == 1
    text = capsys.readouterr().out
    assert "| pod-security-baseline | `Pod/ns/one` | ann | being moved | 2999-12-31 |" in text
    assert "| pod-security-baseline | mandatory | passed, 1 exempt |" in text
    assert "- **literal-secret** mandatory: `Pod/ns/one`" in text


def test_controls(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--controls", "--json") == 0
    controls = json.loads(capsys.readouterr().out)["controls"]
    pairs = {(row["control"], row["rule"]) for row in controls}
    assert ("pss/restricted/runAsNonRoot", "pod-security-restricted") in pairs
    assert ("owasp-llm/LLM10:2025", "monthly-cost") in pairs
    assert all(row["title"] for row in controls)


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"))
    assert check("-", "--json") == 0
    assert rows(capsys) == []


def test_state_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signature = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    pod: dict[str, Any] = {"containers": [{"name": "c", "image": {**signature, "ciphertext": "xyz"}}]}
    inputs = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}, "spec": pod}
    urn = "urn:pulumi:dev::llmagentos::kubernetes:core/v1:Pod::p"
    resource = {"urn": urn, "type": "kubernetes:core/v1:Pod", "custom": True, "inputs": inputs}
    file = tmp_path / "state.json"
    stack = {"urn": "urn:pulumi:dev::llmagentos::pulumi:pulumi:Stack::s", "type": "pulumi:pulumi:Stack"}
    file.write_text(json.dumps({"version": 3, "deployment": {"resources": [stack, resource]}}), encoding="utf-8")
    assert check(str(file), "--json") == 1
    found = rows(capsys)
    assert any(row["rule"] == "service-account-token" and row["file"] == str(file) for row in found)
    [digest] = [row for row in found if row["rule"] == "image-digest"]
    assert digest["level"] == "advisory" and "could not be checked" in digest["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML"),
        ("image: {{ .Values.image }}", "helm template"),
        ("- 1\n- 2\n", "no object"),
        ("metadata: {name: x}\n", "no apiVersion and kind"),
        ("\x00", "not valid YAML"),
    ],
)
def test_unreadable_input_is_one_clear_fault(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserFault) as caught:
        check(str(file))
    [fault] = caught.value.faults
    assert said in str(fault)
    assert str(file) in fault.where


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserFault) as caught:
        check(str(binary), str(tmp_path / "missing.yaml"))
    assert len(caught.value.faults) == 2


def test_no_file() -> None:
    with pytest.raises(UserFault, match="no file is named"):
        check()
