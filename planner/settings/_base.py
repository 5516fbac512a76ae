"""What all settings share: frozen models that refuse unknown keys, and the field types with their bounds."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

__all__ = [
    "DIGEST",
    "CpuQuantity",
    "EnvName",
    "ImageRef",
    "MemoryQuantity",
    "Name",
    "Port",
    "SecretRef",
    "Settings",
    "TagRef",
    "cpu_cores",
    "looks_like_secret",
    "memory_gib",
    "service_namespace",
]

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
TAG = re.compile(r"([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_CPU = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<milli>m?)")
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<suffix>Ki|Mi|Gi|Ti|k|M|G|T|)")
_MEMORY_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MEMORY_BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SERVICE_URL = re.compile(r"https?://[a-z0-9-]+\.(?P<namespace>[a-z0-9-]*[a-z-][a-z0-9-]*)(\.svc(\.[^/:]+)?)?(:\d+)?(/|$)")
# Prefixes of issued credentials (OpenAI, Hugging Face, GitHub, AWS, Slack, Google) and PEM blocks.
_SECRET_VALUE = re.compile(
    r"^(sk-[\w-]{16,}|hf_\w{16,}|gh[pousr]_\w{16,}|github_pat_\w+|(AKIA|ASIA)[A-Z0-9]{12,}|xox[abprs]-[\w-]{10,}"
    r"|AIza[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY)"
)
_SECRET_NAME = re.compile(r"(?i)(^|_)(api_?keys?|tokens?|secrets?|passwords?|passwd|credentials?|private_?key)$")
# Names that end in one of the words above and are counts or paths by convention, not credentials.
_NOT_SECRET_NAME = re.compile(r"(?i)(max|min|num|limit|context|batch)\w*_tokens?$|_(file|path|url)$")


def cpu_cores(quantity: str) -> float:
    """CPU cores of a Kubernetes quantity: ``500m`` is 0.5. Raises ``ValueError`` when it is none."""
    match = _CPU.fullmatch(quantity)
    if not match or float(match["number"]) == 0:
        raise ValueError("must be a CPU quantity such as 500m or 2, above 0")
    return float(match["number"]) / (1000 if match["milli"] else 1)


def memory_gib(quantity: str) -> float:
    """GiB of a Kubernetes memory quantity: ``512Mi`` is 0.5. Raises ``ValueError`` when it is none."""
    match = _MEMORY.fullmatch(quantity)
    if not match or float(match["number"]) == 0:
        raise ValueError("must be a memory quantity such as 512Mi or 4Gi, above 0")
    return float(match["number"]) * _MEMORY_BYTES[match["suffix"]] / 2**30


def service_namespace(url: str) -> str:
    """The namespace that a URL of a Kubernetes Service names (``name.namespace`` or ``name.namespace.svc...``); empty
    for any other host."""
    found = _SERVICE_URL.match(url)
    return found["namespace"] if found else ""


def looks_like_secret(name: str, value: str) -> bool:
    """Whether an environment variable carries a credential in plain text, by its name or by its value."""
    named = bool(_SECRET_NAME.search(name)) and not _NOT_SECRET_NAME.search(name)
    return bool(value) and (named or bool(_SECRET_VALUE.match(value)))


def _cpu(quantity: str) -> str:
    cpu_cores(quantity)
    return quantity


def _memory(quantity: str) -> str:
    memory_gib(quantity)
    return quantity


def _tag_ref(ref: str) -> str:
    if "@" in ref:
        raise ValueError("must not end in a digest; an image with one goes under `ref`")
    if not TAG.fullmatch(ref):
        raise ValueError("must be a lower-case image name with a tag, e.g. ghcr.io/team/app:1.2")
    return ref


def _digest_ref(ref: str) -> str:
    if not DIGEST.search(ref):
        raise ValueError("must end in a digest, @sha256:<64 hex>; a tag can be moved to other content")
    return ref


def _plain_groups(pattern: re.Pattern[str]) -> str:
    """The pattern without names of groups, which JSON Schema's dialect writes differently."""
    return re.sub(r"\?P<\w+>", "", pattern.pattern)


# 40 characters: Kubernetes appends suffixes to generate pod names, and a Service name ends at 63.
Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
# Below 1024 a non-root process cannot listen.
Port = Annotated[int, Field(ge=1024, le=65535)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# What a validator demands of a text does not reach the schema for editors by itself.
CpuQuantity = Annotated[
    str, Field(coerce_numbers_to_str=True, strict=False), AfterValidator(_cpu),
    WithJsonSchema({"anyOf": [
        {"type": "string", "pattern": rf"^{_plain_groups(_CPU)}$"}, {"type": "number", "exclusiveMinimum": 0},
    ]}),
]  # fmt: skip
MemoryQuantity = Annotated[
    str, AfterValidator(_memory), WithJsonSchema({"type": "string", "pattern": rf"^{_plain_groups(_MEMORY)}$"})
]
TagRef = Annotated[str, AfterValidator(_tag_ref), WithJsonSchema({"type": "string", "pattern": rf"^{TAG.pattern}$"})]
ImageRef = Annotated[str, AfterValidator(_digest_ref), WithJsonSchema({"type": "string", "pattern": DIGEST.pattern})]


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown keys refused, no silent conversion of types."""

    # Only the model of a whole stack file is ever asked to check something. Texts below fields are read where they are
    # shown (``llmos.reference``): looking for them here would cost every preview a tenth of a second.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class SecretRef(Settings):
    """A key of a Kubernetes Secret in the stack's namespace. The value itself never stands in a stack file."""

    secret: Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
    """Name of the Secret."""
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
    """Key within the Secret."""
