"""A stand-in `kubectl` that answers from files: what is asked of a cluster is tested without one.

It runs as `<folder>/kubectl`. `get KIND` answers with `<folder>/KIND.json` (a list of objects; a file of several
answers, one a line, gives one after the other and repeats the last), `logs pod/NAME` with `<folder>/NAME.log`, or fails
with `<folder>/NAME.err`. Every call is added to `<folder>/calls`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmos.cluster.info import NOT_ENFORCED, ClusterInfo
from llmos.kube import Kube

__all__ = ["FakeKubectl", "pod"]

_PROGRAM = """\
#!{python}
import json, sys
from pathlib import Path
folder = Path(__file__).parent
words = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
command = next(word for word in words if word in ("get", "logs"))
subject = words[words.index(command) + 1].split("/")[-1]
if command == "get":
    file = folder / (subject + ".json")
    answers = file.read_text().splitlines() if file.exists() else ["[]"]
    if len(answers) > 1:
        file.write_text("\\n".join(answers[1:]))
    print(json.dumps({{"kind": "List", "items": json.loads(answers[0])}}))
elif (folder / (subject + ".err")).exists():
    sys.exit("error: " + (folder / (subject + ".err")).read_text())
else:
    print((folder / (subject + ".log")).read_text(), end="")
"""


class FakeKubectl:
    """The stand-in in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        if sys.platform == "win32":
            pytest.skip("a script cannot stand in for a program there")
        self.folder = folder
        folder.mkdir()
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(python=sys.executable), encoding="utf-8")
        program.chmod(0o755)
        self.kube = Kube(kubectl=program)
        self.info = ClusterInfo(
            name="fake", context="fake", kubeconfig=folder / "kubeconfig.yaml", kubectl=program, api_url="https://fake",
            network_policies=NOT_ENFORCED,
        )  # fmt: skip

    def answer(self, kind: str, *answers: Sequence[dict[str, Any]]) -> None:
        """What `get KIND` gives; several answers follow one after the other."""
        text = "\n".join(json.dumps(list(answer)) for answer in answers)
        (self.folder / f"{kind}.json").write_text(text, encoding="utf-8")

    def log(self, name: str, text: str) -> None:
        (self.folder / f"{name}.log").write_text(text, encoding="utf-8")

    def refuse(self, name: str, text: str) -> None:
        (self.folder / f"{name}.err").write_text(text, encoding="utf-8")

    def calls(self, command: str) -> list[list[str]]:
        """The arguments of every call of a kind so far."""
        file = self.folder / "calls"
        found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
        return [words for words in found if command in words]


def pod(name: str, *, workload: str = "web", node: str = "n1", phase: str = "Running") -> dict[str, Any]:
    """A pod as far as the program looks at it."""
    labels = {"app.kubernetes.io/name": workload, "app.kubernetes.io/instance": "t"}
    return {
        "kind": "Pod", "metadata": {"name": name, "namespace": "space", "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "server"}]}, "status": {"phase": phase},
    }
