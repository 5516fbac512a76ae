"""Log lines of a stack's pods, and of the real containers beside the embedded cluster, each with where it came from."""

from __future__ import annotations

import datetime as dt
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llmos.kube import Kube, KubeObject

__all__ = ["LogOptions", "Source", "container_source", "follow", "pod_source"]

_POLL_SECONDS = 2.0
_ENDED = ("Succeeded", "Failed")
_Write = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """Which lines are shown.

    Attributes:
        since: a duration, e.g. ``10m``; empty for no limit.
        previous: those of the container before its last restart.
        tail: newest lines of each container; -1 for all.
        since_time: only lines after this moment (RFC 3339), instead of the limits above.
    """

    since: str = ""
    previous: bool = False
    tail: int = 100
    since_time: str = ""

    @property
    def limits(self) -> list[str]:
        """The same for ``kubectl logs`` and ``docker logs``, which share these options."""
        if self.since_time:
            return [f"--since-time={self.since_time}"]
        return [*([f"--since={self.since}"] if self.since else []), f"--tail={self.tail}"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something that writes a log.

    Attributes:
        name: what messages call it.
        command: prints its lines.
        env: environment of that command; this process's by default.
        prefix: put before each line, where the command does not do that by itself.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None
    prefix: str = ""

    def copy_lines(self, write: _Write) -> str:
        """Hand every line to ``write``. Returns what the command said when it failed, else nothing."""
        process = subprocess.Popen(
            list(self.command), env=dict(self.env) if self.env is not None else None, stdin=subprocess.DEVNULL,
            # A container's two streams stay apart with docker; with kubectl the second one is its own errors.
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT if self.prefix else subprocess.PIPE,
            text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        try:
            for line in process.stdout or ():
                write(f"{self.prefix}{line.rstrip()}\n")
            said = process.stderr.read() if process.stderr else ""
            return "" if process.wait() == 0 else " ".join(said.split()).removeprefix("error: ") or "no reason given"
        finally:
            process.kill()
            process.wait()


def pod_source(kube: Kube, pod: KubeObject, options: LogOptions, *, following: bool = False) -> Source:
    """All containers of a pod."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    words = ["logs", f"pod/{name}", "-n", namespace, "--all-containers", "--prefix", *options.limits]
    words += ["--previous"] if options.previous else []
    # Without it a pod of which one container has not started gives nothing of the others.
    words += ["--follow", "--ignore-errors"] if following else []
    return Source(name=name, command=kube.command(*words))


def container_source(
    application: str, command: Sequence[str], env: Mapping[str, str], options: LogOptions, *, following: bool = False
) -> Source:
    """The real container of an application beside the embedded cluster."""
    words = [*command, *options.limits, *(["--follow"] if following else [])]
    return Source(name=command[-1], command=words, env=env, prefix=f"[container/{command[-1]}/{application}] ")


def follow(
    kube: Kube, pods: Callable[[], Sequence[KubeObject]], containers: Sequence[Source], options: LogOptions, *,
    write: _Write, note: _Write,
) -> None:  # fmt: skip
    """Copy lines as they come, also of pods that start later, until nothing is left that could write one.

    Args:
        kube: the cluster.
        pods: asks which pods there are now.
        containers: what follows by itself.
        options: where to begin with the pods that are there now; later ones are shown from their first line.
        write: takes one line of a log; may be called from several threads.
        note: takes one line about what cannot be shown.
    """
    running: dict[str, threading.Thread] = {}
    gone = threading.Event()  # nobody reads any more
    seen_until: dict[str, str] = {}
    told: set[tuple[str, str]] = set()

    def copy(source: Source) -> None:
        try:
            said = source.copy_lines(write)
        except BrokenPipeError:
            gone.set()
            return
        seen_until[source.name] = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if said and (source.name, said) not in told:
            told.add((source.name, said))
            note(f"{source.name}: {said}")

    def start(source: Source) -> None:
        running[source.name] = threading.Thread(target=copy, args=(source,), daemon=True)
        running[source.name].start()

    for source in containers:
        start(source)
    begun = False
    while not gone.is_set():
        present = [pod for pod in pods() if pod["status"].get("phase") not in _ENDED or not begun]
        for pod in present:
            name = pod["metadata"]["name"]
            if name not in running or not running[name].is_alive():
                first = LogOptions(tail=-1) if begun else options
                again = LogOptions(since_time=seen_until[name]) if name in seen_until else first
                start(pod_source(kube, pod, again, following=True))
        begun = True
        if not present and not any(thread.is_alive() for thread in running.values()):
            return
        gone.wait(_POLL_SECONDS)
