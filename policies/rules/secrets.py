"""Secrets reach containers by reference: a Secret key or a file, never a literal."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from ._model import Container, KubeObject
from ._node import Node
from ._rule import Context, Rule, Violation, each_container, each_object

__all__ = ["RULES", "is_secret_name"]

# A whole word of the name, so that MAX_TOKENS, TOKENIZERS_PARALLELISM and SECRETARY are no secrets.
_WORDS = frozenset(
    [
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "secrets",
        "token",
        "bearer",
        "credential",
        "credentials",
        "apikey",
        "apikeys",
        "apitoken",
        "authkey",
        "privatekey",
        "secretkey",
        "accesskey",
    ]
)
_PAIRS = frozenset(
    {("api", "key"), ("api", "keys"), ("access", "key"), ("private", "key"), ("secret", "key"), ("auth", "key"),
     ("encryption", "key"), ("signing", "key"), ("account", "key"), ("license", "key"), ("key", "content")}
)
# Names of places and settings rather than of the secret itself.
_NOT_ITSELF = frozenset(
    [
        "file",
        "path",
        "dir",
        "directory",
        "name",
        "ref",
        "id",
        "url",
        "uri",
        "type",
        "enabled",
        "limit",
        "count",
        "ttl",
        "expiry",
    ]
)
_VALUE = re.compile(
    r"-BEGIN\s+[A-Z ]*PRIVATE KEY-|\bA(?:KIA|SIA)[0-9A-Z]{16}\b|\bhf_[A-Za-z0-9]{30,}|\bsk-[A-Za-z0-9_-]{20,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{35}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|\bnvapi-[\w-]{20,}|://[^/\s:@]+:[^/\s:@$(]+@",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_secret_name(name: str) -> bool:
    """Whether a variable, key or flag of this name holds a secret."""
    words = [word for part in re.split(r"[^A-Za-z0-9]+", name) for word in _CAMEL.sub(" ", part).lower().split()]
    if not words or words[-1] in _NOT_ITSELF:
        return False
    if any(word in _WORDS or "password" in word for word in words):
        return True
    if words[0] == "azure" and words[-1] == "key":
        return True
    return any(pair in _PAIRS for pair in itertools.pairwise(words))


def _literal(name: str, value: Node) -> str:
    """Why a value given in plain is taken for a secret, or nothing."""
    text = "" if value.value is None else str(value.value)
    if not text or text.startswith("$("):  # $(NAME) refers to another variable, which is checked itself
        return ""
    if is_secret_name(name) and not text.startswith("/"):  # a path is a reference
        return "its name says that it is a secret, and its value is written in plain"
    return "its value has the form of a private key, token or password" if _VALUE.search(text) else ""


def _environment(container: Container, context: Context) -> Iterable[Violation]:
    for variable in container.node.get("env").elements():
        value = variable.get("value")
        if value.exists and (reason := _literal(variable.get("name").text or "", value)):
            yield Violation(path=value.path, message=f"environment variable: {reason}")


def _command_line(container: Container, context: Context) -> Iterator[Violation]:
    for argument in container.arguments:
        value = argument.value or ""
        if argument.flag and value and is_secret_name(argument.flag) and not value.startswith(("$", "/")):
            message = "command line: a secret is given in plain, which every process list shows"
            yield Violation(path=argument.path, message=message)
        elif _VALUE.search(argument.text):
            yield Violation(path=argument.path, message="command line: an argument has the form of a secret")


def _config_map(found: KubeObject, context: Context) -> Iterable[Violation]:
    for key, value in found.root.get("data").items():
        if reason := _literal(key, value):
            yield Violation(path=value.path, message=f"ConfigMap entry: {reason}")


RULES = (
    Rule(
        id="literal-secret",
        title="No secret stands in plain text in a container's environment or command line.",
        why="Whoever may read a Deployment, a process list or the state file would hold the model hub's token or the "
        "API keys.",
        fix="put the value into a Secret and refer to it by valueFrom.secretKeyRef or a mounted file",
        sources=(
            "https://kubernetes.io/docs/concepts/configuration/secret/",
            "https://genai.owasp.org/llmrisk/llm022025-sensitive-information-disclosure/",
        ),
        controls=("owasp-llm/LLM02:2025", "cis-kubernetes/5.4.1"),
        cells=each_container,
        checks=(_environment, _command_line),
    ),
    Rule(
        id="literal-secret-configmap",
        title="No ConfigMap entry holds a secret.",
        why="ConfigMaps are readable to far more accounts than Secrets and are not encrypted at rest.",
        fix="move the entry into a Secret",
        sources=("https://kubernetes.io/docs/concepts/configuration/configmap/",),
        controls=("owasp-llm/LLM02:2025",),
        cells=each_object("ConfigMap"),
        checks=(_config_map,),
    ),
)
