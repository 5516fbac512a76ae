"""A project with two stacks, a registry, version control and a cluster that says what it is told."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos import git, packs, stacks
from llmos.cli import run
from llmos.failures import reported
from llmos.paths import PROJECT_ROOT
from llmos.release.running import fingerprint
from tests.llmos.release.registry import FakeRegistry, serving

REVISION, SERVER = "b968826d9c46dd6066d109eabc6255188de91218", "vllm:v0.28.0"
_KUBECTL = """#!{python}
import json, sys
words = [word for word in sys.argv[1:] if not word.startswith("--")]
answers = json.load(open({answers!r}, encoding="utf-8"))
if "version" in words:
    print(json.dumps({{"serverVersion": {{"gitVersion": "v1.34.1"}}}}))
elif "get" in words:
    found = answers.get(words[words.index("get") + 1], [])
    print(json.dumps({{"kind": "List", "items": found}}))
"""


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class Project:
    """Stack files, locks and history in a folder of the test's own."""

    root: Path
    registry: FakeRegistry
    live: dict[str, Any]

    def __post_init__(self) -> None:
        (self.root / "app").mkdir()
        (self.root / "app" / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
        self.git("init", "-q", "-b", "main")
        server = f"{self.registry.address}/team"
        dev = {
            "target": "kubernetes", "context": "c", "environment": "dev", "registry": {"server": server},
            "applications": {"app": {"image": {"build": "./app"}, "model": "chat", "endpoint": {"type": "ClusterIP"}}},
            "models": {"chat": {"source": "Qwen/Qwen3-8B", "revision": REVISION,
                                "hardware": {"instance_type": "g6.xlarge"}}},
            "gpu_pool": {"node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "d"}},
        }  # fmt: skip
        self.write("dev", dev)
        staging = json.loads(json.dumps({**dev, "environment": "staging"}))
        staging["applications"]["app"]["image"] = {"from": "lock"}
        del staging["models"]["chat"]["revision"]
        self.write("staging", staging)
        self.deploy(self.commit("first"))

    def write(self, name: str, raw: dict[str, Any]) -> None:
        text = yaml.safe_dump({"config": {"llmagentos:stack": raw}})
        (self.root / f"Pulumi.{name}.yaml").write_text(text, encoding="utf-8")

    def read(self, name: str) -> dict[str, Any]:
        text = (self.root / f"Pulumi.{name}.yaml").read_text(encoding="utf-8")
        return yaml.safe_load(text)["config"]["llmagentos:stack"]

    def git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, subject: str) -> str:
        (self.root / "app" / "note").write_text(subject, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def deploy(self, commit: str, **changes: str) -> None:
        """Have the cluster run an image that was built from this commit; ``changes`` replace what it runs."""
        registry, marker = self.registry, commit[:8]
        app = f"{registry.address}/team/dev/app@{registry.index('team/dev/app', 'amd64', marker=marker)}"
        server = f"{registry.address}/team/{SERVER}@{registry.image('team/vllm', tag='v0.28.0')}"
        app, server = changes.get("app", app), changes.get("chat", server)
        args = ["--model=Qwen/Qwen3-8B", f"--revision={REVISION}"]
        self.live["deployments"] = [
            deployment("app", {"name": "application", "image": app}),
            deployment("chat", {"name": "server", "image": server, "args": args}),
        ]
        self.note(f"{commit} {fingerprint({'app': app}, {'chat': server}, {'chat': REVISION})}")

    def note(self, text: str) -> None:
        labels = {"applyset.kubernetes.io/id": "x"}
        self.live["configmap"] = [
            {"kind": "ConfigMap", "metadata": {"name": "llmagentos-dev", "labels": labels,
                                               "annotations": {"llmagentos.dev/source": text}}}
        ]  # fmt: skip
        self.save()

    def save(self) -> None:
        (self.root.parent / "live.json").write_text(json.dumps(self.live), encoding="utf-8")

    def lock(self, name: str = "staging") -> Path:
        return self.root / "locks" / f"{name}.json"

    def promote(self, *words: str) -> Said:
        return self.llmos("promote", *(words or ("dev", "staging")), "--engine=kubectl")

    def llmos(self, *arguments: str) -> Said:
        """The command line, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), reported(debug=False) as outcome:
            outcome.exit_code = run(arguments)
        return Said(code=outcome.exit_code, out=out.getvalue(), err=err.getvalue())

    def files(self) -> dict[str, bytes]:
        """Every file of the project but git's own."""
        found = (path for path in self.root.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}


def deployment(name: str, container: dict[str, Any], *, available: int = 1) -> dict[str, Any]:
    status = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": available}
    return {
        "kind": "Deployment", "metadata": {"name": name, "generation": 1, "labels": {}}, "status": status,
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}},
                 "template": {"spec": {"containers": [container]}}},
    }  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    root, programs = tmp_path / "project", tmp_path / "bin"
    root.mkdir()
    programs.mkdir()
    script = _KUBECTL.format(python=sys.executable, answers=str(tmp_path / "live.json"))
    (programs / "kubectl").write_text(script, encoding="utf-8")
    (programs / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LLMOS_LOCKS", str(root / "locks"))
    for module in (git, stacks):
        monkeypatch.setattr(module, "PROJECT_ROOT", root)
    with serving(FakeRegistry()) as registry:
        yield Project(root=root, registry=registry, live={})


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the policy pack, whose limits a test may change; returns the folder of those."""
    shutil.copytree(PROJECT_ROOT / "policies", tmp_path / "policies")
    monkeypatch.setattr(packs, "PACK", tmp_path / "policies")
    return tmp_path / "policies" / "config"
