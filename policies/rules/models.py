"""Which model is served, and where it comes from: an immutable revision, no public hub at run time, no pickled
weights."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from ._arguments import Argument
from ._model import Container
from ._rule import Context, Option, Rule, Violation
from ._serving import vllm_servers

__all__ = ["RULES"]

_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
_SAFE_FORMATS = frozenset(
    {"safetensors", "fastsafetensors", "runai_streamer", "runai_streamer_sharded", "instanttensor"}
)
_MEDIA_FLAGS = ("limit-mm-per-prompt", "media-io-kwargs", "mm-processor-kwargs", "mm-encoder-tp-mode")
# Families that take images, video or audio, by the names they are published under.
_MULTIMODAL = re.compile(
    r"[-_.]vl(?:m|\b|[-_\d])|vision|llava|pixtral|omni|internvl|audio|whisper|ultravox|molmo|paligemma|idefics|minicpm-[vo]"
    r"|multimodal|gemma-3-(?:4|12|27)b|llama-4|mistral-small-3|kimi-vl|nemotron.*vl|voxtral",
    re.IGNORECASE,
)
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = ("1", "true", "yes", "on")


def _model(container: Container) -> Argument | None:
    """The model the server is told to load: ``--model X``, or the word after ``serve``."""
    found = container.flag("model")
    if found is not None:
        return Argument(text=found.value or "", path=found.path)
    words = container.arguments
    for before, word in itertools.pairwise(words):
        if before.text == "serve" and not word.flag:
            return word
    return words[0] if words and not words[0].flag and _HUB_NAME.match(words[0].text) else None


def _from_hub(container: Container) -> Argument | None:
    """The model, if it is downloaded from a hub rather than read from a path, a bucket or a mounted image."""
    model = _model(container)
    return model if model is not None and _HUB_NAME.match(model.text) else None


def _pinned(container: Container, context: Context) -> Iterable[Violation]:
    model = _from_hub(container)
    if model is None:
        return
    for name in ("revision", "tokenizer-revision", "code-revision"):
        found = container.flag(name)
        if found is None and name == "revision":
            yield Violation(path=model.path, message="the model's revision is not given, so it is whatever `main` "
            "holds")
        if found is not None and not _COMMIT.match(found.value or ""):
            yield Violation(path=found.path, message=f"--{name} is a branch or tag, not a commit of 40 hex digits")


def _no_hub(container: Container, context: Context) -> Iterable[Violation]:
    model = _from_hub(container)
    if model is None:
        return
    for variable in container.node.get("env").elements():
        name = variable.get("name").text
        if name in _OFFLINE and str(variable.get("value").value).lower() in _TRUE:
            return
        if name == "HF_ENDPOINT" and variable.get("value").exists:
            return  # a mirror of one's own
    yield Violation(path=model.path, message="the model is downloaded from the public hub when the pod starts")


def _media_domains(container: Container, context: Context) -> Iterable[Violation]:
    """Only where the command line or the model's name shows that media are served: a text model fetches nothing."""
    model = _model(container)
    named = model if model is not None and _MULTIMODAL.search(model.text) else None
    media = container.flag(*_MEDIA_FLAGS) or named
    if media is None or container.flag("language-model-only") is not None:
        return
    limit = container.flag("limit-mm-per-prompt")
    if limit is not None and re.fullmatch(r"(?:\W|image|video|audio|0)+", limit.value or ""):
        return  # every kind of media is limited to none
    if container.flag("allowed-media-domains") is None:
        yield Violation(path=media.path, message="media are accepted, and any address may be fetched for them")


def _safetensors(container: Container, context: Context) -> Iterable[Violation]:
    if _from_hub(container) is None and _model(container) is None:
        return
    found = container.flag("load-format")
    if found is None:
        path = container.node.get("args").path
        yield Violation(path=path, message="the load format is left to what the repository holds, pickled weights "
        "included")
    elif found.value not in _SAFE_FORMATS | set(context.config["formats"]):
        yield Violation(path=found.path, message="the load format admits pickled weights")


_ADVISORIES = "https://github.com/vllm-project/vllm/security/advisories/"

RULES = (
    Rule(
        id="model-revision",
        title="A model from a hub is pinned to a commit.",
        why="A branch can be replaced by other weights after review, and by other weights on each replica.",
        fix="add --revision=<40 hex digits>, and the same for the tokenizer",
        sources=(
            "https://huggingface.co/docs/huggingface_hub/guides/download#from-specific-version",
            "https://docs.vllm.ai/en/stable/cli/serve/",
        ),
        controls=("owasp-llm/LLM03:2025", "owasp-llm/LLM04:2025"),
        cells=vllm_servers,
        checks=(_pinned,),
    ),
    Rule(
        id="model-hub",
        title="No model is downloaded from a public hub at run time.",
        why="Scaling up would depend on a foreign service, its rate limits and what it serves on that day.",
        fix="serve from a mounted volume, an image volume or your own bucket or mirror (HF_ENDPOINT), or set "
        "HF_HUB_OFFLINE=1 "
        "on a filled cache",
        sources=(
            "https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables#hfhuboffline",
            "https://genai.owasp.org/llmrisk/llm032025-supply-chain/",
        ),
        controls=("owasp-llm/LLM03:2025",),
        cells=vllm_servers,
        checks=(_no_hub,),
    ),
    Rule(
        id="model-safetensors",
        title="Weights are loaded in a format that cannot carry code.",
        why="A pickled checkpoint runs code when it is read (CVE-2025-24357); safetensors hold numbers only.",
        fix="add --load-format=safetensors",
        sources=(
            "https://huggingface.co/docs/hub/security-pickle",
            f"{_ADVISORIES}GHSA-rh4j-5rhw-hr54",
        ),
        controls=("owasp-llm/LLM03:2025", "owasp-llm/LLM04:2025"),
        cells=vllm_servers,
        checks=(_safetensors,),
        options={
            "formats": Option(
                schema={"type": "array", "items": {"type": "string"}}, default=[], about="further load formats to allow"
            )
        },
    ),
    Rule(
        id="media-domains",
        title="A server that takes images, video or audio fetches them from allowed domains only.",
        why="A media URL in a prompt otherwise makes the server ask any internal address, such as the cloud's metadata "
        "service (CVE-2025-6242, CVE-2026-24779).",
        fix="add --allowed-media-domains, or --language-model-only where media are not needed",
        sources=(
            f"{_ADVISORIES}GHSA-3f6c-7fw2-ppm4",
            f"{_ADVISORIES}GHSA-qh4c-xf7m-gxfc",
            "https://docs.vllm.ai/en/stable/usage/security/#4-restrict-domains-access-for-media-urls",
        ),
        controls=("owasp-llm/LLM01:2025",),
        cells=vllm_servers,
        checks=(_media_domains,),
    ),
)
