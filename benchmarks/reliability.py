"""What is lost while replicas die and are replaced: ``python3 -m benchmarks.reliability [--seed N] [--only NAME]``.

Clients send 50 short requests per second and keep 20 streams open; they retry nothing. Each scenario makes one fault or
update happen, in a whole world, and waits until everything is as it should be again. Printed are the requests, how many
were lost (those in flight on a replica that was killed without warning are counted apart: nothing can save them), the
longest time without an answer, and the time to recover. Exit code 1 when a request was lost that must not be, or
something else was not as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks._cluster_canary import CANARIES
from benchmarks._cluster_elasticity import ELASTICITY
from benchmarks._cluster_faults import FAULTS
from benchmarks._cluster_killed import KILLED
from benchmarks._cluster_nodes import NODES
from benchmarks._cluster_rollouts import ROLLOUTS
from benchmarks._cluster_updates import UPDATES
from benchmarks._cluster_weights import WEIGHTS
from benchmarks._cluster_world import cluster_world
from benchmarks._process_scenarios import PROCESSES
from benchmarks._replicas import processes
from benchmarks._scenarios import Row, World, run
from benchmarks._standin import standin

__all__ = ["CLUSTER", "main", "process_world"]

CLUSTER = {**UPDATES, **FAULTS, **NODES, **ROLLOUTS, **WEIGHTS, **KILLED, **CANARIES, **ELASTICITY}
"""Scenarios on a cluster with two real nodes (Linux, root), in the order in which they run."""
_TOKEN_SECONDS = 0.02


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each scenario and the JSON summary."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of every choice by chance (default 1)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this scenario alone; may be repeated")
    parser.add_argument("--processes", action="store_true", help="replicas as processes, without a cluster")
    parser.add_argument("--cluster", default="reliability", help="embedded cluster to use (default: one of its own)")
    parser.add_argument("--direct", action="store_true", help="to the Service, with no load balancer in front")
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--per-second", type=float, default=50.0, help="short requests per second (default 50)")
    parser.add_argument("--streams", type=int, default=20, help="streams open at any time (default 20)")
    parser.add_argument("--kills", type=int, default=20, help="of `up` at random moments (default 20)")
    options = parser.parse_args(arguments)
    known = PROCESSES if options.processes else CLUSTER
    if options.list:
        print("\n".join(f"{one.name:24} {one.about}" for one in known.values()))
        return 0
    if unknown := sorted(set(options.only or ()) - known.keys()):
        print(f"There is no scenario {', '.join(unknown)}; these are: {', '.join(known)}", file=sys.stderr)
        return 1
    scenarios = [one for one in known.values() if not options.only or one.name in options.only]
    place = process_world() if options.processes else cluster_world(cluster=options.cluster, direct=options.direct)
    with place as world:
        rows = list(_shown(run(scenarios, world, seed=options.seed, per_second=options.per_second,
                               streams=options.streams, kills=options.kills)))  # fmt: skip
    print(json.dumps(summary(rows, seed=options.seed)))
    return 0 if all(not row.problem for row in rows) else 1


def summary(rows: Sequence[Row], *, seed: int) -> dict[str, object]:
    """The last line."""
    return {
        "benchmark": "reliability", "seed": seed, "machine": f"{platform.system()} {platform.machine()}",
        "requests": sum(row.requests for row in rows), "lost": sum(row.lost for row in rows),
        "lost_in_flight": sum(row.lost_in_flight for row in rows),
        "longest_stall_seconds": max((row.longest_stall_seconds for row in rows), default=0.0),
        "scenarios": [row.document() for row in rows], "reached": all(not row.problem for row in rows),
    }  # fmt: skip


@contextmanager
def process_world(*, replicas: int = 3) -> Iterator[World]:
    """Replicas as processes, over a stand-in of a model server that takes 20 ms per token."""
    with tempfile.TemporaryDirectory(prefix="llmos-reliability-") as name, _Background() as backend:
        # More in work at a time than a replica may ever get, so that no queue hides or makes a loss.
        settings = {"MAX_CONCURRENT": "200"}
        with processes(Path(name), backend_url=backend.url, replicas=replicas, **settings) as world:
            yield world


class _Background:
    """The stand-in in a thread of its own."""

    url = ""

    def __enter__(self) -> _Background:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with standin(token_seconds=_TOKEN_SECONDS) as self.url:
            self._ready.set()
            await self._end.wait()


def _shown(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        apart = f", {row.lost_in_flight} in flight on what was killed" if row.lost_in_flight else ""
        missed = f"; {row.problem} {row.problems or ''}" if row.problem else ""
        print(f"{row.name}: {row.requests} requests, {row.lost} lost{apart}; longest stall "
              f"{row.longest_stall_seconds:.2f} s, in a stream {row.longest_gap_seconds:.2f} s; recovered in "
              f"{row.recover_seconds:.1f} s{missed}", flush=True)  # fmt: skip
        yield row


if __name__ == "__main__":
    sys.exit(main())
