"""Talking to a cluster through kubectl: one client, a fixed kubeconfig and context, JSON in and out."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from llmos.process import run
from planner.faults import EnvironmentFault, Fault

__all__ = ["Guard", "Kube", "KubeObject", "as_list", "identity"]

KubeObject = dict[str, Any]


class Guard(Protocol):
    """What may forbid any further work on a cluster: a lock that can be lost.

    Attributes:
        lost: ends a kubectl that is running, as soon as it is set.
    """

    lost: threading.Event

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for every kubectl under this guard."""

    def check(self) -> None:
        """Raise when no further work is allowed."""


@dataclass(frozen=True, kw_only=True)
class Kube:
    """A cluster as kubectl reaches it.

    Attributes:
        kubectl: the program.
        kubeconfig: the file that describes the cluster; None for kubectl's usual places.
        context: context in that file; None for its current one.
        guard: asked before and after every kubectl; None where everything is allowed.
    """

    kubectl: Path | str = "kubectl"
    kubeconfig: Path | None = None
    context: str | None = None
    guard: Guard | None = None

    def command(self, *arguments: str) -> list[str]:
        """The command line of kubectl for this cluster."""
        command = [str(self.kubectl)]
        if self.kubeconfig:
            command += ["--kubeconfig", str(self.kubeconfig)]
        if self.context:
            command += ["--context", self.context]
        return [*command, *arguments]

    def run(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        timeout_seconds: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl. Raises ``EnvironmentFault`` when it fails, with what it said, or when the guard forbids it."""
        allowed = self.guard.environment if self.guard else {}
        if self.guard:
            self.guard.check()
        try:
            return run(
                self.command(*arguments), stdin=stdin, check=check, timeout_seconds=timeout_seconds,
                env={**os.environ, **allowed, **(env or {})},
                where=f"cluster {self.context or self.kubeconfig or ''}".strip(),
                fix="see the message above; `python3 -m llmos doctor` tells what can be reached",
                stop=self.guard.lost if self.guard else None,
            )
        finally:
            # A kubectl that was ended half-way must not pass for one that failed by itself.
            if self.guard:
                self.guard.check()

    def version(self) -> str:
        """Version of the API server, e.g. ``v1.34.1``; the cheapest question that proves it answers.

        Raises:
            EnvironmentFault: nothing answers within 10 s.
        """
        done = self.run("version", "-o", "json", "--request-timeout=10s", check=False, timeout_seconds=15)
        server = json.loads(done.stdout or "{}").get("serverVersion") if done.returncode == 0 else None
        if not server:
            said = [line.removeprefix("error: ") for line in (done.stderr or done.stdout).strip().splitlines()]
            raise EnvironmentFault(
                Fault(
                    what=f"the cluster does not answer: {said[-1] if said else 'no reply'}",
                    where=f"context {self.context}" if self.context else str(self.kubeconfig or "current context"),
                    fix="start the cluster, or name another context; `kubectl config get-contexts` lists them",
                )
            )
        return server["gitVersion"]

    def get(self, *arguments: str) -> list[KubeObject]:
        """The objects that ``kubectl get`` finds; none when they, or their kind, do not exist."""
        done = self.run("get", *arguments, "-o", "json", "--ignore-not-found", check=False)
        if done.returncode != 0:
            absent = ("doesn't have a resource type", "could not find the requested resource", "not found")
            if any(words in done.stderr for words in absent):
                return []
            raise EnvironmentFault(
                Fault(what=done.stderr.strip(), where="cluster", fix="mend the access to the cluster and repeat")
            )
        if not done.stdout.strip():
            return []
        found = json.loads(done.stdout)
        return found["items"] if found.get("kind") == "List" else [found]

    def live(self, objects: Iterable[KubeObject]) -> dict[tuple[str, str, str], KubeObject]:
        """Those of the objects that exist, by (kind, namespace, name). One question to kubectl for all of them."""
        wanted = list(objects)
        if not wanted:
            return {}
        done = self.run("get", "-f", "-", "-o", "json", "--ignore-not-found", stdin=as_list(wanted), check=False)
        if done.returncode != 0 and "no matches for kind" in done.stderr:
            known = [item for item in wanted if f'"{item["kind"]}"' not in done.stderr]
            return self.live(known) if len(known) < len(wanted) else {}
        if done.returncode != 0 and "not found" not in done.stderr:
            raise EnvironmentFault(Fault(what=done.stderr.strip(), where="cluster", fix="mend the access and repeat"))
        if not done.stdout.strip():
            return {}
        found = json.loads(done.stdout)
        return {identity(item): item for item in (found["items"] if found.get("kind") == "List" else [found])}


def identity(item: KubeObject) -> tuple[str, str, str]:
    """(kind, namespace, name) of an object."""
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def as_list(objects: Sequence[KubeObject]) -> str:
    """The objects as one JSON document."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
