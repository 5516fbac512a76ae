"""What of the engine's messages is worth a line."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation import EngineEvent

from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from llmos.engines.pulumi_events import EventLog
from tests.llmos.engines.pulumi_standin import Reply, Standin, needs_scripts, recorded

TYPE = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
URN = f"urn:pulumi:dev::llmagentos::llmagentos:components:Autoscaler${TYPE}::a"


def diagnostic(message: str, *, severity: str = "warning", urn: str = URN) -> dict[str, Any]:
    event = {"urn": urn, "message": message, "color": "never", "severity": severity, "ephemeral": severity == "info"}
    return {"sequence": 1, "timestamp": 1, "diagnosticEvent": event}


def deletion(urn: str) -> dict[str, Any]:
    inputs = {"metadata": {"name": "a", "namespace": "n"}}
    old = {"type": TYPE, "urn": urn, "custom": True, "id": "n/a", "parent": "", "inputs": inputs, "outputs": {},
           "provider": ""}  # fmt: skip
    metadata = {"op": "delete", "urn": urn, "type": TYPE, "old": old, "new": None, "keys": None, "diffs": None,
                "detailedDiff": None, "logical": True, "provider": ""}  # fmt: skip
    return {"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": metadata, "planning": False}}


def said(*events: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    log = EventLog(progress=lines.append)
    for event in events:
        log.feed(EngineEvent.from_json(event))
    return lines


@pytest.mark.parametrize(
    "event",
    [
        diagnostic("[MinimumReplicasUnavailable] Deployment does not have minimum availability.\n"),
        diagnostic('Retry #0; creation failed: services "other" already exists\n', severity="info"),
        diagnostic("\n", severity="info"),
    ],
)
def test_what_says_nothing_is_not_said(event: dict[str, Any]) -> None:
    assert said(event) == []


def test_what_goes_is_not_warned_about() -> None:
    warning = "FailedGetResourceMetric: failed to get cpu utilization"
    assert said(diagnostic(warning)) == [f"warning: HorizontalPodAutoscaler a: {warning}"]
    assert said(deletion(URN), diagnostic(warning)) == []


@needs_scripts
def test_advice_is_given_once_by_an_up_and_not_where_a_table_shows_it(
    standin: Standin, run: EngineRun, said: list[str]
) -> None:
    advice = [event for event in recorded("policy") if "policyEvent" in event]
    for event in advice:
        event["policyEvent"]["enforcementLevel"] = "advisory"  # type: ignore[index]
    standin.answer("preview", Reply(events=[*recorded("preview"), *advice]))
    standin.answer("up", Reply(events=[*recorded("up_again"), *advice]))
    pulumi.up(run)
    assert len([line for line in said if line.startswith("advice (")]) == 1
    said.clear()
    pulumi.preview(run, refuse=False)
    assert said == []
