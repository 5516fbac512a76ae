from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmos.cluster import gobuild
from llmos.cluster.versions import KARPENTER, KUBE_APISERVER, KUBECTL, PROGRAMS
from planner.faults import EnvironmentFault

Script = Callable[[str, str], Path]

# Stands in for the go command: knows modules whose go.mod has one relative and one absolute replacement, "builds" a
# program by writing its link flags into it, logs every call, and fails where FAKE_GO_FAIL says so.
GO = """
home = pathlib.Path(os.environ["FAKE_GO"])
with (home / "calls").open("a", encoding="utf-8") as log:
    log.write(" ".join(args) + "\\n")
fail = os.environ.get("FAKE_GO_FAIL", "")
if args[0] == "env":
    print(json.dumps({"GOVERSION": os.environ.get("FAKE_GO_VERSION", "go1.26.8"), "GOCACHE": str(home / "c" / "d"),
                      "GOMODCACHE": str(home)}))
elif args[:3] == ["mod", "download", "-json"]:
    if fail == "download":
        print(json.dumps({"Error": "dial tcp: lookup proxy: no such host"}))
        sys.exit(1)
    source = home / "source"
    for name in ("pkg/apis/crds", "kwok/apis/crds"):
        (source / name).mkdir(parents=True, exist_ok=True)
        (source / name / (name.split("/")[0] + ".yaml")).write_text("kind: CustomResourceDefinition")
    print(json.dumps({"Dir": str(source), "GoMod": "go.mod"}))
elif args[:3] == ["mod", "edit", "-json"]:
    print(json.dumps({"Go": "1.24.0", "Replace": [
        {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
        {"Old": {"Path": "example.org/a"}, "New": {"Path": "example.org/b", "Version": "v2.0.0"}}]}))
elif args[0] == "build":
    target, package = args[args.index("-o") + 1], args[-1]
    pathlib.Path(target).write_text(args[args.index("-ldflags") + 1])
    if fail and package.endswith(fail):
        print("go: downloading example.org/x v1\\n" + os.environ["FAKE_GO_SAYS"])
        sys.exit(1)
"""


@pytest.fixture
def go(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAKE_GO", str(tmp_path))
    return script("go", GO)


def calls(tmp_path: Path, first_word: str) -> list[str]:
    lines = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(first_word)]


def test_a_program_is_built_once_stripped_and_with_its_version(go: Path, cache: Path, tmp_path: Path) -> None:
    said: list[str] = []
    path = gobuild.build(KUBE_APISERVER, go=go, progress=said.append)
    assert path == cache / "bin" / "kube-apiserver-v1.34.1"
    flags = path.read_text(encoding="utf-8")
    assert flags.startswith("-s -w ") and "-X k8s.io/component-base/version.gitVersion=v1.34.1" in flags
    assert said[0] == "building kube-apiserver v1.34.1 from Go modules ..."

    assert gobuild.build(KUBE_APISERVER, go=go, progress=said.append) == path
    assert len(calls(tmp_path, "build")) == 1


def test_relative_replacements_become_published_versions(go: Path, cache: Path) -> None:
    gobuild.build(KUBE_APISERVER, go=go, progress=print)
    (go_mod,) = (cache / "go").glob("*/go.mod")
    text = go_mod.read_text(encoding="utf-8")
    assert "require k8s.io/kubernetes v1.34.1" in text
    assert "replace k8s.io/api => k8s.io/api v0.34.1" in text
    assert "replace example.org/a => example.org/b v2.0.0" in text


def test_a_failed_build_leaves_what_is_done_and_nothing_half_done(
    go: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_FAIL", "cmd/kubectl")
    monkeypatch.setenv("FAKE_GO_SAYS", "x.go:1: undefined: y")
    gobuild.build(KUBE_APISERVER, go=go, progress=print)
    with pytest.raises(EnvironmentFault, match=r"kubectl does not build:\n    x\.go:1: undefined: y"):
        gobuild.build(KUBECTL, go=go, progress=print)
    assert [path.name for path in (cache / "bin").iterdir()] == ["kube-apiserver-v1.34.1"]

    monkeypatch.delenv("FAKE_GO_FAIL")
    gobuild.build(KUBE_APISERVER, go=go, progress=print)
    gobuild.build(KUBECTL, go=go, progress=print)
    assert [line.rsplit("/", 1)[-1] for line in calls(tmp_path, "build")] == ["kube-apiserver", "kubectl", "kubectl"]


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("go: example.org/x@v1: dial tcp 192.0.2.1:443: i/o timeout", "could not be downloaded"),
        ("write /x: no space left on device", "the disk is full"),
    ],
)
def test_the_usual_causes_of_a_failed_build_are_named(
    go: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, says: str, expected: str
) -> None:
    monkeypatch.setenv("FAKE_GO_FAIL", "cmd/kubectl")
    monkeypatch.setenv("FAKE_GO_SAYS", says)
    with pytest.raises(EnvironmentFault, match=expected):
        gobuild.build(KUBECTL, go=go, progress=print)


def test_an_unreachable_module_proxy_is_named(go: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO_FAIL", "download")
    with pytest.raises(EnvironmentFault, match=r"k8s\.io/kubernetes v1\.34\.1 could not be downloaded:\n.*no such"):
        gobuild.build(KUBECTL, go=go, progress=print)


def test_karpenters_resource_definitions_are_kept_beside_it(go: Path, cache: Path) -> None:
    path = gobuild.build(KARPENTER, go=go, progress=print)
    kept = path.with_name(f"{path.name}.data")
    assert sorted(file.name for file in kept.iterdir()) == ["kwok.yaml", "pkg.yaml"]


def test_a_missing_or_old_go_is_refused(script: Script, cache: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gobuild.require_go(programs=1) == go
    monkeypatch.setenv("FAKE_GO_VERSION", "go1.19.8")
    with pytest.raises(EnvironmentFault, match=r"is go1\.19\.8, needed is Go 1\.24 or newer"):
        gobuild.require_go(programs=1)
    go.unlink()
    with pytest.raises(EnvironmentFault, match=r"Go 1\.24 or newer was not found on PATH"):
        gobuild.require_go(programs=1)


def test_a_full_disk_is_noticed_before_the_build(go: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "_GIB_PER_PROGRAM", 10**6)
    with pytest.raises(EnvironmentFault, match=r"GiB free in .*, building needs 9e\+06 GiB"):
        gobuild.require_go(programs=8)


def test_file_names_carry_versions() -> None:
    names = [program.file_name for program in PROGRAMS]
    assert len(set(names)) == len(names)
    assert all(name.endswith(program.version) for name, program in zip(names, PROGRAMS, strict=True))
