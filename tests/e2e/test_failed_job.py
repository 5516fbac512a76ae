"""A Job that has given up cannot be changed and starts no pod any more: the next ``up`` makes it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmos.cluster.info import ClusterInfo
from llmos.daemons import wait_until
from llmos.engines import apply, teardown
from llmos.engines.base import EngineRun
from llmos.engines.rollout import has_failed
from llmos.kube import Kube, KubeObject
from llmos.synth import Program, Resource

pytestmark = pytest.mark.cluster

NAME = "failed-job"
PATIENCE_SECONDS = 120


def program(seconds: int) -> Program:
    """A Job whose pod may run nowhere, so that it fails after ``seconds``."""
    container = {"name": "fetch", "image": "example.org/fetch"}
    pod = {"nodeSelector": {"nowhere": "to-be-found"}, "restartPolicy": "Never", "containers": [container]}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME, "labels": {}}},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "fetch", "namespace": NAME},
         "spec": {"activeDeadlineSeconds": seconds, "template": {"spec": pod}}},
    ]  # fmt: skip
    resources = [
        Resource(
            type=f"kubernetes:{'core/v1' if item['kind'] == 'Namespace' else 'batch/v1'}:{item['kind']}",
            name=item["metadata"]["name"], urn=item["kind"], properties=item, custom=True, parent="", provider="",
            dependencies=(), options={},
        )
        for item in objects
    ]  # fmt: skip
    return Program(resources=tuple(resources), outputs={})


def test_a_job_that_has_given_up_is_made_again_and_one_that_works_is_left_alone(
    embedded_cluster: ClusterInfo, kube: Kube
) -> None:
    said: list[str] = []
    run = EngineRun(
        stack=NAME, stack_file=Path(f"Pulumi.{NAME}.yaml"), environment="dev", namespace=NAME,
        kubeconfig=embedded_cluster.kubeconfig, kubectl=embedded_cluster.kubectl, progress=said.append,
    )  # fmt: skip

    def up(seconds: int) -> KubeObject:
        apply.up(run, program(seconds), timeout_seconds=PATIENCE_SECONDS)
        return job()

    def job() -> KubeObject:
        (found,) = kube.get("job", "fetch", "-n", NAME)
        return found

    try:
        first = up(1)
        assert wait_until(lambda: has_failed(job()), timeout_seconds=PATIENCE_SECONDS)
        # Nothing in the stack file has changed.
        second = up(1)
        assert second["metadata"]["uid"] != first["metadata"]["uid"] and any("has given up" in line for line in said)
        assert wait_until(lambda: has_failed(job()), timeout_seconds=PATIENCE_SECONDS)
        third = up(600)
        said.clear()
        assert up(600)["metadata"]["uid"] == third["metadata"]["uid"] and said == []
    finally:
        teardown.destroy(run)
