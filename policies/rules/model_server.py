"""How a model server is started: its version, and the switches that open it up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ._model import Container, Resource
from ._rule import Check, Context, Option, Rule, Violation, each_container
from ._serving import image_name, vllm_servers

__all__ = ["RULES"]

_ADVISORIES = "https://github.com/vllm-project/vllm/security/advisories/"
_GUIDE = "https://docs.vllm.ai/en/stable/usage/security/"
_VERSION = re.compile(r"^v?(\d+)\.(\d+)(?:\.\d+)?")
_SUBSTITUTED = re.compile(r"^(?:\$\(\w+\)|\$\w+|\$\{\w+\})$")
# Flags that rules of the pack read, and others that begin alike.
_READ = frozenset({
    "allowed-media-domains", "code-revision", "config", "data-parallel-size", "enable-log-outputs",
    "enable-log-requests", "enable-tokenizer-info-endpoint", "hf-overrides", "language-model-only",
    "limit-mm-per-prompt", "load-format",
    "max-model-len", "max-num-seqs", "model", "pipeline-parallel-size", "profiler-config", "revision",
    "tensor-parallel-size", "tokenizer-revision", "trust-remote-code",
})  # fmt: skip
_WHOLE = frozenset({"tokenizer"})
_TRUE = ("1", "true", "True", "TRUE", "yes", "on")


def _trust_remote_code(container: Container, context: Context) -> Iterable[Violation]:
    for name in ("trust-remote-code", "hf-overrides.trust-remote-code"):
        found = container.switch(name)
        if found is not None:
            yield Violation(path=found.path, message=f"--{name} lets the model's repository run its own Python")
    yield from _switched_on(container, "TRUST_REMOTE_CODE", "HF_TRUST_REMOTE_CODE")


def _switched_on(container: Container, *names: str) -> Iterable[Violation]:
    for variable in container.node.get("env").elements():
        name = variable.get("name").text
        if name in names and str(variable.get("value").value) in _TRUE:
            yield Violation(path=variable.get("value").path, message=f"the environment switches {name} on")


def _version(container: Container, context: Context) -> Iterable[Violation]:
    image = container.node.get("image")
    if not image.exists:
        return
    image.value  # noqa: B018  an unknown image must be reported as unchecked, not as one without a version
    minimum = context.config["minimum"]
    tag = image_name(container).rpartition("/")[2].partition(":")[2]
    found = _VERSION.match(tag)
    if found is None:
        yield Violation(
            path=image.path, message="the image's tag does not say which version of vLLM it holds",
            fix=f"write the tag before the digest, `name:v{minimum}.0@sha256:...`",
        )
    elif (int(found[1]), int(found[2])) < tuple(int(part) for part in minimum.split(".")):
        yield Violation(path=image.path, message=f"the image holds a version of vLLM below {minimum}")


def _dev_mode(container: Container, context: Context) -> Iterable[Violation]:
    for name in ("profiler-config", "enable-tokenizer-info-endpoint"):
        found = container.switch(name)
        if found is not None:
            yield Violation(path=found.path, message=f"--{name} opens an endpoint that needs no key")
    yield from _switched_on(container, "VLLM_SERVER_DEV_MODE")
    for variable in container.node.get("env").elements():
        if variable.get("name").text == "VLLM_TORCH_PROFILER_DIR" and variable.get("value").value:
            yield Violation(path=variable.get("value").path, message="the environment enables the profiler's endpoints")


def _runtime_lora(container: Container, context: Context) -> Iterable[Violation]:
    yield from _switched_on(container, "VLLM_ALLOW_RUNTIME_LORA_UPDATING")


def _prompt_logging(container: Container, context: Context) -> Iterable[Violation]:
    for name in ("enable-log-requests", "enable-log-outputs"):
        found = container.switch(name)
        if found is not None:
            yield Violation(path=found.path, message=f"--{name} writes prompts or answers to the log")
    yield from _switched_on(container, "VLLM_DEBUG_LOG_API_SERVER_RESPONSE")
    for variable in container.node.get("env").elements():
        if variable.get("name").text == "VLLM_LOGGING_LEVEL" and str(variable.get("value").value).upper() == "DEBUG":
            yield Violation(path=variable.get("value").path, message="the log level DEBUG includes prompts")


def _abbreviated(flag: str) -> str:
    """The flag that argparse, and so vLLM, takes an abbreviation for; empty where no rule reads that flag."""
    stem = flag.partition(".")[0]
    if not stem or stem in _READ or stem in _WHOLE:
        return ""
    return next((name for name in sorted(_READ) if name.startswith(stem)), "")


def _visible(container: Container, context: Context) -> Iterable[Violation]:
    for argument in container.arguments:
        meant = _abbreviated(argument.flag) if argument.text.startswith("--") else ""
        if meant:
            yield Violation(
                path=argument.path, message=f"an abbreviation is read as --{meant} and passes by the rule on that flag",
                fix="write the flag in full",
            )
        if argument.flag == "config":
            yield Violation(path=argument.path, message="--config takes flags from a file that no rule sees")
        elif _SUBSTITUTED.match(argument.text):
            yield Violation(path=argument.path, message="a whole argument comes from a variable, so no rule sees it")


def _cap(name: str, what: str) -> Callable[[Container, Context], Iterable[Violation]]:
    def check(container: Container, context: Context) -> Iterable[Violation]:
        found = container.flag(name)
        limit = context.config["maximum"]
        if found is None:
            path = container.node.get("args").path
            yield Violation(path=path, message=f"the {what} is not capped", fix=f"add --{name}=...")
        elif limit is not None and _number(found.value) > limit:
            yield Violation(
                path=found.path, message=f"the {what} may exceed {limit:g}", fix=f"lower --{name} to {limit:g}"
            )

    return check


def _number(text: str | None) -> float:
    """vLLM's human-readable integers: 32768, 32k (1000), 32K (1024)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", text or "")
    if found is None:
        return float("inf")
    scale = {"": 1, "k": 1e3, "K": 2**10, "m": 1e6, "M": 2**20, "g": 1e9, "G": 2**30}[found[2]]
    return float(found[1]) * scale


