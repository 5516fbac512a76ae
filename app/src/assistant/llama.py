"""llama.cpp inside this process, with its own HTTP server: OpenAI API, continuous batching, prefix cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xllamacpp

__all__ = ["TINY_NAME", "LlamaOptions", "LlamaServer", "start"]

LlamaServer = xllamacpp.Server
"""Runs from construction until it is deleted. ``listening_address`` is its URL."""

TINY_NAME = "tiny-random"
"""The model inside the image. Its weights are random: every answer is nonsense by design."""

_PROMPT_CACHE_MIB = 64
"""Memory for prefixes of earlier prompts; llama.cpp's own default, 8 GiB, exceeds any small container."""


@dataclass(frozen=True, kw_only=True)
class LlamaOptions:
    """How to serve a GGUF file.

    Attributes:
        model_path: the file.
        name: the model's name in the API.
        host: address to listen on; loopback by default, for use by this process alone.
        port: 0 takes a free one.
        context_tokens: longest prompt and answer together, per request.
        parallel: requests computed at the same time; more wait inside llama.cpp.
        threads: CPU threads. They spin while they wait for each other, so never more than the container's CPUs; the
            tiny model is fastest with one.
        connections: HTTP connections served at the same time; one thread each, mostly asleep.
    """

    model_path: Path
    name: str = TINY_NAME
    host: str = "127.0.0.1"
    port: int = 0
    context_tokens: int = 4096
    parallel: int = 4
    threads: int = 1
    connections: int = 128


def start(options: LlamaOptions) -> LlamaServer:
    """Load the model and listen; returns when both are done.

    Raises:
        OSError: when the file is missing or cannot be loaded, or the port is taken.
    """
    if not options.model_path.is_file():
        raise OSError(f"there is no model file {options.model_path}")
    params = xllamacpp.CommonParams()
    params.model.path = str(options.model_path)
    params.model_alias = {options.name}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.context_tokens * options.parallel
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_threads_http = options.connections
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.endpoint_metrics = True
    params.endpoint_slots = False  # would show prompts of others
    params.ui = False
    params.fit_params = False
    params.verbosity = 0  # its errors quote requests; callers get them anyway
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise OSError(f"llama.cpp cannot serve {options.model_path}: {error}") from None
