from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmos.cluster import kind
from planner.faults import EnvironmentFault

Script = Callable[[str, str], Path]

# Stands in for kind: keeps the names of its clusters in a file and writes a kubeconfig like kind's.
KIND = """
clusters = pathlib.Path(__file__).with_name("clusters")
names = set(clusters.read_text().split()) if clusters.exists() else set()
option = lambda name: args[args.index(name) + 1]
with clusters.with_name("calls").open("a") as log:
    log.write(" ".join(args[:2]) + "\\n")
if args[:2] == ["get", "clusters"]:
    print("\\n".join(sorted(names)))
elif args[:2] in (["create", "cluster"], ["export", "kubeconfig"]):
    names.add(option("--name"))
    context = "kind-" + option("--name")
    pathlib.Path(option("--kubeconfig")).write_text(json.dumps({
        "current-context": context, "clusters": [{"name": context, "cluster": {"server": "https://127.0.0.1:1"}}]}))
elif args[:2] == ["delete", "cluster"]:
    names.discard(option("--name"))
clusters.write_text("\\n".join(names))
"""


KUBECTL = """
ready = lambda status: {"metadata": {"name": status}, "status": {"conditions": [{"type": "Ready", "status": status}]}}
print(json.dumps({"items": [ready("True"), ready("False")]}) if "nodes" in args else "Client Version: v1.34.0")
"""


def test_kind_is_created_once_found_again_and_deleted(script: Script, cache: Path) -> None:
    program = script("kind", KIND)
    kubectl = script("kubectl", KUBECTL)
    assert not kind.status(name="one").exists
    info = kind.up(name="one", progress=print)
    assert info.context == "kind-one" and info.api_url == "https://127.0.0.1:1"
    assert info.kubectl == kubectl and not info.simulated
    assert info.kubeconfig.is_relative_to(cache)
    assert kind.up(name="one", progress=print) == info
    calls = program.with_name("calls").read_text(encoding="utf-8").splitlines()
    assert calls == ["get clusters", "get clusters", "create cluster", "get clusters", "export kubeconfig"]
    status = kind.status(name="one")
    assert status.running and "1 of 2 Ready" in str(status) and "simulated" not in str(status)

    assert kind.down(name="one", progress=print) is True
    assert not info.kubeconfig.exists()
    assert kind.down(name="one", progress=print) is False


def test_missing_programs_are_named(script: Script, cache: Path) -> None:
    with pytest.raises(EnvironmentFault, match="`kind` was not found on PATH"):
        kind.up(progress=print)
    script("kind", KIND)
    with pytest.raises(EnvironmentFault, match=r"kubectl 1\.32 or newer was not found on PATH"):
        kind.up(progress=print)
