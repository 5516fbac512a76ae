from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from benchmarks import throughput
from planner.catalogue import load

_COLUMNS = (
    "backend,backend_version,model_path,system,precision,mode,isl,osl,gemm_quant_mode,batch_size,tp_size,pp_size,"
    "attention_dp_size,moe_tp_size,moe_ep_size,silicon_ttft_ms,silicon_tpot_ms"
)
_DENSE = "vllm,0.12.0,Qwen/Qwen3-32B,h100_sxm,,agg,1024,512,,16,2,1,,1,1,190,17.9"
_MIXTURE = "vllm,0.18.0,openai/gpt-oss-120b,h200_sxm,fp4,agg,1024,1024,nvfp4,16,2,1,1,2,1,93,7.9"
_UNKNOWN = "vllm,0.12.0,acme/none,h100_sxm,,agg,1024,512,,16,2,1,,1,1,190,17.9"


def _write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([_COLUMNS, *rows]) + "\n", encoding="utf-8")
    return path


def test_every_row_of_another_file_is_scored(tmp_path, capsys):
    code = throughput.main([str(_write(tmp_path / "rows.csv", _DENSE, _MIXTURE, _UNKNOWN))])
    lines = capsys.readouterr().out.splitlines()
    figures = json.loads(lines[-1])
    assert code == 0
    assert set(figures) == {"tpot_mape_dense", "tpot_mape_moe", "ttft_mape_dense", "rows"}
    assert figures["rows"] == 2
    assert figures["tpot_mape_dense"] < throughput.TPOT_DENSE_MAX
    assert "1 rows left out, not in the catalogue: acme/none on h100_sxm" in lines


def test_a_missed_bar_is_a_failure(tmp_path, capsys):
    slow = _DENSE.replace("17.9", "60")
    assert throughput.main([str(_write(tmp_path / "rows.csv", slow))]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["tpot_mape_moe"] is None


def test_only_odd_groups_of_the_calibration_file_are_scored(tmp_path, capsys, monkeypatch):
    path = _write(tmp_path / "rows.csv", _DENSE, _MIXTURE, _DENSE.replace("h100_sxm", "gb200"))
    constants = tmp_path / "constants.toml"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    constants.write_text(f'[calibration]\nfile_sha256 = "{digest}"\n', encoding="utf-8")
    monkeypatch.setattr(throughput, "CONSTANTS", constants)
    throughput.main([str(path)])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rows"] == 2


@pytest.mark.parametrize(("group", "even"), [("Qwen/Qwen3-32B/h100_sxm", False), ("Qwen/Qwen3-32B/gb200", True)])
def test_groups_are_told_apart_by_their_hash(tmp_path, group: str, even: bool):
    model, _, system = group.rpartition("/")
    row = _DENSE.replace("Qwen/Qwen3-32B", model).replace("h100_sxm", system)
    (measurement,) = throughput.read_measurements(_write(tmp_path / "rows.csv", row), catalogue=load())
    assert (measurement.group, measurement.even) == (group, even)


def test_gpus_that_share_only_experts_serve_their_own_users(tmp_path):
    row = _MIXTURE.replace("16,2,1,1,2,1", "16,1,1,4,2,2")
    (measurement,) = throughput.read_measurements(_write(tmp_path / "rows.csv", row), catalogue=load())
    setup = measurement.setup
    assert (setup.tensor_parallel, setup.data_parallel, setup.expert_ranks) == (1, 4, 4)
