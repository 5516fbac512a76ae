"""From a change of the application to staging, and back: on the embedded cluster, with a real build and registry.

The project is copied into a folder with a history of its own, so that commits, locks and comparisons are real ones.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.cluster.info import ClusterInfo
from llmos.images import engine, own_engine, registry
from llmos.images.remote import Manifest, RemoteRegistry
from llmos.kube import Kube
from tests.llmos.against.conftest import Checkout, checkout
from tests.llmos.release.registry import MANIFEST, digest_of

__all__ = ["checkout"]

_ROOT_ON_LINUX = sys.platform == "linux" and os.geteuid() == 0
pytestmark = [
    pytest.mark.docker,
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(
        engine.find_engine() is None and not (_ROOT_ON_LINUX and shutil.which("apt-get")),
        reason="needs a Docker engine, or Debian's packages and root to start one",
    ),
]
DEV, STAGING = "storydev", "storystaging"
REVISION = "b968826d9c46dd6066d109eabc6255188de91218"


@pytest.fixture(scope="module")
def local_registry() -> Iterator[str]:
    """The registry that `up` takes, with an engine for the build; left as they were found."""
    was_running = own_engine.running(), registry.find_registry() is not None
    engine.ensure_engine(install=True, why="the story of a promotion")
    yield registry.ensure_registry(install=True).address
    if not was_running[0]:
        engine.stop_engine()
    if not was_running[1]:
        registry.stop_registry()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """The copy of the project, against the test cluster."""

    project: Checkout
    cluster: ClusterInfo

    def llmos(self, *words: str, code: int = 0, root: Path | None = None) -> str:
        program = (
            "import sys; from llmos.cli import run; from llmos.failures import reported\n"
            "with reported(debug=False) as outcome: outcome.exit_code = run(sys.argv[1:])\nsys.exit(outcome.exit_code)"
        )
        env = {key: value for key, value in os.environ.items() if key not in ("LLMOS_LOCKS", "LLMOS_REGISTRY")}
        env |= {"LLMOS_CLUSTER": self.cluster.name, "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=root or self.project.root, env=env, capture_output=True,
            text=True, encoding="utf-8", stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def up(self, stack: str, *, root: Path | None = None) -> None:
        self.llmos("up", "--stack", stack, "--engine", "kubectl", root=root)

    def write(self, stack: str, raw: dict[str, Any]) -> None:
        text = yaml.safe_dump({"config": {"llmagentos:stack": raw}})
        (self.project.root / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")

    def lock(self) -> dict[str, Any]:
        text = (self.project.root / "locks" / f"{STAGING}.json").read_text(encoding="utf-8")
        return json.loads(text)["release"]


def stack_files(server: str) -> tuple[dict[str, Any], dict[str, Any]]:
    dev = {
        "target": "local", "environment": "dev",
        "applications": {"web": {"image": {"build": "./site"}, "model": "chat", "replicas": 2,
                                 "endpoint": {"type": "ClusterIP"}}},
        "models": {"chat": {"source": "Qwen/Qwen3-8B", "revision": REVISION, "image": server,
                            "hardware": {"instance_type": "g6.xlarge"}}},
    }  # fmt: skip
    staging = json.loads(json.dumps({**dev, "environment": "staging"}))
    staging["applications"]["web"]["image"] = {"from": "lock"}
    del staging["models"]["chat"]["revision"], staging["models"]["chat"]["image"]
    return dev, staging


def push_server(address: str) -> str:
    """An image that stands for the model server's; nothing of it runs on simulated nodes."""
    remote = RemoteRegistry(host=address)

    def blob(body: bytes, kind: str) -> dict[str, Any]:
        remote.push_blob("story/vllm", digest_of(body), io.BytesIO(body), size=len(body))
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest_of(body), "size": len(body)}

    config = blob(json.dumps({"os": "linux", "architecture": "amd64"}).encode(), "config.v1+json")
    content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [blob(b"x", "layer.v1.tar")]}
    made = Manifest(body=json.dumps(content).encode(), media_type=MANIFEST)
    remote.push_manifest("story/vllm", "v0.28.0", made)
    return f"{address}/story/vllm:v0.28.0@{made.digest}"


@pytest.fixture
def site(checkout: Checkout, embedded_cluster: ClusterInfo, local_registry: str) -> Iterator[Site]:
    made = Site(project=checkout, cluster=embedded_cluster)
    (checkout.root / "site").mkdir()
    (checkout.root / "site" / "Dockerfile").write_text("FROM scratch\nCOPY page /page\n", encoding="utf-8")
    (checkout.root / "site" / "page").write_text("one\n", encoding="utf-8")
    dev, staging = stack_files(push_server(local_registry))
    made.write(DEV, dev)
    made.write(STAGING, staging)
    checkout.commit("Say one")
    yield made
    for stack in (STAGING, DEV):
        made.llmos("destroy", "--stack", stack, "--engine", "kubectl", "--yes")


