"""Histories of requests: what is sized from them, what the lock keeps, when it is stale, and what is deployed."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalogue import load
from planner.faults import UserFault
from planner.lock import parse_lock
from planner.plan import Plan, make_plan
from planner.settings import RequestHistory, parse
from planner.sizing import Sizing
from planner.sizing.decide import decide
from planner.sizing.expected import forecast_of
from planner.sizing.schedules import hourly
from tests.support import by_name

ROOT = Path(__file__).parents[2]
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
RAW: dict[str, Any] = {
    "target": "kubernetes",
    "context": "c",
    "environment": "staging",
    "registry": {"server": "registry.example.com/team"},
    "observability": {"prometheus_url": "http://prometheus.monitoring:9090"},
    "gpu_pool": {"node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}},
    "applications": {"assistant": {"image": {"build": "./app"}, "model": "chat"}},
    "models": {
        "chat": {
            "source": "Qwen/Qwen3-8B",
            "hardware": "auto",
            "autoscaling": "keda",
            "slo": {"ttft_ms": 500, "tpot_ms": 80},
            "traffic": {"history": {"file": "rates.csv"}, "input_tokens": 800, "output_tokens": 200},
        }
    },
}


def changed(**paths: Any) -> dict[str, Any]:
    """The stack with values at paths such as ``models__chat__replicas``; ``None`` removes a key."""
    raw = copy.deepcopy(RAW)
    for path, value in paths.items():
        *parents, last = path.split("__")
        target = raw
        for part in parents:
            target = target.setdefault(part, {})
        if value is None:
            del target[last]
        else:
            target[last] = value
    return raw


def office_hours(folder: Path, *, weeks: int = 3, quiet: float = 3.0, busy: float = 20.0, name: str = "rates") -> Path:
    """Rates per 20 minutes: busy from 08:00 to 18:00 UTC on weekdays, quiet otherwise, with a little noise."""
    noise = np.random.default_rng(3)
    lines = ["timestamp,requests_per_second"]
    for step in range(weeks * 7 * 72):
        moment = MONDAY + timedelta(minutes=20 * step)
        rate = busy if moment.weekday() < 5 and 8 <= moment.hour < 18 else quiet
        lines.append(f"{moment.isoformat()},{rate * noise.gamma(400, 1 / 400):.4f}")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sized(raw: dict[str, Any], folder: Path) -> Sizing:
    return decide(parse(raw, where="Pulumi.x.yaml"), load(), where="Pulumi.x.yaml", folder=folder)


def planned(raw: dict[str, Any], folder: Path, sizing: Sizing | None) -> Plan:
    lock = parse_lock({"sizing": sizing.model_dump(mode="json")} if sizing else {}, where="locks/x.json")
    return make_plan(parse(raw, where="Pulumi.x.yaml"), stack="x", lock=lock, folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("history")
    office_hours(made)
    return made


@pytest.fixture(scope="module")
def sizing(folder: Path) -> Sizing:
    return sized(RAW, folder)


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


def test_a_changed_file_makes_the_lock_stale_in_words(tmp_path: Path) -> None:
    office_hours(tmp_path)
    kept = sized(RAW, tmp_path)
    assert planned(RAW, tmp_path, kept).models
    office_hours(tmp_path, busy=25)
    with pytest.raises(UserFault) as caught:
        planned(RAW, tmp_path, kept)
    assert "the file of models.chat.traffic.history has changed" in str(caught.value)
    assert "python3 -m llmos size --stack x" in str(caught.value)
    (tmp_path / "rates.csv").unlink()
    with pytest.raises(UserFault, match="the history cannot be read: No such file"):
        planned(RAW, tmp_path, kept)


def test_stated_hardware_needs_a_lock_for_its_schedule_only(folder: Path) -> None:
    raw = changed(models__chat__replicas={"min": 1, "max": 9}, models__chat__hardware={"instance_type": "g6e.xlarge"})
    with pytest.raises(UserFault, match="needs requests_per_second_per_replica"):
        parse(raw, where="P")
    raw["models"]["chat"]["traffic"]["history"]["requests_per_second_per_replica"] = 5
    with pytest.raises(UserFault, match=r"models\.chat has a history, and the lock has no sizing"):
        planned(raw, folder, None)
    made = sized(raw, folder)
    assert made.models == {} and max(hourly(made.schedules["models.chat"])) >= 4
    (model,) = planned(raw, folder, made).models
    assert (model.replicas_max, bool(model.schedule)) == (9, True)


def test_without_an_autoscaler_all_replicas_run_and_that_is_said(folder: Path) -> None:
    raw = changed(models__chat__autoscaling="fixed")
    made = sized(raw, folder)
    assert made.schedules["models.chat"].kept_by.startswith("nothing: autoscaling is fixed")
    (model,) = planned(raw, folder, made).models
    assert model.replicas_min == model.replicas_max == made.models["chat"].replicas
    assert model.schedule == ()


def test_lengths_come_from_a_history_of_single_requests(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    long, short = tmp_path / "long.csv", tmp_path / "short.csv"
    for path, mean in ((long, 2500), (short, 100)):
        times = np.cumsum(draw.exponential(0.5, 9000))
        lines = [
            f"{(MONDAY + timedelta(seconds=float(second))).isoformat()},{int(draw.gamma(2, mean / 2)) + 1},"
            f"{int(draw.gamma(2, 50)) + 1}"
            for second in times
        ]
        path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(lines) + "\n", encoding="utf-8")
    costs = {
        path.name: sized(changed(models__chat__traffic={"history": {"file": path.name}}), tmp_path).models["chat"]
        for path in (long, short)
    }
    assert costs["long.csv"].requests_per_second < costs["short.csv"].requests_per_second


def test_a_history_without_lengths_needs_them_stated(folder: Path) -> None:
    with pytest.raises(UserFault, match="has rates, not the lengths of requests"):
        sized(changed(models__chat__traffic={"history": {"file": "rates.csv"}}), folder)


def test_every_bad_cell_is_one_fault(tmp_path: Path) -> None:
    path = office_hours(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[3], lines[7] = "yesterday,4", lines[7].split(",")[0] + ",many"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UserFault) as caught:
        sized(RAW, tmp_path)
    assert [fault.where.rpartition(":")[2] for fault in caught.value.faults] == ["4", "8"]


def test_seconds_since_an_unknown_start_are_sized_for_but_not_scheduled(tmp_path: Path) -> None:
    rates = [20 if 8 <= index // 6 % 24 < 18 else 3 for index in range(15 * 144)]
    lines = ["service,t_seconds,req_per_s", *(f"a,{600 * index},{rate}" for index, rate in enumerate(rates))]
    (tmp_path / "rates.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    schedule = sized(RAW, tmp_path).schedules["models.chat"]
    assert schedule.windows == () and "unknown start" in schedule.kept_by
    history = {"file": "rates.csv", "start": "2026-11-02T00:00:00Z"}
    anchored = sized(changed(models__chat__traffic__history=history), tmp_path).schedules["models.chat"]
    assert anchored.windows and {window.hours for window in anchored.windows} == {"08:00-18:00"}


def test_a_preview_with_a_current_lock_imports_neither_solver_nor_forecast(folder: Path, sizing: Sizing) -> None:
    kept = folder / "lock.json"
    kept.write_text(json.dumps({"raw": RAW, "sizing": sizing.model_dump(mode="json")}), encoding="utf-8")
    program = (
        "import json, pathlib, sys\n"
        "from planner.lock import parse_lock\n"
        "from planner.plan import make_plan\n"
        "from planner.settings import parse\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "kept = json.loads((folder / 'lock.json').read_text(encoding='utf-8'))\n"
        "lock = parse_lock({'sizing': kept['sizing']}, where='locks/x.json')\n"
        "plan = make_plan(parse(kept['raw'], where='P'), stack='x', lock=lock, folder=folder)\n"
        "banned = {'highspy', 'scipy', 'numpy', 'planner.allocation', 'planner.demand', 'planner.sizing.decide'}\n"
        "print(len(plan.models[0].schedule), sorted(banned & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "[]"]


def test_a_lock_with_an_edited_window_is_one_clear_fault(folder: Path, sizing: Sizing) -> None:
    content = sizing.model_dump(mode="json")
    content["schedules"]["models.chat"]["windows"][0]["hours"] = "08:30-18:00"
    with pytest.raises(UserFault, match="is no window of a week as the program writes it"):
        planned(RAW, folder, Sizing.model_validate(content))


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
