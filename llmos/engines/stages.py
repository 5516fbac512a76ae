"""What a person who waits for a rollout is told of models that load: each stage of each pod, once."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

from llmos.kube import Kube
from llmos.loading import unready

__all__ = ["Stages"]

# Logs are asked for, so less often than whether everything is available.
_PAUSE_SECONDS = 10
# Before these the scheduler's or the kubelet's own reason says more.
_TOLD = ("pulling the image", "downloading weights", "loading weights", "compiling", "warming up")


class Stages:
    """Tells the stages of a stack's pods as they come.

    Args:
        kube: the cluster.
        namespace: of the stack.
        stack: its name.
        progress: called with one line for each new stage of a pod.
    """

    def __init__(self, kube: Kube, *, namespace: str, stack: str, progress: Callable[[str], None]) -> None:
        self._kube, self._progress = kube, progress
        self._pods = ("-n", namespace, "-l", f"app.kubernetes.io/instance={stack}")
        self._events = ("events", "-n", namespace)
        self._told: dict[str, str] = {}
        # The first question is due after one pause: most pods are ready by then.
        self._due = time.monotonic() + _PAUSE_SECONDS

    def tell(self) -> None:
        """Ask and tell, when it is time for it again."""
        if time.monotonic() < self._due:
            return
        pods, events = self._kube.get("pods", *self._pods), self._kube.get(*self._events)
        for name, found in sorted(unready(self._kube, pods, events, now=dt.datetime.now(dt.UTC)).items()):
            if found.stage in _TOLD and self._told.get(name) != found.stage:
                self._told[name] = found.stage
                self._progress(f"  {name}: {found}")
        self._due = time.monotonic() + _PAUSE_SECONDS
