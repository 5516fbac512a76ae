from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llmos import packages
from planner.faults import EnvironmentFault

# Stand-ins for dpkg and apt: what is installed, and what apt's lists know, are lines of files beside them.
PROGRAM = """#!{python}
import pathlib, sys
here, args = pathlib.Path(__file__).parent, sys.argv[1:]
lines = lambda name: (here / name).read_text().split() if (here / name).exists() else []
name = pathlib.Path(__file__).name
if name == "dpkg-query":
    print("installed" if args[-1] in lines("installed") else "not-installed")
elif name == "apt-cache":
    sys.exit(0 if args[-1] in lines("known") else 100)
else:
    (here / "calls").open("a").write(" ".join(word for word in args if "::" not in word and word != "-o") + "\\n")
    if "update" in args:
        (here / "known").write_text("tree jq")
    elif "update" in lines("calls"):
        (here / "installed").write_text(" ".join(args[-2:]))
    else:
        sys.exit("E: Failed to fetch: 404 Not Found")
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("dpkg-query", "apt-cache", "apt-get"):
        path = tmp_path / name
        path.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "_is_root", lambda: True)
    return tmp_path


def test_missing_packages_are_installed_after_one_update_by_a_visible_line(
    system: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages.ensure(["tree", "jq"], install=True, why="a test")
    assert "needed for a test: apt-get install -y --no-install-recommends tree jq" in capsys.readouterr().err
    calls = (system / "calls").read_text(encoding="utf-8").splitlines()
    assert calls == ["update", "install -y --no-install-recommends tree jq"]
    assert packages.missing(["tree", "jq"]) == []

    packages.ensure(["tree", "jq"], install=False, why="a test")
    assert len((system / "calls").read_text(encoding="utf-8").splitlines()) == 2


def test_outdated_lists_are_refreshed_once(system: Path) -> None:
    (system / "known").write_text("tree jq", encoding="utf-8")
    packages.ensure(["tree", "jq"], install=True, why="a test")
    calls = (system / "calls").read_text(encoding="utf-8").splitlines()
    assert [call.split()[0] for call in calls] == ["install", "update", "install"]


@pytest.mark.parametrize(
    ("install", "root", "line"), [(False, True, "run `apt-get"), (True, False, "run `sudo apt-get")]
)
def test_what_may_not_be_installed_is_named_with_the_line(
    system: Path, monkeypatch: pytest.MonkeyPatch, install: bool, root: bool, line: str
) -> None:
    monkeypatch.setattr(packages, "_is_root", lambda: root)
    with pytest.raises(EnvironmentFault, match=rf"jq not installed[\s\S]*To fix: {line} install -y .* jq`"):
        packages.ensure(["jq"], install=install, why="a test")
    assert not (system / "calls").exists()


def test_another_system_gets_the_names(system: Path) -> None:
    (system / "apt-get").unlink()
    with pytest.raises(EnvironmentFault, match=r"no apt-get[\s\S]*equivalent of Debian's jq"):
        packages.ensure(["jq"], install=True, why="a test")
