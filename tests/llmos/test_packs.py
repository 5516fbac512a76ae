"""The pack as a process, asked over the protocol the engine speaks."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from llmos import packs
from llmos.packs import Finding, Pack, PackResource, evaluate
from planner.faults import EnvironmentFault, UserFault

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hush"}
DIGEST = "@sha256:" + "0" * 64


def deployment(name: str = "app", *, image: str = f"app{DIGEST}", **container: Any) -> PackResource:
    """A Deployment as the engine would present it."""
    pod = {"containers": [{"name": "app", "image": image, **container}]}
    properties = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "ns"},
        "spec": {"replicas": 2.0, "template": {"spec": pod}},
    }
    token = "kubernetes:apps/v1:Deployment"
    return PackResource(type=token, name=name, urn=f"urn:pulumi:s::p::{token}::{name}", properties=properties)


@pytest.fixture(scope="module")
def pack() -> Iterator[Pack]:
    with Pack(environment="prod", preview=True) as running:
        yield running


def of(findings: tuple[Finding, ...], rule: str) -> list[Finding]:
    return [finding for finding in findings if finding.rule == rule]


def test_finding_has_every_field(pack: Pack) -> None:
    [finding] = of(pack.evaluate([deployment(image="app:v1")]), "image-digest")
    assert finding.level == "mandatory"
    assert finding.object == "Deployment/ns/app"
    assert finding.path == "spec.template.spec.containers[0].image"
    assert finding.urn.endswith("::app")
    assert "digest" in finding.message and "app:v1" not in finding.message
    assert finding.fix and finding.why and finding.control == "owasp-llm/LLM03:2025"


def test_control_is_the_upstream_name(pack: Pack) -> None:
    findings = of(pack.evaluate([deployment(securityContext={"privileged": True})]), "pod-security-baseline")
    assert [finding.control for finding in findings] == ["pss/baseline/privileged"]


def test_stack_rules_name_their_object(pack: Pack) -> None:
    findings = pack.evaluate([deployment("one"), deployment("two")])
    assert {finding.object for finding in of(findings, "disruption-budget")} == {
        "Deployment/ns/one",
        "Deployment/ns/two",
    }


def test_unknown_is_advisory_at_preview_and_mandatory_at_up(pack: Pack) -> None:
    unknown = deployment(image=UNKNOWN_STRING_VALUE)
    [finding] = of(pack.evaluate([unknown]), "image-digest")
    assert finding.level == "advisory"
    assert "not known at preview" in finding.message
    assert finding.path == "spec.template.spec.containers[0].image"
    [finding] = of(evaluate([unknown], environment="prod", preview=False), "image-digest")
    assert finding.level == "mandatory"


def test_unknown_budget_is_refused_at_preview(pack: Pack) -> None:
    properties = copy.deepcopy(dict(deployment().properties))
    properties["spec"]["replicas"] = UNKNOWN_STRING_VALUE
    resource = PackResource(type="kubernetes:apps/v1:Deployment", name="app", urn="urn", properties=properties)
    assert any(finding.level == "mandatory" for finding in of(pack.evaluate([resource]), "replica-count"))


def test_the_stacks_own_budget_only_lowers_the_limit() -> None:
    stack = PackResource(
        type="llmagentos:components:LlmStack", name="dev", urn="urn:stack",
        properties={"environment": "dev", "budget": {"replicas": 1.0, "file": "Pulumi.dev.yaml"}, "stack": "dev"},
    )
    config = {"replica-count": {"replicas": 100}}
    [finding] = of(evaluate([stack, deployment()], environment="dev", preview=True, config=config), "replica-count")
    assert "Pulumi.dev.yaml" in finding.message and "the limit is 1 replicas" in finding.message
    config = {"replica-count": {"replicas": 0}}
    [finding] = of(evaluate([stack, deployment()], environment="dev", preview=True, config=config), "replica-count")
    assert "policies/config/dev.json" in finding.message


def test_levels_and_exemptions() -> None:
    tomorrow, yesterday = (datetime.date.today() + datetime.timedelta(days=days) for days in (1, -1))
    row = {"object": "Deployment/ns/o*", "owner": "ann", "reason": "legacy", "expires": tomorrow.isoformat()}
    expired = {**row, "expires": yesterday.isoformat()}
    config = {
        "image-digest": {"exemptions": [row]},
        "service-account": {"exemptions": [expired]},
        "read-only-root": "disabled",
        "liveness-probe": "advisory",
    }
    resources = [deployment("old", image="x:v1"), deployment("new", image="x:v1")]
    findings = evaluate(resources, environment="prod", preview=True, config=config)
    assert [finding.object for finding in of(findings, "image-digest")] == ["Deployment/ns/new"]
    texts = {finding.object: finding.message for finding in of(findings, "service-account")}
    assert f"the exemption of ann expired on {yesterday}" in texts["Deployment/ns/old"]
    assert "expired" not in texts["Deployment/ns/new"]
    assert not of(findings, "read-only-root")
    assert {finding.level for finding in of(findings, "liveness-probe")} == {"advisory"}


def test_remediation_keeps_secret_marks() -> None:
    secret = deployment(env=[{"name": "TOKEN", "value": SECRET}])
    with Pack(environment="dev", preview=True, config={"pod-security-restricted": "remediate"}) as running:
        [changed] = running.remediate([secret])
        findings = running.evaluate([secret])
    spec = changed.properties["spec"]["template"]["spec"]
    assert spec["containers"][0]["env"][0]["value"] == SECRET
    assert spec["containers"][0]["securityContext"] == {"allowPrivilegeEscalation": False}
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    controls = {finding.control for finding in of(findings, "pod-security-restricted")}
    # What was chosen, or may break a program, is refused instead.
    assert controls == {"pss/restricted/capabilities_restricted", "pss/restricted/runAsNonRoot"}
    assert not any("hush" in str(finding) for finding in findings)


def test_bad_configuration_is_one_fault_each() -> None:
    config = {"image-digst": "advisory", "gpu-count": {"gpus": "many"}, "probe-port": {"colour": 1}}
    with pytest.raises(UserFault) as caught, Pack(environment="prod", preview=True, config=config):
        pass
    texts = [str(fault) for fault in caught.value.faults]
    assert len(texts) == 3
    assert any("did you mean `image-digest`?" in text for text in texts)
    assert any("gpu-count.gpus" in text for text in texts)


def test_unknown_environment() -> None:
    with pytest.raises(UserFault, match="did you mean `prod`"):
        evaluate([], environment="prd", preview=True)


def test_a_pack_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "dev.json").write_text("{}", encoding="utf-8")
    (tmp_path / "__main__.py").write_text("raise SystemExit('no such module')", encoding="utf-8")
    monkeypatch.setattr(packs, "PACK", tmp_path)
    with pytest.raises(EnvironmentFault, match="no such module"):
        evaluate([], environment="dev", preview=True)


def test_without_configuration_the_strictest_environment_applies(pack: Pack) -> None:
    """The engine sends the pack's initial configuration when no file is named."""
    with Pack(environment="dev", preview=True) as dev:
        assert dev.config["public-tls"]["enforcementLevel"] == "disabled"
    assert pack.initial["public-tls"]["enforcementLevel"] == "mandatory"
    assert pack.initial["gpu-count"] == pack.config["gpu-count"]
    assert pack.initial["gpu-count"]["enforcementLevel"] == "mandatory"


def test_a_running_pack_goes_on_with_another_environment() -> None:
    server = {"name": "c", "image": "vllm/vllm-openai:v0.28.0", "args": ["--model=Qwen/Qwen3-8B"]}
    resource = PackResource(
        type="kubernetes:apps/v1:Deployment", name="a", urn="urn:a",
        properties={"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"},
                    "spec": {"template": {"spec": {"containers": [server]}}}},
    )  # fmt: skip
    with Pack(environment="prod", preview=True) as pack:
        first = pack.evaluate([resource])
        pack.use("dev")
        second = pack.evaluate([resource])
        pack.use("prod")
        assert pack.evaluate([resource]) == first
    assert of(first, "model-hub") and not of(second, "model-hub")
    assert second == evaluate([resource], environment="dev", preview=True)
