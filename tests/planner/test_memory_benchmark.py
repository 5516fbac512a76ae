from __future__ import annotations

import json
from pathlib import Path

from benchmarks import memory_fit

_COLUMNS = (
    "model,params_b,layers,kv_heads,head_dim,dtype,gpu,gpu_mem_gib,num_gpus,max_model_len,gpu_memory_utilization,"
    "fits_or_kv_tokens,source,kv_dtype,weights_gib_per_gpu,kv_gib_per_gpu,attn_class,outcome_at_max_model_len,notes,"
    "utilization_value,enforce_eager"
)
_LLAMA = "Llama-3.1-8B-Instruct,8.03,32,8,128,bf16,H100 80GB,79.25,1,131072,0.92,{tokens},log,bf16,,,full,fits,,0.92,"
_TOO_LARGE = "Meta-Llama-3-70B-Instruct,70.6,80,8,128,bf16,A100 80GB,80,1,8192,any,does_not_fit,x,bf16,,,full,{said},,,"


def _run(path: Path, rows: list[str], capsys) -> tuple[int, dict]:
    path.write_text("\n".join([_COLUMNS, *rows]) + "\n", encoding="utf-8")
    code = memory_fit.main([str(path)])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_good_predictions_reach_the_bar(tmp_path, capsys):
    rows = [_LLAMA.format(tokens=460496), _TOO_LARGE.format(said="does_not_fit")]
    code, figures = _run(tmp_path / "fit.csv", rows, capsys)
    assert code == 0
    assert figures["rows"] == 1
    assert figures["median_ape_full_attention"] < 0.02
    assert (figures["false_fits"], figures["false_rejects"]) == (0, 0)
    assert figures["kaito_median_ape"] > figures["median_ape"]


def test_a_wrong_prediction_misses_the_bar(tmp_path, capsys):
    code, figures = _run(tmp_path / "fit.csv", [_LLAMA.format(tokens=230248)], capsys)
    assert code == 1
    assert figures["median_ape"] > 0.9


def test_a_model_that_is_said_to_fit_and_does_not_is_a_false_reject(tmp_path, capsys):
    _, figures = _run(tmp_path / "fit.csv", [_LLAMA.format(tokens=460496), _TOO_LARGE.format(said="fits")], capsys)
    assert figures["false_rejects"] == 1


def test_the_engine_is_read_from_the_row():
    row = {"notes": "", "gpu_memory_utilization": "0.9"}
    assert memory_fit.engine_version(row) == "0.21"
    assert memory_fit.engine_version({**row, "notes": "1952 GPU blocks x16"}) == "0.6"
    assert memory_fit.engine_version({**row, "notes": "vLLM 0.19.0"}) == "0.19.0"
    assert memory_fit.engine_version({**row, "gpu_memory_utilization": "default(0.90)"}) == "0.10"
