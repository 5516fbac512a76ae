"""``python3 -m assistant.model_server``: llama.cpp as a model server on CPUs.

Serves ``/v1/chat/completions``, ``/v1/models``, ``/health`` and ``/metrics``. It has no keys: a network policy must
let only its applications reach it.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from assistant.llama import TINY_NAME, LlamaOptions, start
from assistant.settings import Settings

__all__ = ["main"]

_STOP = (signal.SIGINT, signal.SIGTERM)
_BUSY = re.compile(r"^llamacpp:requests_(?:processing|deferred) (\d+)", re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, finish what is running (at most ``DRAIN_SECONDS``, 30 by default), exit with 0."""
    options = _parser().parse_args(argv)
    # Before the engine starts its threads, which inherit the mask: the signal then waits for sigwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        server = start(
            LlamaOptions(
                model_path=options.model,
                name=options.served_model_name,
                host=options.host,
                port=options.port,
                context_tokens=options.context_tokens,
                parallel=options.parallel,
                threads=options.threads,
            )
        )
    except OSError as error:
        print(f"model_server: {error}", file=sys.stderr)
        return 2
    print(f"model_server: serving {options.served_model_name} at {server.listening_address}", flush=True)
    signal.sigwait(_STOP)
    _drain(server.listening_address, seconds=options.drain_seconds)
    del server
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m assistant.model_server", description=__doc__)
    model = Path(os.environ.get("BUILTIN_MODEL_PATH", Settings.builtin_model_path))
    parser.add_argument("--model", type=Path, default=model, help="GGUF file; default: the image's own")
    parser.add_argument("--served-model-name", default=TINY_NAME, help="name in the API")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--context-tokens", type=int, default=LlamaOptions.context_tokens, help="per request")
    parser.add_argument("--parallel", type=int, default=LlamaOptions.parallel, help="requests computed at a time")
    parser.add_argument("--threads", type=int, default=LlamaOptions.threads, help="at most the container's CPUs")
    parser.add_argument("--drain-seconds", type=float, default=float(os.environ.get("DRAIN_SECONDS", "30")))
    return parser


def _drain(address: str, *, seconds: float) -> None:
    """Wait until nothing is running, at most ``seconds``; a second signal ends the wait."""
    deadline = time.monotonic() + seconds
    url = re.sub(r"//(0\.0\.0\.0|\[::\])", "//127.0.0.1", address) + "/metrics"
    while time.monotonic() < deadline and _busy(url) and signal.sigtimedwait(_STOP, 0.2) is None:
        pass


def _busy(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as page:
        return any(int(count) for count in _BUSY.findall(page.read().decode()))


if __name__ == "__main__":
    sys.exit(main())
