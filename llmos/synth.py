"""Running the unchanged Pulumi program on Pulumi's own mock runtime, and keeping everything that it registers.

Tests, ``render``, ``check``, the offline preview and the kubectl engine all stand on this one function.
"""

from __future__ import annotations

import json
import logging
import os
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2, json_format
from pulumi.runtime import mocks, rpc
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS, get_project, get_stack, set_root_resource
from pulumi.runtime.stack import run_in_stack
from pulumi.runtime.sync_await import _ensure_event_loop, _sync_await

from llmos import standins
from llmos.paths import PROJECT_ROOT

__all__ = ["UNKNOWN", "BuildOutput", "Program", "ResolveTag", "Resource", "synth"]

UNKNOWN = rpc.UNKNOWN
"""What stands in a property for a value that is known only after something was created."""

IMAGE_TYPE = "docker-build:index:Image"
REGISTRY_IMAGE_FUNCTION = "docker:index/getRegistryImage:getRegistryImage"
ResolveTag = Callable[[str], str]
"""From an image's name with a tag to its digest."""
BuildOutput = Callable[[str, Mapping[str, Any]], str]
"""From an image's name and build inputs to its digest; called for each image when not in preview."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as the program registered it.

    Attributes:
        type: type token, e.g. ``kubernetes:apps/v1:Deployment``.
        name: logical name.
        urn: unique name, with the types of its parents.
        properties: inputs as they go over the wire: secrets wrapped in their signature, unknowns as ``UNKNOWN``.
        custom: whether a provider manages it; false for components.
        parent: URN of the parent; empty for the stack itself.
        provider: URN and id of the provider; empty for components.
        dependencies: URNs that must exist before.
        options: protect, retainOnDelete, ignoreChanges and aliases, where set.
    """

    type: str
    name: str
    urn: str
    properties: dict[str, Any]
    custom: bool
    parent: str
    provider: str
    dependencies: tuple[str, ...]
    options: dict[str, Any]

    @property
    def inputs(self) -> dict[str, Any]:
        """The properties with secrets unwrapped and whole numbers as integers: the object as Kubernetes gets it."""
        return _plain(self.properties)


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything one run of the program registered, sorted by URN, and what it exports."""

    resources: tuple[Resource, ...]
    outputs: dict[str, Any]

    def of_type(self, *types: str) -> tuple[Resource, ...]:
        """The resources of these types."""
        return tuple(resource for resource in self.resources if resource.type in types)


def synth(
    raw: Mapping[str, Any],
    *,
    stack: str = "dev",
    preview: bool = False,
    build: BuildOutput | None = None,
    resolve: ResolveTag | None = None,
    main: Path = PROJECT_ROOT / "__main__.py",
) -> Program:
    """Run ``__main__.py`` without an engine and return all that it registers.

    Args:
        raw: value of ``llmagentos:stack``, as it stands in the stack file.
        stack: the stack's name.
        preview: make the outputs of resources unknown, as the engine does before anything exists.
        build: gives the digest of each built image; needed when not in preview and an image is built.
        resolve: gives the digest of each image that is named by a tag. The engine asks in a preview, too; without it
            the digest is unknown there, and elsewhere it is needed.
        main: the program; another one only for comparison.

    Raises:
        Whatever the program raises; stack files are checked before (``planner.settings.parse``).
    """
    # A caller that ran asyncio.run before has no loop any more, and Pulumi's resources want one.
    _ensure_event_loop()
    monitor = _Monitor(preview=preview, build=build, resolve=resolve, where=raw.get("aws") or {})
    with _program_environment():
        mocks.set_mocks(
            _NoMocks(monitor.where), project="llmagentos", stack=stack, preview=preview, monitor=monitor,
            logger=_quiet_logger(),
        )
        set_root_resource(None)
        SETTINGS.outputs.clear()
        set_all_config({"llmagentos:stack": json.dumps(raw)})
        _sync_await(run_in_stack(lambda: runpy.run_path(str(main), run_name="__main__") and None))
    resources = tuple(sorted(monitor.registered, key=lambda resource: resource.urn))
    return Program(resources=resources, outputs=_plain(monitor.outputs))


class _NoMocks(mocks.Mocks):
    """Answers look-ups; for everything else the monitor below answers itself, and nothing reaches these."""

    def __init__(self, where: Mapping[str, Any]) -> None:
        self._where = where

    def call(self, args: mocks.MockCallArgs) -> Any:
        return standins.answer(args.token, args.args, self._where)

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise NotImplementedError(args.typ)


class _Monitor(mocks.MockMonitor):
    """Pulumi's mock monitor, which also keeps the options that it would otherwise throw away."""

    def __init__(
        self, *, preview: bool, build: BuildOutput | None, resolve: ResolveTag | None, where: Mapping[str, Any]
    ) -> None:
        super().__init__(_NoMocks(where))
        self.where = where
        self.registered: list[Resource] = []
        self.outputs: dict[str, Any] = {}
        self._preview, self._build, self._resolve = preview, build, resolve

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes it: with the types of all parents below the stack (the mock keeps only the nearest)."""
        chain = parent.split("::")[2] if parent else ""
        qualified = type_ if chain in ("", "pulumi:pulumi:Stack") else f"{chain}${type_}"
        return f"urn:pulumi:{get_stack()}::{get_project()}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        properties = json_format.MessageToDict(request.object)
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(_resource(request, urn, properties))
            self.resources[urn] = self.ResourceRegistration(urn, request.name, properties)
        state = dict(properties)
        if request.type == IMAGE_TYPE and not self._preview:
            if self._build is None:
                raise ValueError(f"the digest of image {request.name} is needed, and nothing builds it")
            state["digest"] = self._build(request.name, _plain(properties))
        found = request.name
        if request.type.startswith("aws:") and not self._preview:
            found, more = standins.outputs(request.type, request.name, _plain(properties), self.where)
            state |= more
        elif self.where and request.type in standins.BALANCERS and not self._preview:
            state |= standins.balancer(request.name)
        known = request.custom and not self._preview
        answer = resource_pb2.RegisterResourceResponse(urn=urn, id=found if known else "")
        answer.object.CopyFrom(json_format.ParseDict(state, answer.object))
        return answer

    def Invoke(self, request: Any) -> Any:
        if request.tok != REGISTRY_IMAGE_FUNCTION:
            return super().Invoke(request)
        name = json_format.MessageToDict(request.args)["name"]
        if self._resolve is None and not self._preview:
            raise ValueError(f"the digest of {name} is needed, and nothing looks it up")
        answer = resource_pb2.ResourceInvokeResponse(unknown=self._resolve is None)
        if self._resolve is not None:
            result = {"id": name, "name": name, "sha256Digest": self._resolve(name)}
            json_format.ParseDict(result, getattr(answer, "return"))
        return answer

    def ReadResource(self, request: Any) -> Any:
        answer = resource_pb2.ReadResourceResponse(urn=self.make_urn(request.parent, request.type, request.name))
        state = standins.read(request.type, request.id, outputs=UNKNOWN if self._preview else None)
        json_format.ParseDict(state, answer.properties)
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = json_format.MessageToDict(request.outputs)
        return empty_pb2.Empty()


def _resource(request: Any, urn: str, properties: dict[str, Any]) -> Resource:
    options = {
        "protect": request.protect,
        "retainOnDelete": request.retainOnDelete,
        "ignoreChanges": list(request.ignoreChanges),
        "aliases": [json_format.MessageToDict(alias) for alias in request.aliases],
    }
    return Resource(
        type=request.type,
        name=request.name,
        urn=urn,
        properties=properties,
        custom=request.custom,
        parent=request.parent,
        provider=request.provider,
        dependencies=tuple(sorted(set(request.dependencies))),
        options={key: value for key, value in options.items() if value},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if rpc._special_sig_key in value:
            return _plain(value.get("value"))
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@contextmanager
def _program_environment() -> Iterator[None]:
    """The program's working directory is the project's folder; errors of outputs print as errors, not as text."""
    before, errors = Path.cwd(), os.environ.get("PULUMI_ERROR_OUTPUT_STRING")
    os.chdir(PROJECT_ROOT)
    os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "1"
    try:
        yield
    finally:
        os.chdir(before)
        if errors is None:
            del os.environ["PULUMI_ERROR_OUTPUT_STRING"]


def _quiet_logger() -> logging.Logger:
    """The program's log, which an engine would show; errors reach the caller as exceptions anyway."""
    return logging.getLogger("llmos.program")
