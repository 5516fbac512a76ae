"""Asking the policy pack, as the Pulumi engine does: the pack runs as a process of its own, in its own folder, and is
asked over the SDK's analyzer protocol. The kubectl engine, ``preview`` and ``check`` all use this one client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from llmos.checks import configuration, protocol
from llmos.checks.findings import Finding, PackResource, PolicyInfo
from llmos.paths import PROJECT_ROOT
from planner.faults import EnvironmentFault, Fault

__all__ = ["PACK", "Finding", "Pack", "PackResource", "PolicyInfo", "evaluate"]

PACK = PROJECT_ROOT / "policies"
_MESSAGE_BYTES = 400 * 1024 * 1024  # the SDK's own limit on the other side


def evaluate(
    resources: Sequence[PackResource], *, environment: str, preview: bool, config: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """Ask the pack once about a whole stack; arguments and errors as for :class:`Pack`."""
    with Pack(environment=environment, preview=preview, config=config) as pack:
        return pack.evaluate(resources)


class Pack:
    """A running policy pack, to be used in a ``with`` statement.

    Args:
        environment: selects ``policies/config/<environment>.json``.
        preview: whether an unknown value is normal, so that rules only say they could not check it; at `up` it is a
            violation.
        config: settings by rule, merged over the file's: ``{"budget-gpus": {"gpus": 2}, "probes": "disabled"}``.

    Raises:
        UserFault: no such environment, or a configuration that the pack's schema refuses.
        EnvironmentFault: the pack did not start or broke off.
    """

    def __init__(self, *, environment: str, preview: bool, config: Mapping[str, Any] | None = None) -> None:
        self._environment = environment
        self._preview = preview
        self._overrides = dict(config or {})

    def __enter__(self) -> Self:
        settings = configuration.read(PACK / "config", self._environment)
        self._process = _start(preview=self._preview)
        try:
            self._connect()
            self._configure(settings)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if channel := getattr(self, "_channel", None):
            channel.close()
        self._process.terminate()
        self._process.communicate()

    def evaluate(self, resources: Sequence[PackResource]) -> tuple[Finding, ...]:
        """The findings of all rules: resource by resource, then those about the stack as a whole."""
        resources = self.remediate(resources)
        try:
            pending = [
                (resource, self._stub.Analyze.future(protocol.analyze_request(resource))) for resource in resources
            ]
            whole = self._stub.AnalyzeStack.future(
                analyzer_pb2.AnalyzeStackRequest(resources=[protocol.stack_resource(found) for found in resources])
            )
            answers = [(resource, answer.result().diagnostics) for resource, answer in pending]
            about_stack = whole.result().diagnostics
        except grpc.RpcError as error:
            raise _broken(self._process, error) from error
        by_urn = {resource.urn: resource for resource in resources}
        return tuple(
            [protocol.finding(found, resource) for resource, diagnostics in answers for found in diagnostics]
            + [protocol.finding(found, by_urn.get(found.urn)) for found in about_stack]
        )

    def remediate(self, resources: Sequence[PackResource]) -> tuple[PackResource, ...]:
        """The resources as the rules at level ``remediate`` would have them; the same ones where none has that level."""
        if all(settings["enforcementLevel"] != "remediate" for settings in self.config.values()):
            return tuple(resources)
        try:
            return tuple(self._remediated(resource) for resource in resources)
        except grpc.RpcError as error:
            raise _broken(self._process, error) from error

    def _remediated(self, resource: PackResource) -> PackResource:
        for change in self._stub.Remediate(protocol.analyze_request(resource)).remediations:
            if change.HasField("properties"):
                resource = replace(resource, properties=json_format.MessageToDict(change.properties))
        return resource

    def _connect(self) -> None:
        options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{_port(self._process)}", options=options)
        self._stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)

    def _configure(self, settings: Mapping[str, Any]) -> None:
        try:
            info = self._stub.GetAnalyzerInfo(empty_pb2.Empty())
        except grpc.RpcError as error:
            raise _broken(self._process, error) from error
        self.policies: tuple[PolicyInfo, ...] = tuple(protocol.policy_info(policy) for policy in info.policies)
        layers = [(f"policies/config/{self._environment}.json", settings), ("policy settings", self._overrides)]
        self.initial = protocol.initial_config(info)
        self.config = configuration.merge(self.initial, layers, self.policies)
        self._stub.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(
            stack=self._environment, project="llmagentos", dry_run=self._preview
        ))
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, values in self.config.items():
            properties = {key: value for key, value in values.items() if key != "enforcementLevel"}
            request.policyConfig[name].CopyFrom(protocol.policy_config(values["enforcementLevel"], properties))
        self._stub.Configure(request)


def _start(*, preview: bool) -> subprocess.Popen[str]:
    """Start the pack in this interpreter's environment, which is the one PulumiPolicy.yaml names."""
    environment = os.environ | {
        "PULUMI_PROJECT": "llmagentos", "PULUMI_STACK": "check", "PULUMI_DRY_RUN": "true" if preview else "false",
    }
    return subprocess.Popen(
        [sys.executable, "-u", "."], cwd=PACK, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )


def _port(process: subprocess.Popen[str]) -> int:
    """The port the pack prints when it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line.isdecimal():
        return int(line)
    raise _broken(process, None)


def _broken(process: subprocess.Popen[str], error: grpc.RpcError | None) -> EnvironmentFault:
    process.terminate()
    said = (process.communicate()[1] or "").strip().splitlines()[-6:]
    why = "\n    ".join(said) or (error.details() if isinstance(error, grpc.Call) else "") or "it said nothing"
    return EnvironmentFault(Fault(
        what=f"the policy pack broke off:\n    {why}", where="policies",
        fix="run `venv/bin/python policies` to see it start by itself",
    ))
