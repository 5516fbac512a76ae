"""Karpenter's AWS custom resource definitions, from its Go module: fetched once into the cache, like the cluster's own
programs."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

from llmos.cluster.gobuild import require_go
from llmos.process import run
from planner.machine import cache_dir

__all__ = ["VERSIONS", "definitions"]

MODULE = "github.com/aws/karpenter-provider-aws"
# The version of the chart that a cluster stack installs, and the next one.
VERSIONS = ("v1.14.1", "v1.15.0")
_FILES = ("karpenter.k8s.aws_ec2nodeclasses.yaml", "karpenter.sh_nodepools.yaml")


def definitions(version: str) -> list[Path]:
    """The files of EC2NodeClass and NodePool."""
    folder = cache_dir() / "go" / f"karpenter-provider-aws-{version}"
    if not all((folder / name).is_file() for name in _FILES):
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(_module(version)) as archive:
            for name in _FILES:
                content = archive.read(f"{MODULE}@{version}/pkg/apis/crds/{name}")
                temporary = folder / f".{name}.{os.getpid()}"
                temporary.write_bytes(content)
                temporary.replace(folder / name)
    return [folder / name for name in _FILES]


def _module(version: str) -> str:
    """Go downloads a module that asks for a newer Go, and then says that it cannot use it; nothing is built here."""
    go = require_go(programs=0)
    env = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    done = run([go, "mod", "download", "-json", f"{MODULE}@{version}"], env=env, cwd=cache_dir(), check=False)
    answer = json.loads(done.stdout)
    assert "Zip" in answer, answer.get("Error")
    return str(answer["Zip"])
