"""Asking the policy pack, as the Pulumi engine does: the pack runs as a process of its own, in its own folder, and is
asked over the SDK's analyzer protocol. The kubectl engine, ``preview`` and ``check`` all use this one client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

from google.protobuf import json_format
from pulumi.runtime.proto.analyzer_pb2 import AnalyzeStackRequest

from llmos.checks import configuration, protocol
from llmos.checks.findings import Finding, PackResource, PolicyInfo
from llmos.checks.server import Server
from llmos.paths import PROJECT_ROOT

__all__ = ["PACK", "Finding", "Pack", "PackResource", "PolicyInfo", "evaluate"]

PACK = PROJECT_ROOT / "policies"
# Above this many resources a second process answers the question about the whole stack; its start costs half a second.
_ONE_PROCESS = 300


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
        config: settings by rule, merged over the file's: ``{"gpu-count": {"gpus": 2}, "probe-port": "disabled"}``.

    Attributes:
        policies: what the pack says about its rules.
        initial: the configuration it brings along.
        config: the settings of every rule that are in force.

    Raises:
        UserFault: no such environment, or a configuration that the pack's schema refuses.
        EnvironmentFault: the pack did not start or broke off.
    """

    policies: tuple[PolicyInfo, ...]
    initial: dict[str, dict[str, Any]]
    config: dict[str, dict[str, Any]]

    def __init__(self, *, environment: str, preview: bool, config: Mapping[str, Any] | None = None) -> None:
        self._environment = environment
        self._preview = preview
        self._overrides = dict(config or {})
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        configuration.read(PACK / "config", self._environment)
        with ExitStack() as processes:
            self._server = processes.enter_context(Server(PACK, preview=self._preview))
            self.policies = tuple(protocol.policy_info(policy) for policy in self._server.info.policies)
            self.initial = protocol.initial_config(self._server.info)
            self.use(self._environment)
            self._processes = processes.pop_all()
        return self

    def use(self, environment: str) -> None:
        """Go on with the limits of this environment; starting another pack takes half a second.

        Raises:
            UserFault: as when it is started.
        """
        settings = configuration.read(PACK / "config", environment)
        layers = [(f"policies/config/{environment}.json", settings), ("policy settings", self._overrides)]
        self.config = configuration.merge(self.initial, layers, self.policies)
        self._environment = environment
        self._server.configure(environment, self.config)

    def __exit__(self, *_: object) -> None:
        self._processes.close()

    def evaluate(self, resources: Sequence[PackResource]) -> tuple[Finding, ...]:
        """The findings of all rules: resource by resource, then those about the stack as a whole."""
        second = Server(PACK, preview=self._preview) if len(resources) > _ONE_PROCESS else None
        resources = self.remediate(resources)
        with self._server.calls(), ExitStack() as processes:
            pending = [self._server.stub.Analyze.future(protocol.analyze_request(resource)) for resource in resources]
            server = self._server
            if second is not None:
                server = processes.enter_context(second)
                server.configure(self._environment, self.config)
            whole = server.stub.AnalyzeStack.future(
                AnalyzeStackRequest(resources=[protocol.stack_resource(resource) for resource in resources])
            )
            found = [
                protocol.finding(diagnostic, resource)
                for resource, answer in zip(resources, pending, strict=True)
                for diagnostic in answer.result().diagnostics
            ]
            about_stack = whole.result().diagnostics
        by_urn = {resource.urn: resource for resource in resources}
        return (*found, *(protocol.finding(diagnostic, by_urn.get(diagnostic.urn)) for diagnostic in about_stack))

    def remediate(self, resources: Sequence[PackResource]) -> tuple[PackResource, ...]:
        """The resources as the rules at level ``remediate`` would have them; the same ones where none has that
        level."""
        if all(settings["enforcementLevel"] != "remediate" for settings in self.config.values()):
            return tuple(resources)
        with self._server.calls():
            return tuple(self._remediated(resource) for resource in resources)

    def _remediated(self, resource: PackResource) -> PackResource:
        for change in self._server.stub.Remediate(protocol.analyze_request(resource)).remediations:
            if change.HasField("properties"):
                resource = replace(resource, properties=json_format.MessageToDict(change.properties))
        return resource
