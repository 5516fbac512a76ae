"""The External Secrets Operator's own definition of ExternalSecret, from its Go module: fetched once into the cache."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import yaml

from llmos.cluster.gobuild import require_go
from llmos.process import run
from planner.faults import EnvironmentFault
from planner.machine import cache_dir

__all__ = ["NAME", "definition"]

MODULE, VERSION = "github.com/external-secrets/external-secrets", "v1.3.2"
NAME = "externalsecrets.external-secrets.io"


def definition() -> Path | None:
    """The file; None where neither the cache nor the Go module proxy has it."""
    file = cache_dir() / "go" / f"external-secrets-{VERSION}" / "externalsecrets.json"
    if not file.is_file():
        archive = _module()
        if archive is None:
            return None
        with zipfile.ZipFile(archive) as content:
            name = f"{MODULE}@{VERSION}/config/crds/bases/external-secrets.io_externalsecrets.yaml"
            crd = yaml.safe_load(content.read(name))
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(crd), encoding="utf-8")
        temporary.replace(file)
    return file


def _module() -> str | None:
    try:
        go = require_go(programs=0)
        env = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        done = run([go, "mod", "download", "-json", f"{MODULE}@{VERSION}"], env=env, cwd=cache_dir(), check=False)
        return json.loads(done.stdout).get("Zip")
    except (EnvironmentFault, ValueError):
        return None
