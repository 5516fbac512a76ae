"""How long the program takes beside one written by hand: ``python3 -m benchmarks.preview``.

The dev stack is previewed offline by our program and by ``benchmarks/preview_peer.py``, which registers the same things
with nothing decided and nothing shared; both on the same mock runtime of Pulumi, each run in a fresh interpreter, in
turn. Counted is the program: from its first line, imports included, until everything is registered; the mock runtime
itself is loaded before. The bar: the median of the ratios is at most 1.10, and the policy pack (its start included)
adds at most 1.5 s. Exit code 1 when one is missed, or when the objects differ.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llmos.objects import kubernetes_objects
from llmos.paths import PROJECT_ROOT
from llmos.synth import Program, synth

__all__ = ["PEER", "different_objects", "main", "run_program"]

PEER = PROJECT_ROOT / "benchmarks" / "preview_peer.py"
OURS = PROJECT_ROOT / "__main__.py"
MOST_RATIO = 1.10
MOST_POLICY_SECONDS = 1.5


def main(arguments: list[str]) -> int:
    """Print a line for each run and the JSON summary."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.preview", description="Time an offline preview.")
    parser.add_argument("--runs", type=int, default=7, help="pairs of runs (default 7)")
    runs = max(1, parser.parse_args(arguments).runs)
    pairs = []
    for number in range(runs):
        # In turn, and each first in every other pair: what else the machine does then falls on both.
        order = (OURS, PEER) if number % 2 == 0 else (PEER, OURS)
        seconds = {main_file: _program_seconds(main_file) for main_file in order}
        pairs.append((seconds[OURS], seconds[PEER]))
        print(f"run {number + 1}: program {seconds[OURS]:.3f} s, by hand {seconds[PEER]:.3f} s, "
              f"ratio {seconds[OURS] / seconds[PEER]:.2f}")  # fmt: skip
    programs = [run_program(main_file) for main_file in (OURS, PEER)]
    different = different_objects(*programs)
    # The best of a few, because other programs only ever add time.
    policy_seconds = min(_policy_seconds(programs[0]) for _ in range(3))
    ratio = statistics.median(ours / peer for ours, peer in pairs)
    print(f"median ratio {ratio:.3f}, at most {MOST_RATIO}; policies {policy_seconds:.2f} s, at most "
          f"{MOST_POLICY_SECONDS} s; objects that differ: {', '.join(different) or 'none'}")  # fmt: skip
    reached = ratio <= MOST_RATIO and policy_seconds <= MOST_POLICY_SECONDS and not different
    summary = {
        "benchmark": "preview", "runs": runs, "ratio_median": round(ratio, 4),
        "program_seconds": round(statistics.median(ours for ours, _ in pairs), 4),
        "peer_seconds": round(statistics.median(peer for _, peer in pairs), 4),
        "policy_seconds": round(policy_seconds, 4), "objects": len(kubernetes_objects(programs[0])),
        "different_objects": different, "reached": reached,
    }  # fmt: skip
    print(json.dumps(summary))
    return 0 if reached else 1


def run_program(main_file: Path) -> Program:
    """One of the two programs, on the mock runtime of this process, previewing the dev stack."""
    return synth(_stack_file(), stack="dev", preview=True, main=main_file)


def different_objects(ours: Program, peer: Program) -> list[str]:
    """Kind and name of the objects, and names of the images, that only one of the programs has, or has otherwise."""
    sides = [{**_objects(program), **_images(program)} for program in (ours, peer)]
    return sorted(key for key in {*sides[0], *sides[1]} if sides[0].get(key) != sides[1].get(key))


def _objects(program: Program) -> dict[str, Mapping[str, Any]]:
    found = {}
    for item in kubernetes_objects(program):
        if item["kind"] == "Secret":
            item = {**item, "stringData": sorted(item["stringData"])}  # a random value
        found[f"{item['kind']}/{item['metadata']['name']}"] = item
    return found


def _images(program: Program) -> dict[str, Mapping[str, Any]]:
    return {f"Image/{item.name}": item.inputs for item in program.of_type("docker-build:index:Image")}


def _stack_file() -> dict[str, Any]:
    text = (PROJECT_ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["config"]["llmagentos:stack"]


def _program_seconds(main_file: Path) -> float:
    """Seconds of one run in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._preview_run", str(main_file)], cwd=PROJECT_ROOT, check=True,
        input=json.dumps(_stack_file()), stdout=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    return float(done.stdout)


def _policy_seconds(program: Program) -> float:
    from llmos.judging import judge

    started = time.perf_counter()
    judge(program, environment="dev", preview=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
