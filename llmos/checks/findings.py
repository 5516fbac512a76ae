"""The rows that go to and come from the policy pack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding", "PackResource", "PolicyInfo"]


@dataclass(frozen=True, kw_only=True)
class PackResource:
    """A resource as the engine would present it.

    Attributes:
        type: Pulumi's type token, e.g. ``kubernetes:apps/v1:Deployment``.
        name: the logical name.
        urn: unique in the stack; findings are attributed by it.
        properties: the inputs as plain data, unknown values as the SDK's sentinel strings.
        parent: URN of the parent component, empty for none.
        dependencies: URNs.
        protect: the resource option.
    """

    type: str
    name: str
    urn: str
    properties: Mapping[str, Any]
    parent: str = ""
    dependencies: tuple[str, ...] = ()
    protect: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of ``policy`` in ``preview --json`` and of ``findings`` in ``check --json``.

    Attributes:
        rule: the rule's id.
        level: ``advisory`` or ``mandatory``.
        object: ``Kind/namespace/name``, or type and name of other resources; empty for the stack as a whole.
        path: property path, empty for the whole object.
        message: what is wrong, without any property value.
        fix: what to do.
        control: controls of published catalogues, comma-separated.
        why: what goes wrong otherwise.
        file: where the object was read from, set by `check`.
        urn: the resource; empty for the stack as a whole.
    """

    rule: str
    level: str
    object: str
    path: str
    message: str
    fix: str
    control: str = ""
    why: str = ""
    file: str = ""
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class PolicyInfo:
    """What the pack says about one of its rules; ``schema`` is the JSON schema of its settings."""

    name: str
    title: str
    description: str
    level: str
    controls: tuple[str, ...]
    fix: str
    source: str
    schema: Mapping[str, Any] = field(default_factory=dict)
