"""Dashboard: what a stack's people look at, and what wakes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components._base import Component, Identity, meta
from components._dashboard import dashboard, panels, rules
from components._kubernetes import KubernetesObject

__all__ = ["Dashboard", "DashboardArgs"]


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What a dashboard is given.

    Attributes:
        identity: stack and namespace.
        promises: TTFT and TPOT in milliseconds, by model.
        pool: name of the GPU pool; empty for none.
        prices: USD per hour by instance type of its nodes.
        budget_usd_per_month: of the stack; None for none.
    """

    identity: Identity
    promises: Mapping[str, tuple[int, int]]
    pool: str
    prices: Mapping[str, float]
    budget_usd_per_month: float | None


class Dashboard(Component):
    """A ConfigMap that Grafana's sidecar picks up, and a PrometheusRule for the Prometheus operator."""

    def __init__(self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        identity, money = args.identity, args.budget_usd_per_month
        graphs = panels(
            identity.namespace, promises=args.promises, pool=args.pool, prices=args.prices, budget_usd_per_month=money
        )
        metadata = meta(identity, "dashboard", "observability")
        # What the sidecar of Grafana's chart looks for.
        metadata["labels"]["grafana_dashboard"] = "1"
        KubernetesObject(
            "v1", "ConfigMap", name, metadata=metadata,
            data={f"llmagentos-{identity.stack}.json": dashboard(identity.stack, graphs)}, opts=self.child(),
        )  # fmt: skip
        alerts = rules(
            identity.namespace, promises=args.promises, pool=args.pool, prices=args.prices, budget_usd_per_month=money
        )
        KubernetesObject(
            "monitoring.coreos.com/v1", "PrometheusRule", f"{name}-alerts",
            metadata=meta(identity, "alerts", "observability"),
            spec={"groups": [{"name": f"llmagentos-{identity.stack}", "rules": alerts}]}, opts=self.child(),
        )  # fmt: skip
        self.register_outputs({})
