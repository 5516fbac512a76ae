"""The benchmarks on rows of the same kind that nobody foresaw: odd ones are left out by name, the others count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import autoscaling, forecast, memory_fit, size, throughput
from benchmarks._rows import base_name, positive, same_model, whole
from planner.catalogue import load

FIT = (
    "model,params_b,layers,kv_heads,head_dim,dtype,gpu,gpu_mem_gib,num_gpus,max_model_len,gpu_memory_utilization,"
    "fits_or_kv_tokens,kv_dtype,attn_class,outcome_at_max_model_len,notes,utilization_value,enforce_eager"
)
GOOD_FIT = "Qwen/Qwen3-8B,8.2,36,8,128,bf16,H100 80GB,80,1,32768,0.92,400000,bf16,full,fits,,0.92,"
LATENCY = (
    "backend,model_path,system,isl,osl,gemm_quant_mode,batch_size,tp_size,moe_tp_size,moe_ep_size,silicon_ttft_ms,"
    "silicon_tpot_ms"
)
GOOD_LATENCY = "vllm,Qwen/Qwen3-32B,h100_sxm,1000,500,,4,2,0,0,120.5,14.2"
RATES = "service,t_seconds,req_per_s"


def written(folder: Path, *lines: str) -> str:
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def printed(capsys: pytest.CaptureFixture[str]) -> tuple[str, dict]:
    text = capsys.readouterr().out
    return text, json.loads(text.strip().splitlines()[-1], parse_constant=pytest.fail)


def test_memory_fit_leaves_out_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = (
        "Qwen/Qwen3-8B,8.2,36,8,128,bf16,H100 80GB,not stated,1,32768,0.92,380000,bf16,full,fits,,0.92,",
        "somebody/new-9b,9,40,8,128,bf16,RTX 6090,48,1,nan,0.9,fits,bf16,,fits,,,",
        "somebody/unknown,NaN,,,,bf16,H100,80,2.5,32768,0.92,-1,bf16,,fits,,7,",
        "Qwen/Qwen3-8B-AWQ,8.2,36,8,128,awq,L4,24,1,8192,0.9,0,bf16,hybrid,fits,vLLM 0.10,0.9,true",
    )
    code = memory_fit.main([written(tmp_path, FIT, GOOD_FIT, *odd)])
    text, figures = printed(capsys)
    assert (code, figures["rows"], figures["false_rejects"]) == (0, 1, 0)
    assert text.count("left out") == 2
    assert {"rows", "median_ape", "median_ape_full_attention", "p90_ape", "false_fits", "false_rejects",
            "kaito_median_ape"} <= set(figures)  # fmt: skip
    assert memory_fit.main([written(tmp_path, FIT)]) == 1
    assert printed(capsys)[1]["median_ape"] is None


def test_throughput_leaves_out_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = (
        "vllm,nobody/knows,h100_sxm,1000,500,,4,1,0,0,120,10", "tgi,Qwen/Qwen3-32B,h100_sxm,1000,500,,4,2,0,0,120,14",
        "vllm,Qwen/Qwen3-32B,h100_sxm,1000,500,,4,2,0,0,,14", "vllm,Qwen/Qwen3-32B,abacus,1000,500,,4,2,0,0,120,14",
    )  # fmt: skip
    throughput.main([written(tmp_path, LATENCY, GOOD_LATENCY, *odd)])
    text, figures = printed(capsys)
    assert figures["rows"] == 1 and figures["tpot_mape_moe"] is None and figures["tpot_mape_dense"] >= 0
    assert text.count("rows left out") == 4


def test_the_demand_benchmarks_leave_out_services_without_outcomes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"steady,{1800 * index},{10 + index % 7}" for index in range(48 * 6)]
    lines += [f"silent,{1800 * index},0" for index in range(48 * 6)]
    lines += ["once,0,5"]
    path = written(tmp_path, RATES, *lines)
    forecast.main([path])
    text, summary = printed(capsys)
    assert {row["service"] for row in summary["rows"]} == {"steady"}
    assert "left out: silent" in text and "left out: once" in text
    autoscaling.main([path])
    text, summary = printed(capsys)
    assert [row["service"] for row in summary["services"]] == ["steady"] and "left out: silent" in text


def test_a_flat_series_is_forecast_without_dividing_by_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forecast.main([written(tmp_path, RATES, *(f"flat,{3600 * index},5" for index in range(24 * 9)))])
    assert {row["over_best_baseline"] for row in printed(capsys)[1]["rows"]} == {1.0}


@pytest.mark.parametrize("benchmark", [memory_fit, throughput])
def test_a_file_of_another_kind_is_one_message(
    benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, words in (
        (written(tmp_path, "a,b", "1,2"), "has no column"), (str(tmp_path / "none.csv"), "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            benchmark.main([path])
        assert stop.value.code == 1 and words in capsys.readouterr().err


def test_names_of_the_same_architecture_meet() -> None:
    catalogue = load()
    assert base_name("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic") == base_name("meta-llama/Llama-3.3-70B")
    for name in ("nvidia/Llama-3.1-8B-Instruct-FP8", "meta-llama/Meta-Llama-3.1-8B"):
        found = same_model(name, catalogue)
        assert found is not None and found.id == "meta-llama/Llama-3.1-8B-Instruct"
    assert same_model("somebody/else-3b", catalogue) is None
    assert [positive(text) for text in ("3.5", "NaN", "-1", "", "inf")] == [3.5, None, None, None, None]
    assert [whole(text) for text in ("4", "4.0", "4.5")] == [4, 4, None]


def test_the_size_benchmark_measures_the_whole_command(capsys: pytest.CaptureFixture[str]) -> None:
    size.main(["--runs", "1"])
    _, figures = printed(capsys)
    assert figures["models"] == 5 and figures["gpu_types"] >= 12
    # More than any interpreter takes, less than the largest other child of a test run.
    assert figures["cpu_seconds"] > 0 and 20 < figures["peak_mb"] < 600
