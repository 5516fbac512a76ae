"""Translating between our rows and the messages of Pulumi's analyzer protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2 as rpc

from llmos.checks.findings import Finding, PackResource, PolicyInfo

__all__ = ["analyze_request", "finding", "initial_config", "policy_config", "policy_info", "stack_resource"]

_LEVELS = {
    rpc.ADVISORY: "advisory", rpc.MANDATORY: "mandatory", rpc.REMEDIATE: "remediate", rpc.DISABLED: "disabled",
}
_NUMBERS = {level: number for number, level in _LEVELS.items()}
_LABELLED = re.compile(r"^  (At|To fix|Object|Control): (.*)$")
_CANNOT_RUN = re.compile(r"^can't run policy '[^']*' from policy pack '[^']*' during preview: ")


def policy_info(policy: rpc.PolicyInfo) -> PolicyInfo:
    """What the pack says about a rule."""
    schema = {
        "type": "object",
        "properties": {
            "enforcementLevel": {"enum": list(_NUMBERS)},
            **json_format.MessageToDict(policy.configSchema.properties),
        },
        "required": list(policy.configSchema.required),
        "additionalProperties": False,
    }
    return PolicyInfo(
        name=policy.name, title=policy.displayName, description=policy.description,
        level=_LEVELS[policy.enforcementLevel], controls=tuple(policy.tags), fix=policy.remediation_steps,
        source=policy.url, schema=schema,
    )


def initial_config(info: rpc.AnalyzerInfo) -> dict[str, dict[str, Any]]:
    """The configuration the pack brings along."""
    return {
        name: {**json_format.MessageToDict(config.properties), "enforcementLevel": _LEVELS[config.enforcementLevel]}
        for name, config in info.initialConfig.items()
    }


def policy_config(level: str, properties: Mapping[str, Any]) -> rpc.PolicyConfig:
    """A rule's configuration."""
    config = rpc.PolicyConfig(enforcementLevel=_NUMBERS[level])
    config.properties.update(dict(properties))
    return config


def analyze_request(resource: PackResource) -> rpc.AnalyzeRequest:
    """The question about one resource."""
    return rpc.AnalyzeRequest(
        type=resource.type, name=resource.name, urn=resource.urn, properties=_struct(resource.properties),
        options=_options(resource),
    )


def stack_resource(resource: PackResource) -> rpc.AnalyzerResource:
    """A resource in the question about a whole stack."""
    return rpc.AnalyzerResource(
        type=resource.type, name=resource.name, urn=resource.urn, properties=_struct(resource.properties),
        options=_options(resource), parent=resource.parent, dependencies=resource.dependencies,
    )


def _options(resource: PackResource) -> rpc.AnalyzerResourceOptions:
    return rpc.AnalyzerResourceOptions(protect=resource.protect, parent=resource.parent)


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(_jsonable(properties))
    return struct


def _jsonable(value: Any) -> Any:
    """Plain data; what is not (an asset, a date) becomes the name of its type: rules read no such values."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(element) for element in value]
    return value if value is None or isinstance(value, str | bool | int | float) else type(value).__name__


def finding(diagnostic: rpc.AnalyzeDiagnostic, resource: PackResource | None) -> Finding:
    """A row from one diagnostic of the pack, whose texts carry labelled lines."""
    text = diagnostic.message.removeprefix(diagnostic.description).lstrip("\n")
    message: list[str] = []
    labels: dict[str, str] = {}
    for line in _CANNOT_RUN.sub("", text).splitlines():
        if found := _LABELLED.match(line):
            labels[found[1]] = found[2]
        else:
            message.append(line.strip())
    return Finding(
        rule=diagnostic.policyName,
        level=_LEVELS[diagnostic.enforcementLevel],
        object=labels.get("Object", _name(resource) if resource else ""),
        path=labels.get("At", ""),
        message=" ".join(message),
        fix=labels.get("To fix", ""),
        control=labels.get("Control", ""),
        why=diagnostic.description,
        urn=resource.urn if resource else "",
    )


def _name(resource: PackResource) -> str:
    metadata = resource.properties.get("metadata")
    if not resource.type.startswith("kubernetes:") or not isinstance(metadata, Mapping):
        return f"{resource.type}/{resource.name}"
    kind = resource.type.rpartition(":")[2]
    return "/".join(
        str(part) for part in (kind, metadata.get("namespace"), metadata.get("name", resource.name)) if part
    )
