"""Pod templates as dry-run Pods, with a kubectl that is played, and on the embedded API server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmos.checks.admission import RULE, admission_findings
from llmos.cluster.info import ClusterInfo
from llmos.kube import Kube
from llmos.manifests import resources_of
from planner.faults import EnvironmentFault

CONTAINER = {"name": "c", "image": "busybox", "resources": {"limits": {"cpu": "1", "memory": "1Mi"}}}


def workload(kind: str = "Deployment", *, namespace: str = "ns", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [CONTAINER], **spec}}
    body: dict[str, Any] = {"template": template}
    if kind == "CronJob":
        body = {"schedule": "* * * * *", "jobTemplate": {"spec": body}}
    version = "apps/v1" if kind == "Deployment" else "batch/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": namespace}, "spec": body}


class Played(Kube):
    """Records what it is given and answers as told."""

    def answer(self, *, code: int, stderr: str) -> Played:
        object.__setattr__(self, "said", (code, stderr))
        object.__setattr__(self, "asked", [])
        return self

    def run(self, *arguments: str, stdin: str | None = None, **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(json.loads(stdin or "{}")["items"][0])  # type: ignore[attr-defined]
        code, stderr = self.said  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(list(arguments), code, "", stderr)


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob"])
def test_a_pod_is_made_of_every_template(kind: str) -> None:
    kube = Played(context="c").answer(code=0, stderr="")
    found = admission_findings(resources_of([workload(kind, serviceAccountName="later")], file="f"), kube)
    assert found == ()
    [pod] = kube.asked  # type: ignore[attr-defined]
    assert pod["metadata"]["namespace"] == "ns" and pod["metadata"]["labels"] == {"app": "x"}
    assert pod["spec"] == {"containers": [CONTAINER]}


def test_a_refusal_is_a_finding_without_values() -> None:
    stderr = (
        'Error from server (Forbidden): error when creating "STDIN": pods "x" is forbidden: violates PodSecurity\n'
        'Error from server (Invalid): error when creating "STDIN": spec.containers[0].env[0].name: '
        'Invalid value: "hunter 2": must be a name\n'
    )
    manifests = resources_of([workload()], file="f.yaml")
    first, second = admission_findings(manifests, Played(context="c").answer(code=1, stderr=stderr))
    assert (first.rule, first.level, first.object, first.file) == (RULE, "mandatory", "Deployment/ns/x", "f.yaml")
    assert "violates PodSecurity" in first.message
    assert "hunter" not in second.message


def test_a_namespace_that_is_not_there_yet_is_no_violation() -> None:
    stderr = 'Error from server (NotFound): error when creating "STDIN": namespaces "ns" not found'
    [row] = admission_findings(resources_of([workload()], file="f"), Played(context="c").answer(code=1, stderr=stderr))
    assert row.level == "advisory"


def test_no_cluster() -> None:
    kube = Played(context="c").answer(code=1, stderr="The connection to the server was refused")
    with pytest.raises(EnvironmentFault, match="does not answer"):
        admission_findings(resources_of([workload()], file="f"), kube)


@pytest.mark.cluster
def test_the_real_api_server_has_the_last_word(embedded_cluster: ClusterInfo, tmp_path: Path) -> None:
    kube = Kube(kubectl=embedded_cluster.kubectl, kubeconfig=embedded_cluster.kubeconfig)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "admission", "labels": labels}}
    kube.run("apply", "-f", "-", stdin=json.dumps(namespace))
    try:
        manifests = resources_of([workload(namespace="admission")], file="f")
        [row] = admission_findings(manifests, kube)
        assert "violates PodSecurity" in row.message and "allowPrivilegeEscalation" in row.message
    finally:
        kube.run("delete", "namespace", "admission", "--wait=false")
