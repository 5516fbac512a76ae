"""Promotion: what it writes and copies, signatures, rollbacks, and what a killed one leaves."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from llmos import lockfile
from llmos.daemons import wait_until
from planner.lock import parse_lock
from tests.llmos.release.conftest import REVISION, Project
from tests.llmos.release.registry import FakeRegistry, digest_of, serving
from tests.support import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows does not start a script by its first line")


def release(project: Project) -> dict[str, Any]:
    raw = json.loads(project.lock().read_text(encoding="utf-8"))
    parse_lock(raw, where="locks/staging.json")
    return raw["release"]


def test_what_dev_runs_becomes_stagings_release(project: Project) -> None:
    said = project.promote()
    assert said.code == 0, said.err
    found, commit = release(project), project.git("rev-parse", "HEAD")
    (app,) = project.registry.manifests[("team/dev/app", commit[:8])][1:]
    assert found["images"] == {"app": f"{project.registry.address}/team/dev/app@{digest_of(app)}"}
    assert found["model_images"]["chat"].startswith(f"{project.registry.address}/team/vllm:v0.28.0@sha256:")
    assert found["revisions"] == {"chat": REVISION}
    assert found["source_commit"] == commit and found["promoted_from"] == "dev"
    assert "kubectl engine" in found["promoted_by"] and found["promoted_at"].endswith("Z")
    assert found["platforms"][found["images"]["app"]] == ["linux/amd64"]
    assert "images.app: none" in said.out and "without provenance" in said.out
    assert "up --stack staging" in said.err

    before = project.files()
    again = project.promote()
    assert again.code == 0 and "has this release already" in again.err
    assert project.files() == before, "not even the time"


def test_the_next_release_shows_its_commits_and_keeps_the_sizing(project: Project) -> None:
    project.promote()
    raw = json.loads(project.lock().read_text(encoding="utf-8"))
    project.lock().write_text(json.dumps({**raw, "sizing": {}, "later": 1}), encoding="utf-8")
    project.deploy(project.commit("Answer in German"))
    dry = project.promote("dev", "staging", "--dry-run", "--json")
    assert dry.code == 0 and json.loads(dry.out)["written"] is False
    assert release(project)["source_commit"] != project.git("rev-parse", "HEAD")
    said = project.promote()
    assert said.code == 0 and "Answer in German" in said.out
    kept = json.loads(project.lock().read_text(encoding="utf-8"))
    assert kept["later"] == 1 and kept["release"]["source_commit"] == project.git("rev-parse", "HEAD")


def test_an_older_release_only_when_that_is_wanted(project: Project) -> None:
    first = project.git("rev-parse", "HEAD")
    project.deploy(project.commit("second"))
    project.promote()
    project.deploy(first)
    refused = project.promote()
    assert refused.code == 1 and "newer by 1 commit" in refused.err and "--rollback" in refused.err
    assert project.promote("dev", "staging", "--rollback").code == 0
    assert release(project)["source_commit"] == first


def test_copies_go_to_the_registry_that_the_target_pulls_from(project: Project) -> None:
    with serving(FakeRegistry()) as other:
        raw = project.read("staging")
        raw["registry"] = {"server": f"{other.address}/prod"}
        project.write("staging", raw)
        refused = project.promote()
        assert refused.code == 1 and f"--copy-to {other.address}/prod" in refused.err
        wrong = project.promote("dev", "staging", "--copy-to", f"{other.address}/other")
        assert wrong.code == 1 and "the copies would go to" in wrong.err
        said = project.promote("dev", "staging", "--copy-to", f"{other.address}/prod")
        assert said.code == 0, said.err
        found = release(project)
        assert found["images"]["app"].startswith(f"{other.address}/prod/app@sha256:")
        assert found["model_images"]["chat"].startswith(f"{other.address}/prod/vllm:v0.28.0@")
        again = project.promote()
        assert again.code == 0 and "already" in again.err, "what was copied is found there"


def key_pair(policies: Path) -> ec.EllipticCurvePrivateKey:
    """A key, whose public half the policies of staging demand."""
    key, file = ec.generate_private_key(ec.SECP256R1()), policies / "staging.json"
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    config = json.loads(file.read_text(encoding="utf-8"))
    config["image-signature"] = {"enforcementLevel": "mandatory", "public_keys": [public]}
    file.write_text(json.dumps(config), encoding="utf-8")
    return key


def sign(project: Project, repository: str, digest: str, key: ec.EllipticCurvePrivateKey) -> None:
    critical = {"identity": {"docker-reference": ""}, "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature"}  # fmt: skip
    payload = json.dumps({"critical": critical, "optional": None}).encode()
    proof = base64.b64encode(key.sign(payload, ec.ECDSA(hashes.SHA256()))).decode()
    project.registry.sign(repository, digest, payload, proof)


def test_signatures_travel_in_the_lock(project: Project, policies: Path) -> None:
    key, before = key_pair(policies), project.files()
    unsigned = project.promote()
    assert unsigned.code == 1 and "policy image-signature" in unsigned.err and "cosign sign" in unsigned.err
    assert unsigned.err.count("error: ") == 1 and project.files() == before
    digests = {}
    for item in project.live["deployments"]:
        image = item["spec"]["template"]["spec"]["containers"][0]["image"]
        name, _, digest = image.partition("@")
        repository = name.partition("/")[2].partition(":")[0]
        digests[digest] = repository
        sign(project, repository, digest, key)
    said = project.promote()
    assert said.code == 0, said.err
    assert release(project)["signatures"].keys() == digests.keys()
    key_pair(policies)
    project.deploy(project.commit("another key"))
    before = project.files()
    assert project.promote().code == 1 and project.files() == before


def test_stacks_that_are_not_there_or_the_same(project: Project) -> None:
    assert "no such stack file" in project.promote("dev", "stagin").err
    assert "named twice" in project.promote("dev", "dev").err


def test_killed_in_the_middle(project: Project) -> None:
    """While it waits for the registry, with everything still to come."""
    assert project.promote().code == 0
    project.deploy(project.commit("second"))
    before = project.files()
    project.registry.hold, project.registry.asked = threading.Event(), []
    program = (
        "import sys; from pathlib import Path; from llmos import git, stacks\n"
        f"git.PROJECT_ROOT = stacks.PROJECT_ROOT = Path({str(project.root)!r})\n"
        "from llmos.cli import run; sys.exit(run(['promote', 'dev', 'staging', '--engine=kubectl']))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
    assert wait_until(lambda: bool(project.registry.asked), timeout_seconds=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert project.files() == before
    project.registry.hold.set()
    project.registry.hold = None
    assert project.promote().code == 0, "the next one goes on as if nothing had been"


def test_killed_while_it_writes(tmp_path: Path) -> None:
    """Between the new content and its name, the old lock stands; the next writer clears up."""
    path = tmp_path / "staging.json"
    lockfile.write_lock(path, {"release": {}})
    before = path.read_bytes()
    program = (
        "import os, signal; from pathlib import Path; from llmos.lockfile import write_lock\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write_lock(Path({str(path)!r}), {{'release': {{'images': {{}}}}}})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL and path.read_bytes() == before
    assert lockfile.write_lock(path, {"release": {"images": {}}})
    assert [each.name for each in tmp_path.iterdir()] == ["staging.json"]
