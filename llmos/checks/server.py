"""The policy pack as a running process, in its own folder, answering the SDK's analyzer protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from llmos.checks import protocol
from planner.faults import EnvironmentFault, Fault

__all__ = ["Server"]

_MESSAGE_BYTES = 400 * 1024 * 1024  # the SDK's own limit on the other side


class Server:
    """A pack's process and the channel to it; use it in a ``with`` statement.

    Args:
        folder: the pack, which becomes the process's working directory.
        preview: whether the engine would be previewing.
    """

    def __init__(self, folder: Path, *, preview: bool) -> None:
        self._preview = preview
        environment = os.environ | {
            "PULUMI_PROJECT": "llmagentos", "PULUMI_STACK": "check", "PULUMI_DRY_RUN": "true" if preview else "false",
        }
        # This interpreter's environment is the one that PulumiPolicy.yaml names.
        self._process = subprocess.Popen(
            [sys.executable, "-u", "."], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        try:
            options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.enable_http_proxy", 0)]
            self._channel = grpc.insecure_channel(f"127.0.0.1:{self._port()}", options=options)
            self.stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)
            with self.calls():
                self.info = self.stub.GetAnalyzerInfo(empty_pb2.Empty())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._channel is not None:
            self._channel.close()
        self._process.terminate()
        self._process.communicate()

    @contextmanager
    def calls(self) -> Iterator[None]:
        """Turn a call that breaks off into a fault that quotes what the pack said."""
        try:
            yield
        except grpc.RpcError as error:
            raise self._broken(error) from error

    def configure(self, environment: str, config: Mapping[str, Mapping[str, Any]]) -> None:
        """Hand over what the engine would before it asks."""
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, values in config.items():
            properties = {key: value for key, value in values.items() if key != "enforcementLevel"}
            request.policyConfig[name].CopyFrom(protocol.policy_config(values["enforcementLevel"], properties))
        with self.calls():
            self.stub.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(
                stack=environment, project="llmagentos", dry_run=self._preview
            ))
            self.stub.Configure(request)

    def _port(self) -> int:
        """The port the pack prints when it is ready."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line.isdecimal():
            return int(line)
        raise self._broken(None)

    def _broken(self, error: grpc.RpcError | None) -> EnvironmentFault:
        self._process.terminate()
        said = (self._process.communicate()[1] or "").strip().splitlines()[-6:]
        details = error.details() if isinstance(error, grpc.Call) else ""
        return EnvironmentFault(Fault(
            what="the policy pack broke off:\n    " + ("\n    ".join(said) or details or "it said nothing"),
            where="policies", fix="run `venv/bin/python policies` to see it start by itself",
        ))
