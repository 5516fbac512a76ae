"""Watching the pods of a canary by what they count themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from llmos.canary.figures import Figures, added, figures_of
from llmos.canary.verdict import Verdict, verdict_on
from llmos.kube import Kube, KubeObject
from planner.plan import TRACK, ApplicationPlan, CanaryPlan

__all__ = ["Pods", "is_canary", "watch"]

_POLL_SECONDS = 5.0
_AT_ONCE = 4


@dataclass(kw_only=True)
class Pods:
    """The pods of an application and what they counted since the first reading.

    Attributes:
        kube: the cluster.
        namespace: of the application.
        stack: its ``app.kubernetes.io/instance``.
        application: its plan, with a canary.
        first: counts of each pod as it was first seen.
        last: and as it was last read; a pod that is gone keeps them.
    """

    kube: Kube
    namespace: str
    stack: str
    application: ApplicationPlan
    first: dict[str, Figures] = field(default_factory=dict)
    last: dict[str, Figures] = field(default_factory=dict)
    canaries: set[str] = field(default_factory=set)

    @property
    def plan(self) -> CanaryPlan:
        assert self.application.canary
        return self.application.canary

    def read(self, *, canary: bool) -> list[KubeObject]:
        """Ask the pods of the canary, or the others, for their counts; returns them."""
        pods = [pod for pod in self._running() if is_canary(pod) == canary]
        names = [pod["metadata"]["name"] for pod in pods]
        if canary:
            self.canaries |= set(names)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for name, figures in zip(names, pool.map(self._figures, names), strict=True):
                if figures is not None:
                    self.first.setdefault(name, figures)
                    self.last[name] = figures
        return pods

    def seen(self, *, canary: bool) -> Figures:
        """What the pods of the canary, or the others, counted since they were first read."""
        names = [name for name in self.last if (name in self.canaries) == canary]
        return added(self.last[name].since(self.first[name]) for name in names)

    def _running(self) -> list[KubeObject]:
        labels = f"app.kubernetes.io/name={self.application.name},app.kubernetes.io/instance={self.stack}"
        found = self.kube.get("pods", "-n", self.namespace, "-l", labels)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def _figures(self, pod: str) -> Figures | None:
        """By way of the API server, which may reach pods where this machine may not. None where it does not answer."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}:{self.application.port}/proxy/metrics"
        done = self.kube.run("get", "--raw", path, "--request-timeout=5s", check=False, timeout_seconds=15)
        try:
            return figures_of(done.stdout, self.plan) if done.returncode == 0 else None
        except ValueError:
            return None


def is_canary(item: KubeObject) -> bool:
    """Whether a pod or Deployment is one of a canary."""
    return item["metadata"].get("labels", {}).get(TRACK[0]) == TRACK[1]


def watch(
    watched: Sequence[Pods], *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> list[Verdict]:
    """Watch until all are found good, or one is to be stopped: then nothing is to be learnt from the others.

    Args:
        watched: pods of applications, whose canaries are ready.
        clock: seconds.
        sleep: waits for so many seconds.

    Returns:
        One verdict each; of those that were still watched as another was stopped it says ``watch``.
    """
    started = clock()
    found = [Verdict(says="watch") for _ in watched]
    for pods in watched:
        pods.read(canary=True)
    while True:
        open_ones = [pods for pods, said in zip(watched, found, strict=True) if said.says == "watch"]
        left = started + min(pods.plan.watch_seconds for pods in open_ones) - clock()
        sleep(max(0.0, min(_POLL_SECONDS, left)))
        for number, pods in enumerate(watched):
            if found[number].says == "watch":
                found[number] = _look(pods, over=clock() >= started + pods.plan.watch_seconds)
        if all(said.says == "go" for said in found) or any(said.says == "stop" for said in found):
            return found


def _look(pods: Pods, *, over: bool) -> Verdict:
    broken = _ended(pods.read(canary=True))
    return Verdict(says="stop", why=broken) if broken else verdict_on(pods.seen(canary=True), pods.plan, over=over)


def _ended(pods: Iterable[KubeObject]) -> str:
    """A container that ended while it was watched, and why; a program that dies loses its counts with it."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", ()):
            if container.get("restartCount", 0):
                reason = container.get("lastState", {}).get("terminated", {}).get("reason") or "it ended"
                return f"{pod['metadata']['name']} was started again ({reason})"
    return ""
