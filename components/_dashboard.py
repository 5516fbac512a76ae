"""A Grafana dashboard and alert rules of one stack, as data: what its users feel, what its GPUs do, what it costs.

Metrics are those of vLLM 0.28 (https://docs.vllm.ai/en/stable/usage/metrics/), NVIDIA's DCGM exporter,
kube-state-metrics and Karpenter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Panel", "dashboard", "panels", "rules"]

_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3
_WINDOW = "5m"
_HOURS_PER_MONTH = 730


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One graph: its unit as Grafana names it, and queries with their legends. ``limit`` draws a line."""

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    limit: float | None = None


def panels(
    namespace: str,
    *,
    promises: Mapping[str, tuple[int, int]],
    pool: str,
    prices: Mapping[str, float],
    budget_usd_per_month: float | None,
) -> tuple[Panel, ...]:
    """The graphs of a stack.

    Args:
        namespace: of the stack.
        promises: TTFT and TPOT in milliseconds, by model; drawn where all models promise the same.
        pool: name of its GPU pool, which labels its nodes.
        prices: USD per hour by instance type; types without a known price are left out, and their nodes counted as
            unpriced.
        budget_usd_per_month: of the stack; None for none.
    """
    own = f'namespace="{namespace}"'
    spent = budget_usd_per_month / _HOURS_PER_MONTH if budget_usd_per_month else None
    return (
        Panel(
            title="Time to first token", about="What a user waits for; the 95th percentile is what is promised.",
            unit="s", queries=_quantiles("vllm:time_to_first_token_seconds", own), limit=_same(promises, 0),
        ),
        Panel(
            title="Time per output token", about="How fast an answer goes on after its first token.", unit="s",
            queries=_quantiles("vllm:request_time_per_output_token_seconds", own), limit=_same(promises, 1),
        ),
        Panel(
            title="Requests", about="Finished in a second.", unit="reqps",
            queries=((f"sum by (model_name) (rate(vllm:request_success_total{{{own}}}[{_WINDOW}]))",
                      "{{model_name}}"),),
        ),
        Panel(
            title="Queue", about="Requests that wait; the autoscaler starts another server at 5 a replica.",
            unit="short", queries=(
                (f"sum by (model_name) (vllm:num_requests_waiting{{{own}}})", "{{model_name}} waiting"),
                (f"sum by (model_name) (vllm:num_requests_running{{{own}}})", "{{model_name}} running"),
            ),
        ),
        Panel(
            title="KV cache in use", about="Full, and requests are put back and computed again.", unit="percentunit",
            queries=((f"max by (model_name, pod) (vllm:kv_cache_usage_perc{{{own}}})", "{{pod}}"),), limit=1.0,
        ),
        Panel(
            title="GPU use", about="Busy share of each GPU, as its driver says.", unit="percent",
            queries=((f'avg by (exported_pod) (DCGM_FI_DEV_GPU_UTIL{{exported_namespace="{namespace}"}})',
                      "{{exported_pod}}"),), limit=100.0,
        ),
        Panel(
            title="Cost", about="List price of the GPU nodes that are there now, on demand; the line is the budget.",
            unit="currencyUSD", queries=((_cost(pool, prices), "USD per hour"),), limit=spent,
        ),
        Panel(
            title="Replicas", about="Model servers and applications that are ready.", unit="short",
            queries=((f"sum by (deployment) (kube_deployment_status_replicas_available{{{own}}})", "{{deployment}}"),),
        ),
        Panel(
            title="Tokens", about="Written in a second.", unit="short",
            queries=((f"sum by (model_name) (rate(vllm:generation_tokens_total{{{own}}}[{_WINDOW}]))",
                      "{{model_name}}"),),
        ),
    )  # fmt: skip


def _same(promises: Mapping[str, tuple[int, int]], which: int) -> float | None:
    found = {promise[which] for promise in promises.values()}
    return found.pop() / 1000 if len(found) == 1 else None


def _quantiles(metric: str, own: str) -> tuple[tuple[str, str], ...]:
    buckets = f"sum by (le, model_name) (rate({metric}_bucket{{{own}}}[{_WINDOW}]))"
    return tuple((f"histogram_quantile({q}, {buckets})", f"{{{{model_name}}}} p{q * 100:g}") for q in (0.5, 0.95))


