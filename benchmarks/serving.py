"""What the application adds to its model server, and what its caches save: ``python3 -m benchmarks.serving``.

The model server is a stand-in on loopback that takes 20 ms for every token. Clients stream from it, one request after
the other, directly and through the application in turn; the side that goes first changes from round to round. They
begin evenly spread over the time of an answer, as users do who know nothing of each other. The bar: at
the median at most 5 ms more to the first token and per token, and at most 5 % fewer requests per second. Exit code 1
when one is missed. Then, without a bar: how long a repeated greedy request takes with and without the response cache,
and how long the tiny model (llama.cpp, real inference) takes to the first token of a long prompt whose beginning it has
or has not seen before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks._loopback import Program, application, tiny_model
from benchmarks._standin import MODEL, Timing, standin, timed_stream

__all__ = ["Side", "main", "verdict"]

MOST_ADDED_SECONDS = 0.005
LEAST_THROUGHPUT = 0.95
_PREFIX_BYTES = 3000
"""Of a shared beginning: a long system prompt, or a document asked about. The tiny model has one token per byte and a
context of 4,096."""


@dataclass(kw_only=True)
class Side:
    """All streams of one way to the model server, by ``clients`` at a time."""

    clients: int
    timings: list[Timing] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Milliseconds and requests per second."""
        ttft = sorted(one.ttft_seconds for one in self.timings)
        return {
            "ttft_ms_median": round(statistics.median(ttft) * 1000, 2),
            "ttft_ms_p95": round(ttft[int(0.95 * (len(ttft) - 1))] * 1000, 2),
            "tpot_ms_median": round(statistics.median(one.tpot_seconds for one in self.timings) * 1000, 3),
            # Each client always has one request open, so this many end per second.
            "requests_per_second": round(self.clients / statistics.mean(one.total_seconds for one in self.timings), 3),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures and the JSON summary."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="llmos-serving-") as name:
        summary = asyncio.run(_measured(options, Path(name)))
    print(json.dumps(summary))
    return 0 if summary["reached"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6, help="rounds, each with both ways (default 6)")
    parser.add_argument("--clients", type=int, default=16, help="streams at a time (default 16)")
    parser.add_argument("--requests", type=int, default=4, help="streams of each client and round (default 4)")
    parser.add_argument("--tokens", type=int, default=32, help="tokens of an answer (default 32)")
    parser.add_argument("--together", action="store_true", help="all clients begin at the same moment: the worst case")
    parser.add_argument("--token-ms", type=float, default=20.0, help="milliseconds per token (default 20)")
    return parser


async def _measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    async with standin(token_seconds=options.token_ms / 1000) as server:
        settings = {"BACKEND_URL": server, "BACKEND_MODEL": MODEL, "MAX_CONCURRENT": str(max(32, options.clients))}
        with application(folder, settings) as app:
            direct, through = await _both(options, server, app)
            cache = await _response_cache(app, tokens=options.tokens)
    summary = {"benchmark": "serving", "requests": len(direct.timings), "clients": options.clients,
               "token_ms": options.token_ms, **verdict(direct, through)}  # fmt: skip
    for name in ("direct", "application"):
        print(f"{name:12} {', '.join(f'{key} {value:g}' for key, value in summary[name].items())}")
    print(f"added at the median: {summary['added_ttft_ms']:g} ms to the first token, {summary['added_tpot_ms']:g} ms "
          f"per token (at most {MOST_ADDED_SECONDS * 1000:g}); throughput {summary['throughput_ratio']:.3f} of the "
          f"direct one (at least {LEAST_THROUGHPUT})")  # fmt: skip
    with application(folder, {"BUILTIN_MODEL_PATH": str(tiny_model(folder))}) as app:
        prefix = await _prefix_cache(app, runs=max(3, options.rounds))
    print(f"response cache: {cache['miss_ms']:g} ms without, {cache['hit_ms']:g} ms with it")
    print(f"prefix cache of llama.cpp: {prefix['new_ms']:g} ms to the first token of {prefix['prompt_tokens']} "
          f"tokens of prompt, {prefix['seen_ms']:g} ms when it has seen {prefix['seen_tokens']} of them")  # fmt: skip
    return {**summary, "response_cache": cache, "prefix_cache": prefix}


def verdict(direct: Side, through: Side) -> dict[str, Any]:
    """Both sides' figures, what the application adds, and whether it stays within the bar."""
    ours, theirs = through.figures(), direct.figures()
    ttft = ours["ttft_ms_median"] - theirs["ttft_ms_median"]
    tpot = ours["tpot_ms_median"] - theirs["tpot_ms_median"]
    ratio = ours["requests_per_second"] / theirs["requests_per_second"]
    reached = max(ttft, tpot) <= MOST_ADDED_SECONDS * 1000 and ratio >= LEAST_THROUGHPUT
    return {
        "direct": theirs, "application": ours, "added_ttft_ms": round(ttft, 2), "added_tpot_ms": round(tpot, 3),
        "throughput_ratio": round(ratio, 4), "reached": reached,
    }  # fmt: skip


async def _both(options: argparse.Namespace, server: str, app: Program) -> tuple[Side, Side]:
    direct, through = Side(clients=options.clients), Side(clients=options.clients)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=_headers(app)) as session:
        for url in (server, app.url):  # connections and code are warm before anything counts
            await _round(session, url, Side(clients=options.clients), options, requests=1)
        for number in range(options.rounds):
            sides = [(server, direct), (app.url, through)]
            for url, side in sides if number % 2 == 0 else reversed(sides):
                await _round(session, url, side, options, requests=options.requests)
    return direct, through


