"""Settings and plan of a canary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.faults import UserFault
from planner.plan import CanaryPlan, make_plan
from planner.plan.canary import canary_replicas
from planner.settings import parse

IMAGE = {"ref": "docker.io/library/app@sha256:" + "1" * 64}


def stack(canary: Any, *, replicas: Any = 3, **applications: Any) -> dict[str, Any]:
    chat = {"image": IMAGE, "replicas": replicas, "canary": canary}
    return {"target": "local", "applications": {"chat": chat, **applications}}


def planned(raw: dict[str, Any]) -> Any:
    return make_plan(parse(raw, where="Pulumi.dev.yaml"), stack="dev")


def said(raw: dict[str, Any]) -> str:
    with pytest.raises(UserFault) as refused:
        parse(raw, where="Pulumi.dev.yaml")
    return str(refused.value)


def test_off_unless_it_is_asked_for() -> None:
    assert planned(stack(None)).applications[0].canary is None


def test_defaults() -> None:
    assert planned(stack({})).applications[0].canary == CanaryPlan(
        replicas=1, watch_seconds=120, max_error_rate=0.01, max_ttft_ms=None, min_requests=100, proceed=False,
        requests_metric="assistant_requests_total", ttft_metric="assistant_time_to_first_token_seconds",
    )  # fmt: skip


def test_everything_can_be_set() -> None:
    given = {"share": 0.5, "watch_seconds": 60, "max_error_rate": 0.05, "max_ttft_ms": 800, "min_requests": 20,
             "when_too_few": "proceed", "requests_metric": "http_requests_total", "ttft_metric": "ttft"}  # fmt: skip
    assert planned(stack(given, replicas={"min": 4, "max": 10})).applications[0].canary == CanaryPlan(
        replicas=4, watch_seconds=60, max_error_rate=0.05, max_ttft_ms=800, min_requests=20, proceed=True,
        requests_metric="http_requests_total", ttft_metric="ttft",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        ({"share": 0.6}, "canary.share"), ({"share": 0}, "canary.share"),
        ({"watch_seconds": 4}, "canary.watch_seconds"),
        ({"max_error_rate": 1}, "canary.max_error_rate"), ({"max_ttft_ms": 0}, "canary.max_ttft_ms"),
        ({"min_requests": 0}, "canary.min_requests"), ({"when_too_few": "wait"}, "canary.when_too_few"),
        ({"requests_metric": "a b"}, "canary.requests_metric"), ({"percent": 20}, "unknown key `percent`"),
        (True, "applications.chat.canary"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(canary: Any, words: str) -> None:
    text = said(stack(canary))
    assert words in text and "To fix:" in text


def test_its_name_may_not_be_taken() -> None:
    text = said(stack({}, **{"chat-canary": {"image": IMAGE}}))
    assert "`chat-canary` is what the Deployment of the canary of `chat` is called" in text
    assert planned(stack(None, **{"chat-canary": {"image": IMAGE}}))


def test_the_quota_has_room_for_it() -> None:
    alone, beside = (planned(stack(canary, replicas=4)).namespace for canary in (None, {"share": 0.5}))
    assert beside.quota_pods - alone.quota_pods == 4
    assert beside.quota_cpu_cores - alone.quota_cpu_cores == 2 and beside.quota_memory_gib > alone.quota_memory_gib


@given(share=st.decimals("0.01", "0.5", places=2), stable=st.integers(1, 1000))
def test_a_canary_is_as_large_as_its_share_allows_and_never_empty(share: Any, stable: int) -> None:
    pods = canary_replicas(float(share), stable=stable)
    assert pods >= 1
    assert pods == 1 or pods <= share * (pods + stable)
    assert pods + 1 > share * (pods + 1 + stable)
