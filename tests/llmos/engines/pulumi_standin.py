"""A stand-in for the `pulumi` executable: records what it is called with and plays back a real engine's events.

`install` writes the executable and its script (what each command prints, its events and exit code) into a folder;
`recorded` gives events of a real engine, and `kubectl` writes a stand-in for that.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

__all__ = ["Reply", "Standin", "install", "kubectl", "needs_scripts", "recorded"]

RECORDED = Path(__file__).parent / "recorded"
needs_scripts = pytest.mark.skipif(os.name != "posix", reason="Windows does not start a script by its first line")

_PROGRAM = '''\
#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
words = [word for word in sys.argv[1:] if word != "--non-interactive"]
names = [word for word in words if not word.startswith("-")]
passphrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE", "")
call = {{"argv": words, "cwd": os.getcwd(), "kubeconfig": os.environ.get("KUBECONFIG", ""), "passphrase": passphrase,
        "backend": os.environ.get("PULUMI_BACKEND_URL", ""),
        "file": pathlib.Path(words[words.index("--file") + 1]).read_text("utf-8") if "--file" in words else "",
        "force": os.environ.get("PULUMI_K8S_ENABLE_PATCH_FORCE", "")}}
with (folder / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps(call) + "\\n")
replies = json.loads((folder / "replies.json").read_text(encoding="utf-8"))
key = " ".join(names[:2]) if names[:1] == ["stack"] else names[0]
queue = replies.get(key, [])
reply = queue[0] if queue else {{}}
if len(queue) > 1:
    replies[key] = queue[1:]
    (folder / "replies.json").write_text(json.dumps(replies), encoding="utf-8")
if "--event-log" in words and reply.get("events"):
    import grpc
    from pulumi.runtime.proto import events_pb2, events_pb2_grpc
    with grpc.insecure_channel(words[words.index("--event-log") + 1].removeprefix("tcp://")) as channel:
        stub = events_pb2_grpc.EventsStub(channel)
        stub.StreamEvents(iter([events_pb2.EventRequest(event=json.dumps(event)) for event in reply["events"]]))
print(reply.get("stdout", ""))
print(reply.get("stderr", ""), file=sys.stderr)
sys.exit(reply.get("exit_code", 0))
'''


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one call of a command does."""

    events: Sequence[Mapping[str, object]] = ()
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


@dataclass(frozen=True, kw_only=True)
class Standin:
    """The installed stand-in; put ``bin`` on PATH."""

    bin: Path
    replies: dict[str, list[Reply]] = field(default_factory=dict)

    def answer(self, command: str, *replies: Reply) -> None:
        """Set the replies of a command (``up``, ``stack select``, ...); the last one stays for all later calls."""
        self.replies[command] = list(replies)
        text = json.dumps({name: [asdict(reply) for reply in queue] for name, queue in self.replies.items()})
        (self.bin / "replies.json").write_text(text, encoding="utf-8")

    def calls(self, command: str | None = None) -> list[dict[str, object]]:
        """Every call so far, or those of one command."""
        log = self.bin / "calls.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        calls = [json.loads(line) for line in lines]
        return [call for call in calls if command is None or call["argv"][: len(command.split())] == command.split()]


def install(folder: Path, *, version: str = "v3.272.0") -> Standin:
    """Write a stand-in that opens an existing stack, does nothing and has no outputs, until told otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "pulumi"
    program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    standin = Standin(bin=folder)
    standin.answer("version", Reply(stdout=version))
    standin.answer("stack output", Reply(stdout="{}"))
    standin.answer("stack export", Reply(stdout='{"version": 3, "deployment": {}}'))
    history = [{"kind": "update", "startTime": "2026-01-02T03:04:05.000Z", "endTime": "2026-01-02T03:05:05.000Z",
                "message": "", "environment": {}, "config": {}, "result": "succeeded", "version": 1}]  # fmt: skip
    standin.answer("stack history", Reply(stdout=json.dumps(history)))
    return standin


def recorded(name: str) -> list[dict[str, object]]:
    """Events of the dev stack as the CLI sent them, machine-specific paths and debug lines left out."""
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def kubectl(folder: Path, *, owner: str, uid: str = "1") -> None:
    """A kubectl that knows one namespace, whose label names its owner."""
    answer = json.dumps({"kind": "Namespace", "metadata": {"uid": uid, "labels": {"llmagentos.dev/engine": owner}}})
    (folder / "kubectl").write_text(f"#!{sys.executable}\nprint({answer!r})\n", encoding="utf-8")
    (folder / "kubectl").chmod(0o755)