async def _round(
    session: aiohttp.ClientSession, url: str, side: Side, options: argparse.Namespace, *, requests: int
) -> None:
    answer_seconds = options.tokens * options.token_ms / 1000

    async def client(number: int) -> None:
        await asyncio.sleep(0 if options.together else answer_seconds * number / side.clients)
        for turn in range(requests):
            body = _body(f"question {number}.{turn}", options.tokens)
            side.timings.append(await timed_stream(session, url, body))

    await asyncio.gather(*(client(number) for number in range(side.clients)))


async def _response_cache(app: Program, *, tokens: int, runs: int = 5) -> dict[str, float]:
    """Median milliseconds of a greedy request for the first and for the second time."""
    found: dict[str, list[float]] = {"miss": [], "hit": []}
    async with aiohttp.ClientSession(headers=_headers(app)) as session:
        for run in range(runs):
            body = {**_body(f"cached {run}", tokens), "temperature": 0}
            for expected in ("miss", "hit"):
                started = time.perf_counter()
                async with session.post(f"{app.url}/v1/chat/completions", json=body) as reply:
                    await reply.read()
                    assert reply.headers["x-cache"] == expected
                found[expected].append(time.perf_counter() - started)
    miss, hit = (statistics.median(found[name]) * 1000 for name in ("miss", "hit"))
    return {"miss_ms": round(miss, 2), "hit_ms": round(hit, 2), "saved_share": round(1 - hit / miss, 4)}


async def _prefix_cache(app: Program, *, runs: int) -> dict[str, float]:
    """Median milliseconds to the first token of prompts that begin in a new way and of those that all begin alike."""
    found: dict[str, list[float]] = {"new": [], "seen": []}
    tokens = {"new": (0, 0), "seen": (0, 0)}
    async with aiohttp.ClientSession(headers=_headers(app)) as session:
        await timed_stream(session, app.url, _prompt("all alike", "first"))
        for run in range(runs):
            for kind, beginning in (("new", f"{run} of its own"), ("seen", "all alike")):
                timing = await timed_stream(session, app.url, _prompt(beginning, f"question {run}"))
                found[kind].append(timing.ttft_seconds * 1000)
                tokens[kind] = await _prompt_tokens(session, app, _prompt(beginning, f"question {run} again"))
    new, seen = (statistics.median(found[kind]) for kind in ("new", "seen"))
    return {"new_ms": round(new, 2), "seen_ms": round(seen, 2), "saved_share": round(1 - seen / new, 4),
            "prompt_tokens": tokens["seen"][0], "seen_tokens": tokens["seen"][1]}  # fmt: skip


async def _prompt_tokens(session: aiohttp.ClientSession, app: Program, body: dict[str, Any]) -> tuple[int, int]:
    """How many tokens the prompt has, and how many of them llama.cpp took from its cache."""
    async with session.post(f"{app.url}/v1/chat/completions", json=body) as reply:
        usage = (await reply.json())["usage"]
    return usage["prompt_tokens"], (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)


def _prompt(beginning: str, question: str) -> dict[str, Any]:
    system = (beginning + ", the same words over and over. " * 200)[:_PREFIX_BYTES]
    return {**_body(question, 2), "messages": [{"role": "system", "content": system}, *_body(question, 2)["messages"]]}


def _body(content: str, tokens: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], "max_tokens": tokens}


def _headers(app: Program) -> dict[str, str]:
    return {"authorization": f"Bearer {app.key}"}


if __name__ == "__main__":
    sys.exit(main())
