"""Arguments that a stack file adds to a model server's own: none may set what a setting sets, or say a thing twice."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["REPLACEABLE", "argument_faults", "flags_of"]

_FLAG = re.compile(r"--?([A-Za-z][A-Za-z0-9_-]*)")
# vLLM's flags that the program writes, and the setting that each comes from.
_OWNED = {
    "model": "source", "served-model-name": "the model's name", "port": "the program", "host": "the program",
    "revision": "revision", "tokenizer-revision": "revision", "code-revision": "revision",
    "max-model-len": "context_tokens", "max-num-seqs": "max_sequences", "max-num-batched-tokens": "batched_tokens",
    "tensor-parallel-size": "hardware.gpus", "pipeline-parallel-size": "hardware.pipeline_parallel",
    "quantization": "quantization", "download-dir": "weights", "shutdown-timeout": "slo.tpot_ms and context_tokens",
    "enable-lora": "adapters", "lora-modules": "adapters", "max-loras": "adapters", "max-lora-rank": "adapters",
    "max-cpu-loras": "adapters",
}  # fmt: skip
_SHORT = {"tp": "tensor-parallel-size", "pp": "pipeline-parallel-size", "q": "quantization"}
# The program has a value for these, and no setting: one that is stated takes its place.
REPLACEABLE = frozenset({"load-format", "enable-prefix-caching", "gpu-memory-utilization"})
# Flags of their own that begin like an owned one.
_OTHERS = frozenset({"tokenizer"})


def flags_of(arguments: Sequence[str]) -> tuple[str, ...]:
    """Names of the flags, as vLLM reads them: dashes for underscores, without ``no-``, a key of a JSON value, or the
    value."""
    names = [
        found[1].replace("_", "-").removeprefix("no-") for argument in arguments if (found := _FLAG.match(argument))
    ]
    return tuple(_SHORT.get(name, name) for name in names)


def argument_faults(arguments: Sequence[str]) -> list[str]:
    """What is wrong, in words that name both the argument and what it contradicts; never a value."""
    flags = flags_of(arguments)
    faults = [f"--{flag} is set by {_OWNED[flag]}; change it there" for flag in sorted(set(flags) & set(_OWNED))]
    for flag in sorted(set(flags) - set(_OWNED) - _OTHERS - REPLACEABLE):
        meant = sorted(name for name in _OWNED if name.startswith(flag))
        if meant:
            faults.append(f"--{flag} is an abbreviation that vLLM reads as --{meant[0]}, which {_OWNED[meant[0]]} sets")
    plain = [
        flag for flag, text in zip(flags, (a for a in arguments if _FLAG.match(a)), strict=True)
        if "." not in text.partition("=")[0]
    ]  # fmt: skip
    twice = sorted({flag for flag in plain if plain.count(flag) > 1} - set(_OWNED))
    return faults + [f"--{flag} stands there twice, and vLLM takes the last one" for flag in twice]
