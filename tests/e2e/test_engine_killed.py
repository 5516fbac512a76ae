"""Runs of the real Pulumi engine that are killed in the middle, and the run after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from llmos.objects import kubernetes_objects
from llmos.stacks import load_stack
from llmos.synth import synth
from tests.e2e.engine_stacks import NEEDED, EngineStack, application, engine_stack
from tests.support import ROOT

__all__ = ["engine_stack"]

pytestmark = NEEDED


def up_killed_at(stack: EngineStack, line: str) -> None:
    """An `up` that dies, with the CLI and all that it started, as soon as it has said so much."""
    words = ["up", "--yes", "--engine", "pulumi", "--file", str(stack.file)]
    with subprocess.Popen(
        [sys.executable, "-m", "llmos", *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr
        said = []
        for text in process.stderr:
            said.append(text)
            if line in text:
                os.killpg(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL, "".join(said)


def test_the_next_up_completes_it(engine_stack: EngineStack) -> None:
    stack = engine_stack
    stack.write({"web": application()})
    up_killed_at(stack, "created Namespace")
    up_killed_at(stack, "created Secret")
    assert stack.live("deployment", "web") is None or stack.live("service", "web") is None, "it was in the middle"

    said = stack.run("up").stderr
    assert "breaking the lock of a run that no longer lives" in said
    loaded = load_stack("", file=stack.file)
    wanted = kubernetes_objects(synth(loaded.raw, stack=loaded.name, build=lambda *_: ""), engine="pulumi")
    for item in wanted:
        assert stack.live(item["kind"], item["metadata"]["name"]), item["kind"]
    assert {row["action"] for row in json.loads(stack.run("preview", "--json").stdout)["objects"]} == {"same"}

    stack.run("destroy")
    assert stack.live("namespace", stack.namespace) is None
