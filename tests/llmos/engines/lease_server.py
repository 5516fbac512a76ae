"""A stand-in for kubectl and an API server that know Leases only, with the server's optimistic concurrency."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from llmos.engines.holder import Holder, this_process
from llmos.engines.lock import Held, Timing, hold
from llmos.kube import Kube, KubeObject
from planner.faults import EnvironmentFault, Fault

FAST = Timing(duration_seconds=0.4, renew_seconds=0.1)
PATIENCE_SECONDS = 20
NAME = "llmagentos-dev"


@dataclass
class LeaseServer:
    """The Leases, and whether anything answers."""

    leases: dict[str, KubeObject] = field(default_factory=dict)
    answers: bool = True
    writes: int = 0
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def store(self, item: KubeObject, **more: str) -> KubeObject:
        self.writes += 1
        stored = {**item, "metadata": {**item["metadata"], **more, "resourceVersion": str(self.writes)}}
        self.leases[item["metadata"]["name"]] = stored
        return stored

    def ask(self, verb: str, words: tuple[str, ...], stdin: str | None) -> tuple[int, str, str]:
        given = json.loads(stdin) if stdin else {}
        if verb == "get":
            found = self.leases.get(words[1])
            return 0, json.dumps(found) if found else "", ""
        if verb == "delete":
            name = words[1].rpartition("/")[2]
            found = self.leases.get(name)
            same = found and all(found["metadata"][key] == value for key, value in given["preconditions"].items())
            if same:
                del self.leases[name]
            return (0, "", "") if same else (1, "", "Error from server (Conflict): precondition")
        found = self.leases.get(given["metadata"]["name"])
        if verb == "create":
            if found:
                return 1, "", "Error from server (AlreadyExists): leases"
            return 0, json.dumps(self.store(given, uid=uuid.uuid4().hex)), ""
        if found is None:
            return 1, "", "Error from server (NotFound): leases"
        if any(found["metadata"][key] != given["metadata"][key] for key in ("uid", "resourceVersion")):
            return 1, "", "Error from server (Conflict): the object has been modified"
        return 0, json.dumps(self.store(given)), ""


@dataclass(frozen=True, kw_only=True)
class LeaseKube(Kube):
    """kubectl in front of a :class:`LeaseServer`."""

    server: LeaseServer

    def run(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout_seconds: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        if not self.server.answers:
            raise EnvironmentFault(Fault(what="connection refused", where="cluster", fix="start it"))
        with self.server.mutex:
            code, out, err = self.server.ask(arguments[0], arguments[1:], stdin)
        return subprocess.CompletedProcess(arguments, code, out, err)


@contextmanager
def holding(kube: Kube, *, timing: Timing | None = None, said: list[str] | None = None) -> Iterator[Held]:
    with hold(
        kube, stack="dev", namespace="assistant", command="up --stack dev",
        progress=(said if said is not None else []).append, timing=timing or Timing(),
    ) as held:
        yield held


def foreign(**changes: object) -> Holder:
    """A holder on another machine that renewed its lock just now."""
    me = this_process(command="up --stack dev", duration_seconds=60)
    return dataclasses.replace(me, user="anna", host="laptop", pid=1234, machine="elsewhere", **changes)


def put(server: LeaseServer, holder: Holder) -> None:
    metadata = {"name": NAME, "namespace": "assistant", "annotations": holder.annotations()}
    server.store({"metadata": metadata, "spec": holder.spec()}, uid="u")