def _nodes(pool: str, kind: str) -> str:
    labels = f'label_llmagentos_dev_pool="{pool}", label_node_kubernetes_io_instance_type="{kind}"'
    return f"(count(kube_node_labels{{{labels}}}) or vector(0))"


def _cost(pool: str, prices: Mapping[str, float]) -> str:
    parts = [f"{_nodes(pool, kind)} * {price:g}" for kind, price in sorted(prices.items())]
    return " + ".join(parts) or "vector(0)"


def dashboard(stack: str, graphs: Sequence[Panel]) -> str:
    """The dashboard as Grafana's JSON, the same text for the same panels."""
    found = [_graph(number, panel) for number, panel in enumerate(graphs)]
    return json.dumps(
        {
            "uid": f"llmagentos-{stack}"[:40], "title": f"LLMAgentOS {stack}", "tags": ["llmagentos"],
            "schemaVersion": 39, "timezone": "utc", "refresh": "30s", "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
            ]},
            "panels": found,
        },
        indent=1, sort_keys=True,
    )  # fmt: skip


def _graph(number: int, panel: Panel) -> dict[str, Any]:
    place = {
        "x": number % _COLUMNS * _WIDTH, "y": number // _COLUMNS * _HEIGHT, "w": _WIDTH, "h": _HEIGHT,
    }  # fmt: skip
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": round(panel.limit, 4)}]
        defaults |= {
            "thresholds": {"mode": "absolute", "steps": steps}, "custom": {"thresholdsStyle": {"mode": "line"}},
        }  # fmt: skip
    return {
        "id": number + 1, "type": "timeseries", "title": panel.title, "description": panel.about, "gridPos": place,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip


def rules(
    namespace: str,
    *,
    promises: Mapping[str, tuple[int, int]],
    pool: str,
    prices: Mapping[str, float],
    budget_usd_per_month: float | None,
) -> list[dict[str, Any]]:
    """Alert rules: a promise that is broken for ten minutes, a server that is full, a model that nobody serves, and
    more spent than the budget allows.

    Args:
        namespace: of the stack.
        promises: TTFT and TPOT in milliseconds, by model.
        pool: name of the GPU pool.
        prices: USD per hour by instance type.
        budget_usd_per_month: of the stack; None for none.
    """
    own = f'namespace="{namespace}"'
    found = []
    for model, (ttft, tpot) in sorted(promises.items()):
        for name, metric, limit in (("TimeToFirstToken", "vllm:time_to_first_token_seconds", ttft),
                                    ("TimePerOutputToken", "vllm:request_time_per_output_token_seconds", tpot)):
            buckets = f'sum by (le) (rate({metric}_bucket{{{own}, model_name="{model}"}}[{_WINDOW}]))'
            slow = f"histogram_quantile(0.9, {buckets}) > {limit / 1000:g}"
            found.append(_rule(name, slow, "10m", model, f"{model}: one request in ten is slower than {limit} ms"))
        waits = f'min(kube_deployment_status_replicas_available{{{own}, deployment="{model}"}}) == 0'
        found.append(_rule("NoModelServer", waits, "5m", model, f"{model}: no replica is ready"))
    full = f"max by (model_name) (vllm:kv_cache_usage_perc{{{own}}}) > 0.95"
    found.append(_rule("KvCacheFull", full, "10m", "{{ $labels.model_name }}",
                       "{{ $labels.model_name }}: the KV cache is full, and requests are computed again"))
    if budget_usd_per_month:
        spent = f"{_cost(pool, prices)} > {budget_usd_per_month / _HOURS_PER_MONTH:.4f}"
        found.append(_rule("OverBudget", spent, "1h", "", f"more than {budget_usd_per_month:g} USD a month is spent"))
    return found  # fmt: skip


def _rule(name: str, query: str, lasting: str, model: str, summary: str) -> dict[str, Any]:
    labels = {"severity": "warning", **({"model": model} if model else {})}
    return {"alert": name, "expr": query, "for": lasting, "labels": labels, "annotations": {"summary": summary}}
