"""How long ``llmos size`` takes for five models over every GPU type of the catalogue: ``python3 -m benchmarks.size``.

The whole command is measured in a process of its own, start of Python included: reading the stack file, memory and
throughput of every option, one program over all models, its reasons, and the lock. The bar: 2 s and 300 MB. Other
programs of the machine lengthen the time by the clock, so the bar is held against processor time as well: the command
computes on one thread, and on an idle machine both are the same. The best of a few runs counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from planner.catalogue import load

_BAR_SECONDS = 2.0
_BAR_MB = 300.0
_RUN = """
import pathlib, runpy, sys
try:
    runpy.run_module("llmos", run_name="__main__", alter_sys=True)
finally:
    status = pathlib.Path("/proc/self/status")
    print(status.read_text() if status.exists() else "", file=sys.stderr)
"""
"""The command, which tells at its end how much memory it held at most."""
_ROOT = Path(__file__).parent.parent
_MODELS = {
    "Qwen/Qwen3-8B": 2, "Qwen/Qwen3-32B": 4, "meta-llama/Llama-3.3-70B-Instruct": 3, "Qwen/Qwen3-30B-A3B": 20,
    "Qwen/Qwen3-0.6B": 50,
}  # fmt: skip


def stack_file(folder: Path) -> Path:
    """A stack of five models of different sizes and kinds, each with its own load."""
    models = {
        f"m{number}": {
            "source": source, "hardware": "auto", "slo": {"ttft_ms": 1000, "tpot_ms": 60},
            "traffic": {"requests_per_second": rate, "input_tokens": 800, "output_tokens": 200},
        }
        for number, (source, rate) in enumerate(_MODELS.items())
    }  # fmt: skip
    stack = {"target": "local", "environment": "staging", "applications": {"a": {"image": {"build": "./app"}}}}
    path = folder / "Pulumi.five.yaml"
    path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": {**stack, "models": models}}}), encoding="utf-8")
    return path


def measure(path: Path) -> dict[str, float]:
    """One run: seconds by the clock and of the processor, and the most memory it held."""
    command = [sys.executable, "-c", _RUN, "size", "--file", str(path), "--json"]
    environment = {**os.environ, "LLMOS_LOCKS": str(path.parent)}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as told:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=output, stderr=told)
        # This child's own use: the figures of all children together keep the largest that ever ran.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
        output.seek(0)
        said = output.read().decode("utf-8")
        told.seek(0)
        peaks = [line.split()[1] for line in told.read().decode("utf-8").splitlines() if line.startswith("VmHWM:")]
    cpu = used.ru_utime + used.ru_stime
    # Linux counts what the parent held when it forked into the maximum of a child; what a child reads is its own.
    peak = float(peaks[0]) / 1e3 if peaks else used.ru_maxrss / 1e6
    sized = json.loads(said)["sizing"]["models"]
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak, "models": len(sized)}


def main(argv: list[str] | None = None) -> int:
    """Print the figures; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.size", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the best counts (default 3)")
    runs = max(1, parser.parse_args(argv).runs)
    gpu_types = {kind.gpu for kind in load().instances.values() if kind.gpu and kind.supported}
    with tempfile.TemporaryDirectory() as folder:
        path = stack_file(Path(folder))
        # The first run may bring the virtual environment up to date and compiles what Python keeps compiled.
        measure(path)
        measured = [measure(path) for _ in range(runs)]
    for run in measured:
        print(f"{run['models']:g} models: {run['seconds']:.2f} s by the clock, {run['cpu_seconds']:.2f} s of the "
              f"processor, {run['peak_mb']:.0f} MB")  # fmt: skip
    best = {key: round(min(run[key] for run in measured), 3) for key in ("seconds", "cpu_seconds", "peak_mb")}
    figures = {"models": int(measured[0]["models"]), "gpu_types": len(gpu_types), **best, "cores": os.cpu_count()}
    print(json.dumps(figures))
    return 0 if best["cpu_seconds"] <= _BAR_SECONDS and best["peak_mb"] <= _BAR_MB else 1


if __name__ == "__main__":
    sys.exit(main())