def _rule(
    rule_id: str, title: str, why: str, fix: str, check: Check, *sources: str, controls: tuple[str, ...] = (),
    of: Callable[[Resource], Iterable[Container]] = vllm_servers, options: dict[str, Option] | None = None,
) -> Rule:
    return Rule(
        id=rule_id, title=title, why=why, fix=fix, checks=(check,), sources=sources, controls=controls, cells=of,
        options=options or {},
    )


def _maximum(about: str) -> dict[str, Option]:
    return {"maximum": Option(schema={"type": "number", "minimum": 1}, default=None, about=about)}


RULES = (
    _rule(
        "trust-remote-code", "No container runs Python from a model's repository.",
        "The model's author, or whoever takes over the account, would run code in the cluster with the server's "
        "rights.",
        "use a model that the server supports itself", _trust_remote_code,
        f"{_ADVISORIES}GHSA-7972-pg2x-xr59", f"{_ADVISORIES}GHSA-2pc9-4j83-qjmr", f"{_ADVISORIES}GHSA-8fr4-5q9j-m8gm",
        controls=("owasp-llm/LLM03:2025",), of=each_container,
    ),
    _rule(
        "vllm-version", "vLLM is a version in which the known ways to run a model's code are closed.",
        "Before 0.18 three defects ran code from a model's repository even without --trust-remote-code "
        "(CVE-2025-66448, CVE-2026-22807, CVE-2026-27893).",
        "use a newer image", _version, f"{_ADVISORIES}GHSA-7972-pg2x-xr59", f"{_ADVISORIES}GHSA-2pc9-4j83-qjmr",
        controls=("owasp-llm/LLM03:2025",),
        options={"minimum": Option(
            schema={"type": "string", "pattern": r"^\d+\.\d+$"}, default="0.18", about="oldest version allowed",
        )},
    ),
    _rule(
        "dev-mode", "The model server runs without development and profiler endpoints.",
        "They need no API key; one of them calls any function inside the engine.",
        "remove the flag or variable", _dev_mode, f"{_GUIDE}#development-endpoints", controls=("owasp-llm/LLM06:2025",),
    ),
    _rule(
        "runtime-lora", "LoRA adapters cannot be loaded while the server runs.",
        "Whoever reaches the API could change what the model answers, for everybody.",
        "name adapters at start by --lora-modules", _runtime_lora,
        "https://docs.vllm.ai/en/stable/features/lora/#dynamically-serving-lora-adapters",
        controls=("owasp-llm/LLM04:2025",),
    ),
    _rule(
        "prompt-logging", "Prompts and answers are not logged.",
        "They hold what users confide, and logs are kept longer and read by more people than conversations.",
        "remove the flag; metrics count tokens without their text", _prompt_logging,
        "https://docs.vllm.ai/en/stable/cli/serve/", "https://genai.owasp.org/llmrisk/llm022025-sensitive-information-disclosure/",
        controls=("owasp-llm/LLM02:2025",),
    ),
    _rule(
        "visible-arguments", "A model server's flags stand in the manifest.",
        "A flag that stands elsewhere is checked by nobody, whatever it switches on.",
        "write the flags into args", _visible, "https://docs.vllm.ai/en/stable/configuration/serve_args/",
        controls=("owasp-llm/LLM03:2025",),
    ),
    _rule(
        "context-cap", "The context length of a model server is capped.",
        "The model's own maximum may be far more than the GPU's memory holds, and each long request blocks the others.",
        "set --max-model-len to what the application needs", _cap("max-model-len", "context length"),
        "https://docs.vllm.ai/en/stable/configuration/conserving_memory/#context-length-and-batch-size",
        "https://genai.owasp.org/llmrisk/llm102025-unbounded-consumption/", controls=("owasp-llm/LLM10:2025",),
        options=_maximum("largest context length allowed, in tokens; none by default"),
    ),
    _rule(
        "sequence-cap", "The number of concurrent sequences of a model server is capped.",
        "Without a cap that was chosen, a burst of requests stretches everybody's latency instead of waiting in the "
        "queue.",
        "set --max-num-seqs", _cap("max-num-seqs", "number of concurrent sequences"),
        "https://docs.vllm.ai/en/stable/configuration/conserving_memory/#context-length-and-batch-size",
        controls=("owasp-llm/LLM10:2025",), options=_maximum("largest number allowed; none by default"),
    ),
)
