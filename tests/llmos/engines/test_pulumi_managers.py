"""Fields of what the Kubernetes provider created, handed over to the manager that it applies with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from tests.llmos.engines.pulumi_standin import Reply, Standin, needs_scripts, recorded

pytestmark = needs_scripts

CREATED = {"manager": "pulumi-kubernetes", "operation": "Update", "fieldsV1": {}}
APPLIED = {"manager": "pulumi-kubernetes-0a1b2c3d", "operation": "Apply", "fieldsV1": {}}
STATUS = {"manager": "pulumi-kubernetes", "operation": "Update", "subresource": "status", "fieldsV1": {}}
OTHERS = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {}}
STATE = {
    "version": 3,
    "deployment": {"resources": [{
        "type": "kubernetes:apps/v1:Deployment", "urn": "u", "custom": True,
        "inputs": {"metadata": {"name": "web", "namespace": "assistant"}},
        "outputs": {"__fieldManager": "pulumi-kubernetes-0a1b2c3d"},
    }]},
}  # fmt: skip


def deployment(name: str, *managers: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "assistant", "managedFields": list(managers)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}


def kubectl(run: EngineRun, found: list[dict[str, Any]]) -> Path:
    """A stand-in that knows these Deployments and notes what is patched."""
    answer, log = json.dumps({"kind": "List", "items": found}), Path(str(run.kubectl)).with_name("patched")
    Path(str(run.kubectl)).write_text(
        "#!/bin/sh\ncase \"$*\" in *' patch '*) echo \"$*\" >> " + f"'{log}';; *' deployments,services '*) cat "
        f"<<'END'\n{answer}\nEND\n;; esac\n", encoding="utf-8",
    )  # fmt: skip
    return log


def up(standin: Standin) -> None:
    standin.answer("stack export", Reply(stdout=json.dumps(STATE)))
    standin.answer("preview", Reply(events=recorded("preview")))
    standin.answer("up", Reply(events=recorded("up_again")))


def test_an_object_that_was_only_created_is_handed_over(standin: Standin, run: EngineRun) -> None:
    up(standin)
    log = kubectl(run, [deployment("web", OTHERS, STATUS, CREATED)])
    pulumi.up(run)
    words = log.read_text(encoding="utf-8").splitlines()
    assert len(words) == 2, "before anything is asked, and after objects were created"
    patch = json.loads(words[0][words[0].index("[") :])
    assert [step["path"] for step in patch] == [
        f"/metadata/managedFields/2/{field}" for field in ("manager", "manager", "operation")
    ]
    assert [step["value"] for step in patch] == ["pulumi-kubernetes", "pulumi-kubernetes-0a1b2c3d", "Apply"]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(deployment("web", CREATED, APPLIED), id="updated since"),
        pytest.param(deployment("web", OTHERS, STATUS), id="somebody else's"),
        pytest.param(deployment("other", CREATED), id="not of this stack"),
    ],
)
def test_others_are_left_alone(found: dict[str, Any], standin: Standin, run: EngineRun) -> None:
    up(standin)
    log = kubectl(run, [found])
    pulumi.up(run)
    assert not log.exists()


def test_a_preview_writes_nothing(standin: Standin, run: EngineRun) -> None:
    up(standin)
    log = kubectl(run, [deployment("web", CREATED)])
    pulumi.preview(run)
    assert not log.exists()
