"""The example stacks as their readers run them: built, deployed on the embedded cluster, ready, clean, destroyed."""

from __future__ import annotations

import json
import re
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest

from llmos.images import engine, trial
from llmos.images.registry_client import DIRECT
from llmos.kube import Kube
from llmos.stacks import load_stack
from tests.e2e.conftest import Llmos
from tests.support import ROOT

NAMES = ("code-assistant", "content-creation", "customer-service")
FILES = [ROOT / "examples" / name / f"Pulumi.{name}.yaml" for name in NAMES]
_CAN_BUILD = engine.find_engine() is not None or (sys.platform == "linux" and shutil.which("apt-get"))
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.docker,
    # The tests of the image path stop the engine that these build with, so one worker runs both.
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(not _CAN_BUILD, reason="needs a Docker engine, or Debian's packages and root to start one"),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_an_example_from_up_to_destroy(path: Path, llmos: Llmos, kube: Kube) -> None:
    plan = load_stack("", file=path).plan
    space, arguments = plan.namespace.name, ("--engine", "kubectl", "--file", str(path))
    try:
        done = llmos("up", *arguments)
        assert done.returncode == 0, done.stderr
        deployments = {item["metadata"]["name"]: item for item in kube.get("deployments", "-n", space)}
        assert set(deployments) == {item.name for item in (*plan.applications, *plan.models)}
        for deployment in deployments.values():
            assert deployment["status"]["availableReplicas"] == deployment["spec"]["replicas"]
            for container in deployment["spec"]["template"]["spec"]["containers"]:
                assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])

        done = llmos("preview", "--json", *arguments)
        document = json.loads(done.stdout)
        assert {item["action"] for item in document["objects"]} == {"same"}
        assert not document["policy"], "clean, with real digests"
        assert llmos("diff", *arguments).stdout == "0 objects differ\n"
        said = llmos("status", *arguments).stdout
        assert "Not ready yet" not in said
        running = trial.running(plan.stack)
        assert set(running) == {item.name for item in plan.applications}
        assert all(url in said for url in running.values())
    finally:
        done = llmos("destroy", *arguments)
    assert done.returncode == 0, done.stderr
    assert not kube.get("namespace", space)
    assert not kube.get("nodepools,kwoknodeclasses", "-l", f"app.kubernetes.io/instance={plan.stack}")
    assert trial.running(plan.stack) == {}


def test_the_studio_writes_in_its_container(llmos: Llmos, kube: Kube) -> None:
    path = FILES[NAMES.index("content-creation")]
    arguments = ("--engine", "kubectl", "--file", str(path))
    try:
        assert llmos("up", *arguments).returncode == 0
        url = trial.running("content-creation")["studio"]
        words = ["get", "secret", "studio-api-keys", "-n", "content-creation", "-o"]
        key = kube.run(*words, "go-template={{.data.keys | base64decode}}").stdout
        request = urllib.request.Request(
            f"{url}/v1/articles", data=b'{"topic": "Tides", "sections": 2}', headers={"Authorization": f"Bearer {key}"}
        )
        with DIRECT.open(request, timeout=30) as answer:
            assert answer.read().decode("utf-8").startswith("# Tides\n\n## What it is\n")
        said = llmos("logs", "studio", "--file", str(path))
        assert '[container/llmos-content-creation-studio/studio] {"time"' in said.stdout
        assert "pods of studio are simulated (2)" in said.stderr
    finally:
        assert llmos("destroy", *arguments).returncode == 0
