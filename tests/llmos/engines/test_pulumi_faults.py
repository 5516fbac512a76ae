"""What the pulumi engine says of policies, the cluster's refusals, the program's faults and conflicts."""

from __future__ import annotations

import dataclasses

import pytest

from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from planner.faults import EnvironmentFault, UserFault
from tests.llmos.engines.pulumi_standin import Reply, Standin, needs_scripts, recorded

pytestmark = needs_scripts


def test_each_mandatory_violation_is_a_fault_and_nothing_is_deployed(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("policy"), exit_code=255, stderr="error: preview failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.up(run)
    assert not standin.calls("up")
    (fault,) = caught.value.faults
    assert fault.where == "the stack"
    assert fault.what.startswith("policy monthly-cost: the stack takes 588 USD a month")
    assert fault.fix == "take less, or raise the limit in Pulumi.dev.yaml to 588 USD a month"


def test_an_object_that_the_cluster_refuses_is_named_with_the_reason(standin: Standin, run: EngineRun) -> None:
    standin.answer("up", Reply(events=recorded("refused"), exit_code=255, stderr="error: update failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.up(run, previewed=True)
    (fault,) = caught.value.faults
    assert fault.where.startswith("Deployment ")
    assert "Not_A_Hostname" in fault.what
    assert "error occurred" not in fault.what
    assert "update failed" not in str(caught.value)


def test_faults_that_the_program_states_pass_through_unchanged(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("stated"), exit_code=255, stderr="error: preview failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.preview(run)
    assert [str(fault) for fault in caught.value.faults] == [
        "Pulumi.dev.yaml: applications.a.port: 99999 is too large (1 to 65535)\n  did you mean 9999?\n"
        "  To fix: choose one",
        "Pulumi.dev.yaml: models: two\n  To fix: b",
    ]


def test_a_plugin_that_cannot_be_downloaded_is_named(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("plugin"), exit_code=255, stderr="error: preview failed"))
    with pytest.raises(EnvironmentFault) as caught:
        pulumi.preview(run)
    (fault,) = caught.value.faults
    assert "pulumi-resource-kubernetes" in fault.what
    assert "get.pulumi.com" in fault.fix


def test_a_conflict_names_the_owner_of_the_field(standin: Standin, run: EngineRun) -> None:
    standin.answer("up", Reply(events=recorded("conflict"), exit_code=255, stderr="error: update failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.up(run, previewed=True)
    (fault,) = caught.value.faults
    assert fault.where == "Deployment helper"
    assert fault.what == (
        "fields that this stack states belong to somebody else: other set "
        ".spec.template.spec.terminationGracePeriodSeconds"
    )
    assert "--force-conflicts" in fault.fix


def test_taking_fields_over_is_the_providers_own_switch(standin: Standin, run: EngineRun) -> None:
    standin.answer("up", Reply(events=recorded("up_again")))
    pulumi.up(run, previewed=True)
    pulumi.up(dataclasses.replace(run, force_conflicts=True), previewed=True)
    assert [call["force"] for call in standin.calls("up")] == ["", "true"]


def test_a_backend_whose_secrets_nothing_encrypts_is_told_both_ways(standin: Standin, run: EngineRun) -> None:
    said = "error: could not create secrets manager for new stack: passphrase must be set with PULUMI_CONFIG_PASSPHRASE"
    standin.answer("stack select", Reply(stderr=said, exit_code=255))
    with pytest.raises(EnvironmentFault, match="passphrase must be set") as caught:
        pulumi.preview(run)
    assert "secretsprovider" in caught.value.faults[0].fix and "PASSPHRASE_FILE" in caught.value.faults[0].fix
