"""Histories of requests as files: what is read from them, what the lock keeps of them, and when it is stale."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from planner.faults import UserFault
from planner.settings import parse
from planner.sizing import Sizing
from planner.sizing.schedules import hourly
from tests.planner.histories import MONDAY, RAW, changed, office_hours, planned, sized

ROOT = Path(__file__).parents[2]


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
