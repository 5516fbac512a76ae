"""References to secrets, held against what the External Secrets Operator takes: its definition, on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.kube import Kube
from planner.faults import EnvironmentFault
from tests.e2e.conftest import Llmos, Write
from tests.go_definitions import Definitions, wait_established

pytestmark = pytest.mark.cluster
SPACE = "external-secrets-test"
NAME = "externalsecrets.external-secrets.io"
_DEFINITION = Definitions(
    module="github.com/external-secrets/external-secrets", version="v1.3.2", folder="config/crds/bases",
    names=["external-secrets.io_externalsecrets.yaml"],
)  # fmt: skip


@pytest.fixture
def space(kube: Kube) -> Iterator[str]:
    """A namespace on a server that knows the definition."""
    (file,) = _DEFINITION.files()
    kube.run("apply", "--server-side", "-f", str(file))
    wait_established(kube, f"crd/{NAME}")
    kube.run("create", "namespace", SPACE)
    yield SPACE
    kube.run("delete", "namespace", SPACE, timeout_seconds=120)
    kube.run("delete", "crd", NAME)


def submit(kube: Kube, item: dict[str, Any]) -> dict[str, Any]:
    """What the server would store; it refuses fields that it does not know."""
    there = {**item, "metadata": {**item["metadata"], "namespace": SPACE}}
    said = kube.run(
        "create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", stdin=json.dumps(there)
    ).stdout
    return json.loads(said)


def test_the_operator_takes_every_reference(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube, space: str, tmp_path: Path
) -> None:
    web = small["applications"]["web"]
    web["secrets"] = {"URL": {"secret": "database", "key": "url"}}
    # A Secret that is mounted whole, so that no key of it is named anywhere.
    web["pod_overrides"] = {"volumes": [{"name": "certificates", "secret": {"secretName": "certificates"}}]}
    small["gitops"] = {"secret_store": {"kind": "SecretStore", "name": "vault", "prefix": "llm/"}}
    done = llmos("render", "--file", str(stack(small)), "--gitops", "argocd", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    texts = [file.read_text(encoding="utf-8") for file in sorted((tmp_path / "out").rglob("*.yaml"))]
    items = [item for text in texts for item in yaml.safe_load_all(text) if item and item["kind"] == "ExternalSecret"]
    assert {item["metadata"]["name"] for item in items} == {"web-api-keys", "database", "certificates"}
    for item in items:
        stored = submit(kube, item)
        assert stored["spec"]["secretStoreRef"] == {"kind": "SecretStore", "name": "vault"}
        whole = stored["metadata"]["name"] == "certificates"
        assert whole is ("data" not in stored["spec"])
        if whole:
            assert stored["spec"]["dataFrom"][0]["extract"]["key"] == "llm/certificates"
    with pytest.raises(EnvironmentFault, match="unknown field"):
        submit(kube, {**items[0], "spec": {**items[0]["spec"], "store": "vault"}})
