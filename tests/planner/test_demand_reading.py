"""Reading request histories: every form a user may have, and one clear fault per fault."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from planner.demand import read_history, read_requests, series_names
from planner.faults import UserFault


def written(folder: Path, text: str) -> Path:
    path = folder / "history.csv"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path, service: str | None = None) -> list[str]:
    with pytest.raises(UserFault) as caught:
        read_history(path, service=service)
    return [str(fault) for fault in caught.value.faults]


def test_rates_at_iso_times(tmp_path: Path) -> None:
    rows = "".join(f"2026-03-02T{hour:02}:00:00Z,{hour}\n" for hour in range(24))
    history = read_history(written(tmp_path, "timestamp,requests_per_second\n" + rows))
    assert history.bin_seconds == 3600
    assert history.anchored
    assert history.start_seconds == 1_772_409_600
    np.testing.assert_allclose(history.rates, np.arange(24))


def test_counts_are_divided_by_the_time_they_cover(tmp_path: Path) -> None:
    rows = "".join(f"{1_772_409_600 + 600 * i},{1200}\n" for i in range(30))
    history = read_history(written(tmp_path, "time,requests\n" + rows))
    np.testing.assert_allclose(history.rates, 2.0)


def test_a_count_before_a_gap_does_not_cover_the_gap(tmp_path: Path) -> None:
    times = [0, 600, 1200, 1800, 9000, 9600, 10_200]
    history = read_history(written(tmp_path, "t,count\n" + "".join(f"{t},600\n" for t in times)))
    assert not history.anchored
    known = history.rates[history.known]
    np.testing.assert_allclose(known, 1.0)
    assert known.size == len(times)
    assert history.rates.size == 18


def test_offsets_are_converted_and_rows_may_come_in_any_order(tmp_path: Path) -> None:
    rows = [f"2026-03-02T{hour:02}:00:00+02:00,{hour}\n" for hour in range(24)]
    ordered = read_history(written(tmp_path, "\ufeffTimestamp,RPS,comment\n" + "".join(rows)))
    random.Random(1).shuffle(rows)
    shuffled = read_history(written(tmp_path, "Timestamp,RPS,comment\n" + "".join(rows)))
    assert ordered.start_seconds == 1_772_409_600 - 7200 == shuffled.start_seconds
    np.testing.assert_array_equal(ordered.rates, shuffled.rates)


def test_irregular_samples_are_averaged_by_the_time_they_cover(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, "t,rate\n0,1\n600,1\n1200,1\n1500,4\n1800,7\n2400,1\n3000,1\n3600,1\n"))
    assert history.bin_seconds == 600
    np.testing.assert_allclose(history.rates, [1, 1, 2.5, 7, 1, 1, 1])


def test_an_empty_cell_is_unknown_and_a_zero_is_zero(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, "t,rate\n0,1\n600,\n1200,0\n1800,nan\n2400,2\n"))
    np.testing.assert_array_equal(history.rates, [1, np.nan, 0, np.nan, 2])


def test_single_requests_give_rates_and_lengths(tmp_path: Path) -> None:
    rows = "".join(f"2023-11-16 18:{i // 60:02}:{i % 60:02}.1234567,{100 + i},{i % 7}\n" for i in range(1800))
    path = written(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n" + rows)
    trace = read_requests(path)
    assert trace.arrivals_seconds.size == trace.input_tokens.size == trace.output_tokens.size == 1800
    assert trace.input_tokens[5] == 105
    assert trace.history.zeros_are_measured
    np.testing.assert_allclose(trace.history.rates[1:-1], 1.0)
    np.testing.assert_array_equal(read_history(path).rates, trace.history.rates)


def test_one_file_may_hold_several_services(tmp_path: Path) -> None:
    rows = "".join(f"{name},{600 * i},{rate}\n" for name, rate in (("b", 2), ("a", 1)) for i in range(20))
    path = written(tmp_path, "service,t_seconds,req_per_s\n" + rows)
    assert series_names(path) == ("b", "a")
    np.testing.assert_allclose(read_history(path, service="a").rates, 1.0)
    (unchosen,) = faults_of(path)
    assert "several services" in unchosen and "a, b" in unchosen and "choose one" in unchosen
    (unknown,) = faults_of(path, "c")
    assert "no service `c`" in unknown


def test_every_bad_cell_is_reported_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "timestamp,rate\nyesterday,1\n2026-03-02,fast\n\n2026-03-03,-1\n2026-03-04,inf\n")
    faults = faults_of(path)
    assert [fault.split(":")[1] for fault in faults] == ["2", "3", "5", "6"]
    assert "`yesterday` is not a time" in faults[0]
    assert "`fast` is not a number" in faults[1]
    assert "`-1` is not a finite number of at least 0" in faults[2]
    assert all("To fix:" in fault for fault in faults)


def test_a_repeated_time_names_both_lines(tmp_path: Path) -> None:
    (fault,) = faults_of(written(tmp_path, "t,rate\n0,1\n600,2\n600,3\n1200,1\n"))
    assert fault.startswith(f"{tmp_path / 'history.csv'}:4: repeats the time of line 3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate\n1\n", "has no time column"),
        ("", "the header has nothing"),
        ("t,rate\n", "has no rows"),
        ("t,rate\n0,1\n", "has 1 row(s)"),
        ("t,rate\n0,1\n86400,1\n172800,1\n", "one row per 24 hours"),
        ("t\n5\n5\n", "request(s) at one time"),
        ("t,rate\n0,1\n1,1\n2,1\n1e9,1\n", "is one of its times wrong"),
    ],
)
def test_files_that_say_too_little(tmp_path: Path, text: str, said: str) -> None:
    (fault,) = faults_of(written(tmp_path, text))
    assert said in fault


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "there is no such file" in faults_of(tmp_path / "absent.csv")[0]
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"t,rate\n0,\xff\xfe\n")
    assert "cannot be read as CSV in UTF-8" in faults_of(binary)[0]
    assert "cannot be read" in faults_of(tmp_path)[0]
    with pytest.raises(UserFault, match="not single requests"):
        read_requests(written(tmp_path, "t,rate\n0,1\n600,1\n"))
