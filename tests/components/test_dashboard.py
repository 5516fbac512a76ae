"""The dashboard and the alerts of a stack: queries that parse, about metrics that exist, in places of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from components._dashboard import dashboard, panels, rules
from llmos.dashboards import draw, legend

PRICES = {"g6.xlarge": 0.8048, "g6.2xlarge": 0.9776}
PANELS = panels(
    "assistant", promises={"chat": (500, 50)}, pool="llmagentos-dev-gpu", prices=PRICES, budget_usd_per_month=1460
)
RULES = rules(
    "assistant", promises={"chat": (500, 50)}, pool="llmagentos-dev-gpu", prices=PRICES, budget_usd_per_month=1460
)
# As their makers document them: vLLM 0.28, the DCGM exporter, kube-state-metrics.
METRICS = {
    "vllm:time_to_first_token_seconds_bucket", "vllm:request_time_per_output_token_seconds_bucket",
    "vllm:request_success_total", "vllm:num_requests_waiting", "vllm:num_requests_running",
    "vllm:kv_cache_usage_perc", "vllm:generation_tokens_total", "DCGM_FI_DEV_GPU_UTIL", "kube_node_labels",
    "kube_deployment_status_replicas_available",
}  # fmt: skip
QUERIES = [query for panel in PANELS for query, _ in panel.queries] + [rule["expr"] for rule in RULES]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_promql_about_metrics_that_exist(query: str) -> None:
    promql_parser.parse(query)
    assert set(re.findall(r"\b(?:vllm:\w+|DCGM_\w+|kube_\w+)", query)) <= METRICS


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_about_this_stack_only(query: str) -> None:
    assert re.search(r'namespace="assistant"|label_llmagentos_dev_pool="llmagentos-dev-gpu"', query)


def test_what_an_operator_asks_first_is_on_it() -> None:
    titles = {panel.title for panel in PANELS}
    assert {"Time to first token", "Time per output token", "Queue", "KV cache in use", "GPU use", "Cost"} <= titles


def test_panels_have_places_of_their_own() -> None:
    found = json.loads(dashboard("dev", PANELS))["panels"]
    cells = [
        (x, y)
        for panel in found
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in found}) == len(found)


def test_the_line_of_the_cost_is_the_budget_by_the_hour() -> None:
    cost = next(panel for panel in PANELS if panel.title == "Cost")
    assert cost.limit == pytest.approx(2.0)
    assert "0.8048" in cost.queries[0][0] and "0.9776" in cost.queries[0][0]
    alert = next(rule for rule in RULES if rule["alert"] == "OverBudget")
    assert alert["expr"].endswith("> 2.0000")


def test_promises_are_watched_as_they_were_made() -> None:
    found: dict[str, Any] = {rule["alert"]: rule for rule in RULES}
    assert found["TimeToFirstToken"]["expr"].endswith("> 0.5")
    assert found["TimePerOutputToken"]["expr"].endswith("> 0.05")
    assert found["NoModelServer"]["labels"]["model"] == "chat"


def test_without_prices_and_budget_nothing_is_pretended() -> None:
    bare = panels("assistant", promises={}, pool="", prices={}, budget_usd_per_month=None)
    cost = next(panel for panel in bare if panel.title == "Cost")
    assert cost.limit is None
    found = rules("a", promises={}, pool="", prices={}, budget_usd_per_month=None)
    assert "OverBudget" not in {rule["alert"] for rule in found}


def test_the_same_panels_give_the_same_text() -> None:
    assert dashboard("dev", PANELS) == dashboard("dev", list(PANELS))
    assert len(json.loads(dashboard("s" * 60, PANELS))["uid"]) <= 40


def test_a_promise_is_drawn_where_all_models_make_the_same() -> None:
    def limits(promises: dict[str, tuple[int, int]]) -> list[float | None]:
        made = panels("a", promises=promises, pool="", prices={}, budget_usd_per_month=None)
        return [panel.limit for panel in made[:2]]

    assert limits({"a": (500, 50), "b": (500, 80)}) == [0.5, None]


def test_the_picture_has_every_panel(tmp_path: Path) -> None:
    """Drawn from figures that are made up here; what the queries give is Prometheus' business."""
    found = json.loads(dashboard("dev", PANELS))
    asked: list[str] = []

    def ask(query: str) -> list[Any]:
        asked.append(query)
        return [] if "DCGM" in query else [({"model_name": "chat", "pod": "chat-0"}, [(0.0, 1.0), (60.0, 2.0)])]

    assert draw(found, ask, out=tmp_path / "dashboard.png", now=60.0) == len(PANELS) - 1
    assert sorted(asked) == sorted(query for panel in PANELS for query, _ in panel.queries)
    assert (tmp_path / "dashboard.png").read_bytes().startswith(b"\x89PNG")
    assert legend("{{model_name}} p95", {"model_name": "chat"}) == "chat p95"
