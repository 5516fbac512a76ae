"""Histories of requests: what is sized from them, the schedules that come of it, and what is deployed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.settings import RequestHistory
from planner.sizing import Sizing
from planner.sizing.expected import forecast_of
from planner.sizing.schedules import hourly
from tests.planner.histories import RAW, changed, office_hours, planned, sized
from tests.support import by_name


def test_office_hours_become_a_window_that_people_can_read(sizing: Sizing) -> None:
    schedule = sizing.schedules["models.chat"]
    (window,) = schedule.windows
    assert (window.days, window.hours) == ("Mon-Fri", "08:00-18:00")
    assert 1 <= schedule.otherwise < window.replicas == sizing.models["chat"].replicas
    assert schedule.kept_by == "KEDA cron triggers" and schedule.accuracy


def test_the_stated_quantile_of_the_demand_is_carried_in_every_hour(folder: Path, sizing: Sizing) -> None:
    schedule, chat = sizing.schedules["models.chat"], sizing.models["chat"]
    forecast = forecast_of(RequestHistory(file="rates.csv"), folder=folder)
    demand, ready = forecast.quantile(0.9), hourly(schedule)
    for index, rate in enumerate(demand):
        moment = datetime.fromtimestamp(forecast.start_seconds + index * forecast.bin_seconds, tz=UTC)
        replicas = ready[moment.weekday() * 24 + moment.hour]
        assert replicas * schedule.requests_per_second_per_replica >= rate * (1 - 1e-3)
    assert chat.asked_requests_per_second == pytest.approx(demand.max(), rel=1e-4)
    assert chat.replicas * chat.requests_per_second >= demand.max() * 0.97


def test_a_higher_quantile_never_asks_for_less(folder: Path, sizing: Sizing) -> None:
    history = {"file": "rates.csv", "quantile": 0.99}
    surer = sized(changed(models__chat__traffic__history=history), folder)
    pairs = zip(hourly(sizing.schedules["models.chat"]), hourly(surer.schedules["models.chat"]), strict=True)
    assert all(plain <= high for plain, high in pairs)
    assert surer.models["chat"].asked_requests_per_second >= sizing.models["chat"].asked_requests_per_second


def test_keda_keeps_the_schedule_and_starts_before_its_windows(folder: Path, sizing: Sizing) -> None:
    plan = planned(RAW, folder, sizing)
    schedule, (model,) = sizing.schedules["models.chat"], plan.models
    assert (model.replicas_min, model.replicas_max) == (schedule.otherwise, sizing.models["chat"].replicas)
    # 16 GiB of weights: five minutes for node and server, and three to load them.
    assert [(item.start, item.end) for item in model.schedule] == [("52 7 * * 1-5", "0 18 * * 1-5")]
    assert [item.replicas for item in model.schedule] == [window.replicas for window in schedule.windows]


def test_the_scaled_object_holds_queue_cache_and_clock(folder: Path) -> None:
    raw = changed(environment="dev", models__chat__traffic__history={"file": str(folder / "rates.csv")})
    scaled = by_name(raw)["ScaledObject", "chat"]["spec"]
    kinds = [trigger["type"] for trigger in scaled["triggers"]]
    assert kinds == ["prometheus", "prometheus", "cron"]
    cron = scaled["triggers"][-1]["metadata"]
    assert (cron["timezone"], cron["end"]) == ("UTC", "0 18 * * 1-5")
    assert scaled["minReplicaCount"] < int(cron["desiredReplicas"]) <= scaled["maxReplicaCount"]


def test_an_application_with_a_history_is_scaled_by_keda_and_one_without_by_a_plain_hpa(folder: Path) -> None:
    history = {"file": str(folder / "rates.csv"), "requests_per_second_per_replica": 2.5}
    replicas = {"min": 2, "max": 12, "cpu_percent": 60}
    raw = changed(environment="dev", models__chat__traffic__history={"file": str(folder / "rates.csv")})
    raw["applications"]["assistant"]["replicas"] = replicas
    assert ("HorizontalPodAutoscaler", "assistant") in by_name(raw)
    raw["applications"]["assistant"]["replicas"] = {**replicas, "history": history}
    objects = by_name(raw)
    assert ("HorizontalPodAutoscaler", "assistant") not in objects
    scaled = objects["ScaledObject", "assistant"]
    # KEDA takes over the HPA that was there, which Pulumi then removes.
    assert scaled["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"
    spec = scaled["spec"]
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == "assistant"
    assert spec["triggers"][0] == {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}
    assert spec["triggers"][1]["metadata"]["start"] == "58 7 * * 1-5"
    busy = int(spec["triggers"][1]["metadata"]["desiredReplicas"])
    assert math.ceil(20 / 2.5) <= busy <= 12 and spec["minReplicaCount"] == 2


def test_a_maximum_that_is_too_low_is_told(folder: Path) -> None:
    raw = changed(models__chat__replicas={"min": 1, "max": 2})
    raw["models"]["chat"]["traffic"]["history"]["requests_per_second_per_replica"] = 4
    raw["models"]["chat"]["hardware"] = {"instance_type": "g6e.xlarge"}
    schedule = sized(raw, folder).schedules["models.chat"]
    assert max(hourly(schedule)) == 2
    assert any("2 replicas carry 8 requests/s" in warning for warning in schedule.warnings)


def test_without_an_autoscaler_all_replicas_run_and_that_is_said(folder: Path) -> None:
    raw = changed(models__chat__autoscaling="fixed")
    made = sized(raw, folder)
    assert made.schedules["models.chat"].kept_by.startswith("nothing: autoscaling is fixed")
    (model,) = planned(raw, folder, made).models
    assert model.replicas_min == model.replicas_max == made.models["chat"].replicas
    assert model.schedule == ()


def test_seconds_since_an_unknown_start_are_sized_for_but_not_scheduled(tmp_path: Path) -> None:
    rates = [20 if 8 <= index // 6 % 24 < 18 else 3 for index in range(15 * 144)]
    lines = ["service,t_seconds,req_per_s", *(f"a,{600 * index},{rate}" for index, rate in enumerate(rates))]
    (tmp_path / "rates.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    schedule = sized(RAW, tmp_path).schedules["models.chat"]
    assert schedule.windows == () and "unknown start" in schedule.kept_by
    history = {"file": "rates.csv", "start": "2026-11-02T00:00:00Z"}
    anchored = sized(changed(models__chat__traffic__history=history), tmp_path).schedules["models.chat"]
    assert anchored.windows and {window.hours for window in anchored.windows} == {"08:00-18:00"}


@settings(max_examples=6, deadline=None)
@given(st.sampled_from([0.3, 0.5, 0.8, 0.9, 0.97]), st.floats(0.5, 30), st.integers(1, 4))
def test_any_quantile_and_any_replica_are_covered(
    tmp_path_factory: pytest.TempPathFactory, quantile: float, each: float, least: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    if not folder.exists():
        folder.mkdir()
        office_hours(folder)
    history = {"file": "rates.csv", "quantile": quantile, "requests_per_second_per_replica": each}
    raw = changed(models__chat__hardware={"instance_type": "g6e.xlarge"}, models__chat__traffic={"history": history})
    raw["models"]["chat"]["replicas"] = {"min": least, "max": 100}
    schedule = sized(raw, folder).schedules["models.chat"]
    peak = forecast_of(RequestHistory(file="rates.csv", quantile=quantile), folder=folder).peak(quantile)
    assert max(hourly(schedule)) >= min(100, math.ceil(peak / each - 1e-6))
    assert min(hourly(schedule)) >= least