def images(kube: Kube, stack: str) -> dict[str, str]:
    found = kube.get("deployments", "-n", f"llmagentos-{stack}")
    return {item["metadata"]["name"]: item["spec"]["template"]["spec"]["containers"][0]["image"] for item in found}


def test_the_whole_story(site: Site, tmp_path: Path) -> None:
    project, root = site.project, site.project.root
    cluster = site.cluster
    kube = Kube(kubectl=cluster.kubectl, kubeconfig=cluster.kubeconfig, context=cluster.context)
    first = project.git("rev-parse", "HEAD")

    # dev runs the first version, and staging gets it.
    site.up(DEV)
    one = images(kube, DEV)
    assert re.fullmatch(r"127\.0\.0\.1:\d+/storydev/web@sha256:[0-9a-f]{64}", one["web"])
    early = site.llmos("up", "--stack", STAGING, "--engine", "kubectl", code=1)
    assert f"promote <from> {STAGING}" in early
    site.llmos("promote", DEV, STAGING)
    assert site.lock()["source_commit"] == first and site.lock()["revisions"] == {"chat": REVISION}
    project.commit("Promote storydev to storystaging")
    site.up(STAGING)
    assert images(kube, STAGING) == one

    # A change of the application, as its pull request shows it.
    (root / "site" / "page").write_text("two\n", encoding="utf-8")
    site.llmos("preview", "--against", "HEAD", "--json", "--markdown", str(tmp_path / "comment.md"))
    comment = (tmp_path / "comment.md").read_text(encoding="utf-8")
    assert re.fullmatch(r"Monthly cost \+\$0 \(\$([\d,]+) -> \$\1\)", comment.splitlines()[0])
    assert "- update Deployment `llmagentos-storydev/web`: image: `built from ./site` -> `rebuilt" in comment
    assert "### storystaging" not in comment, "staging runs what was promoted"
    second = project.commit("Say two")

    # dev runs it; the promotion's pull request shows the digest; staging runs that very digest.
    site.up(DEV)
    two = images(kube, DEV)
    assert two["web"] != one["web"] and images(kube, STAGING) == one
    assert "Say two" in site.llmos("promote", DEV, STAGING)
    assert site.lock()["source_commit"] == second and site.lock()["images"]["web"] == two["web"]
    proposed = site.llmos("preview", "--against", "HEAD", "--stack", STAGING)
    assert one["web"].partition("@")[0] in proposed and "- update Deployment" in proposed
    project.commit("Promote storydev to storystaging")
    site.up(STAGING)
    assert images(kube, STAGING) == two

    # A version that does not come up in dev is refused, and staging keeps what it has.
    dev, _ = stack_files(one["chat"])
    dev["applications"]["web"]["resources"] = {"cpu": "64", "memory": "512Mi"}
    (root / "site" / "page").write_text("three\n", encoding="utf-8")
    site.write(DEV, dev)
    project.commit("Say three, and ask for too much")
    said = site.llmos("up", "--stack", DEV, "--engine", "kubectl", "--timeout-minutes", "0.3", code=2)
    assert "Insufficient cpu" in said
    before = (root / "locks" / f"{STAGING}.json").read_bytes()
    refused = site.llmos("promote", DEV, STAGING, code=1)
    assert "deployment web" in refused and "only what was seen to run healthy is promoted" in refused
    assert (root / "locks" / f"{STAGING}.json").read_bytes() == before and images(kube, STAGING) == two

    # Back to the first version: dev from its commit, staging by a rollback that somebody asked for.
    old = tmp_path / "old"
    project.git("worktree", "add", "-q", "--detach", str(old), first)
    site.up(DEV, root=old)
    assert images(kube, DEV) == one, "the same content is the same digest"
    refused = site.llmos("promote", DEV, STAGING, code=1)
    assert "--rollback" in refused and f"{STAGING} has {second[:12]}, which is newer" in refused
    site.llmos("promote", DEV, STAGING, "--rollback")
    assert site.lock()["source_commit"] == first
    site.up(STAGING)
    assert images(kube, STAGING) == one
    said = site.llmos("doctor", "--stack", STAGING, "--engine", "kubectl")
    assert " wrong " not in said and "drift" in said
