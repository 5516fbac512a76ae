"""The text of ``benchmarks/preview_peer.py``: the dev stack's resources as somebody would write them down by hand."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

from llmos.synth import IMAGE_TYPE, Program, Resource

__all__ = ["DIGEST", "peer_text"]

_HEAD = '''"""The dev stack as plain Pulumi: one call for each resource, nothing decided and nothing shared.

The program that somebody would write by hand, and what ``benchmarks.preview`` compares ours with. ``benchmarks._peer``
writes it down, so that its objects stay those of the dev stack; after a change of that stack that is meant:
``python3 -m llmos test -- tests/components --update-golden``.
"""

# ruff: noqa: E501
import os
import secrets

import pulumi
import pulumi_docker_build as docker_build
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apiextensions import CustomResource

cluster = k8s.Provider(
    "cluster",
    kubeconfig=os.environ.get("KUBECONFIG"),
    cluster_identifier="llmagentos-local-embedded",
    enable_server_side_apply=True,
)
images = docker_build.Provider("images")
'''
DIGEST = "sha256:" + "ab" * 32
_WIDTH = 100


def peer_text(program: Program) -> str:
    """The program, from one that was synthesised with the digest ``DIGEST`` for every image."""
    parts = [_HEAD]
    resources = [item for item in program.resources if item.custom and not item.type.startswith("pulumi:providers:")]
    parts += [_image(item) for item in resources if item.type == IMAGE_TYPE]
    parts += [_object(item) for item in resources if item.type == "kubernetes:core/v1:Namespace"]
    parts += [_object(item) for item in resources if item.type not in (IMAGE_TYPE, "kubernetes:core/v1:Namespace")]
    return "\n".join(parts)


def _image(item: Resource) -> str:
    inputs = item.inputs
    secrets = "{name: pulumi.Output.secret(text) for name, text in {}.items()}"
    arguments = {_snake(name): _literal(value) for name, value in inputs.items()}
    if "secrets" in arguments and not inputs["secrets"]:
        arguments["secrets"] = secrets
    repository = inputs["tags"][0].rpartition(":")[0]
    made = _call(f"{_variable(item)} = docker_build.Image", item, arguments, provider="images")
    return made + f'{_variable(item)}_ref = pulumi.Output.concat("{repository}@", {_variable(item)}.digest)\n'


def _object(item: Resource) -> str:
    version, kind = item.type.removeprefix("kubernetes:").split(":")
    inputs = {key: value for key, value in item.inputs.items() if key not in ("apiVersion", "kind")}
    arguments = {_snake(key): _literal(value) for key, value in inputs.items()}
    if kind == "Secret":
        # The value is random; the program makes its own.
        arguments["string_data"] = '{"keys": pulumi.Output.secret(secrets.token_urlsafe(32))}'
    group, _, number = version.rpartition("/")
    if group.endswith(".sh"):
        arguments = {"api_version": repr(version), "kind": repr(kind)} | arguments
        return _call("CustomResource", item, arguments, provider="cluster")
    maker = f"k8s.{group.removesuffix('.k8s.io').split('.')[0]}.{number}.{kind}"
    if kind == "Namespace":
        return _call(f"namespace = {maker}", item, arguments, provider="cluster")
    return _call(maker, item, arguments, provider="cluster", depends_on="[namespace]")


def _call(maker: str, item: Resource, arguments: Mapping[str, str], **options: str) -> str:
    ignored = item.options.get("ignoreChanges")
    options |= {"ignore_changes": repr(ignored)} if ignored else {}
    options |= {"retain_on_delete": "True"} if item.options.get("retainOnDelete") else {}
    given = ", ".join(f"{name}={text}" for name, text in options.items())
    lines = [f"{maker}(", f"    {json.dumps(item.name)},"]
    lines += [f"    {name}={text}," for name, text in arguments.items()]
    return "\n".join([*lines, f"    opts=pulumi.ResourceOptions({given}),", ")", ""])


def _literal(value: Any, indent: int = 4) -> str:
    """The value as a person would write it in Python: on one line where it fits."""
    if isinstance(value, str) and value.endswith(f"@{DIGEST}"):
        return f"{value.partition('@')[0].rpartition('/')[2].replace('-', '_')}_image_ref"
    inner = " " * (indent + 4)
    if isinstance(value, Mapping):
        items = [f"{_literal(key)}: {_literal(item, indent + 4)}" for key, item in value.items()]
        ends = "{}"
    elif isinstance(value, list):
        items = [_literal(item, indent + 4) for item in value]
        ends = "[]"
    else:
        return json.dumps(value) if isinstance(value, str) else repr(value)
    line = f"{ends[0]}{', '.join(items)}{ends[1]}"
    if indent + len(line) < _WIDTH and "\n" not in line:
        return line
    return "\n".join([ends[0], *(f"{inner}{item}," for item in items), " " * indent + ends[1]])


def _variable(item: Resource) -> str:
    return f"{item.name.replace('-', '_')}_image"


def _snake(name: str) -> str:
    """The name of the SDK's argument: ``buildArgs`` is ``build_args``, ``exec`` is ``exec_``."""
    snake = re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)
    return f"{snake}_" if keyword.iskeyword(snake) or snake == "exec" else snake
