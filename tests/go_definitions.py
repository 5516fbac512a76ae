"""Custom resource definitions out of Go modules: fetched once into the cache, like the cluster's own programs."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmos.cluster.gobuild import require_go
from llmos.daemons import wait_until
from llmos.kube import Kube
from llmos.process import run
from planner.faults import EnvironmentFault
from planner.machine import cache_dir

__all__ = ["Definitions", "wait_established"]


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """Files of a Go module at one version.

    Attributes:
        module: module path.
        version: with the leading ``v``.
        folder: where in the module the files are.
        names: of the files.
    """

    module: str
    version: str
    folder: str
    names: Sequence[str]

    def files(self) -> list[Path]:
        """The files in the cache; the test is skipped, with the reason, where the module cannot be had."""
        kept = cache_dir() / "go" / f"{self.module.rpartition('/')[2]}-{self.version}"
        if not all((kept / name).is_file() for name in self.names):
            kept.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(self._zip()) as archive:
                for name in self.names:
                    content = archive.read(f"{self.module}@{self.version}/{self.folder}/{name}")
                    temporary = kept / f".{name}.{os.getpid()}"
                    temporary.write_bytes(content)
                    temporary.replace(kept / name)
        return [kept / name for name in self.names]

    def _zip(self) -> str:
        """Go downloads a module that asks for a newer Go as well, and says that it cannot use it; nothing is built."""
        env = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        try:
            words = [require_go(programs=0), "mod", "download", "-json", f"{self.module}@{self.version}"]
            answer = json.loads(run(words, env=env, cwd=cache_dir(), check=False).stdout)
            return str(answer["Zip"])
        except (EnvironmentFault, ValueError, KeyError) as error:
            pytest.skip(f"{self.module} {self.version} cannot be had from here: {error}")


def wait_established(kube: Kube, *names: str) -> None:
    """Wait until the server serves definitions. `kubectl wait` alone fails on one that has no conditions yet."""
    words = ["wait", "--for=condition=Established", "--timeout=60s", *names]
    assert wait_until(lambda: kube.run(*words, check=False).returncode == 0, timeout_seconds=60), names
