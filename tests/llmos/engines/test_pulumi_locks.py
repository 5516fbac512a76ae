"""Locks of the CLI and operations that a killed run left pending."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from planner.faults import EnvironmentFault
from tests.llmos.engines.pulumi_standin import Reply, Standin, needs_scripts, recorded

pytestmark = needs_scripts


def locked(pid: int, host: str) -> Reply:
    said = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the "
        "lock file with `pulumi cancel`.\n"
        f"  file:///state/.pulumi/locks/dev.json: created by ada@{host} (pid {pid}) at 2026-01-02T03:04:05Z"
    )
    return Reply(stderr=said, exit_code=255)


def test_the_lock_of_a_dead_run_on_this_machine_is_broken(standin: Standin, run: EngineRun, said: list[str]) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    standin.answer("up", locked(dead.pid, socket.gethostname()), Reply(events=recorded("up_again")))
    assert not pulumi.up(run, previewed=True).changed
    assert len(standin.calls("cancel")) == 1
    assert [line for line in said if f"process {dead.pid}" in line]


def test_what_a_killed_run_created_is_adopted_before_up(standin: Standin, run: EngineRun) -> None:
    quota = {
        "urn": "urn:q", "type": "kubernetes:core/v1:ResourceQuota",
        "inputs": {"metadata": {"name": "stack", "namespace": "assistant"}},
    }  # fmt: skip
    image = {"urn": "urn:i", "type": "docker-build:index:Image", "inputs": {}}
    pending = [{"type": "creating", "resource": quota}, {"type": "creating", "resource": image}]
    deployment = {"version": 3, "deployment": {"resources": [], "pending_operations": pending}}
    standin.answer("stack export", Reply(stdout=json.dumps(deployment)))
    standin.answer("up", Reply(events=recorded("up_again")))
    pulumi.up(run, previewed=True)
    done = [call["argv"][:2] for call in standin.calls() if call["argv"][0] in ("stack", "refresh", "up")]
    assert [words[:1] if words[0] != "stack" else words for words in done[2:5]] == [
        ["stack", "import"], ["refresh"], ["stack", "history"]
    ]  # fmt: skip
    assert len(standin.calls("up")) == 1


@pytest.mark.parametrize(
    ("pid", "host"), [(os.getpid(), socket.gethostname()), (1, "another-machine")], ids=["here", "elsewhere"]
)
def test_a_lock_that_may_be_in_use_is_reported_with_its_holder(
    pid: int, host: str, standin: Standin, run: EngineRun
) -> None:
    standin.answer("up", locked(pid, host))
    with pytest.raises(EnvironmentFault) as caught:
        pulumi.up(run, previewed=True)
    (fault,) = caught.value.faults
    assert f"ada on {host} (process {pid})" in fault.what
    assert "pulumi cancel" in fault.fix
    assert not standin.calls("cancel")
