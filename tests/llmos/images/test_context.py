"""Which files of a build folder count, and when its key changes. The rules are those of Docker's own documentation."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmos.images.context import context_files, context_key
from planner.faults import UserFault

FILES = ("Dockerfile", "a.txt", "src/a.py", "src/deep/b.py", "src/deep/b.pyc", "docs/readme.md", "docs/other.md")


def _fill(folder: Path, ignore: str = "") -> Path:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    if ignore:
        (folder / ".dockerignore").write_text(ignore, encoding="utf-8")
    return folder


def _kept(folder: Path) -> set[str]:
    return set(context_files(folder, dockerfile=folder / "Dockerfile")) - {".dockerignore"}


def _key(folder: Path, **recipe: str) -> str:
    return context_key(folder, dockerfile=folder / "Dockerfile", recipe=recipe)


@pytest.mark.parametrize(
    ("ignore", "left_out"),
    [
        ("", ()),
        ("# a comment\n\n", ()),
        ("a.txt", ("a.txt",)),
        ("/a.txt", ("a.txt",)),
        ("*.py", ()),
        ("*/*.py", ("src/a.py",)),
        ("**/*.py", ("src/a.py", "src/deep/b.py")),
        ("**/*.py?", ("src/deep/b.pyc",)),
        ("src", ("src/a.py", "src/deep/b.py", "src/deep/b.pyc")),
        ("src/", ("src/a.py", "src/deep/b.py", "src/deep/b.pyc")),
        ("**/deep", ("src/deep/b.py", "src/deep/b.pyc")),
        ("src/**/b.py", ("src/deep/b.py",)),
        ("docs/*.md\n!docs/readme.md", ("docs/other.md",)),
        ("!docs/readme.md\ndocs/*.md", ("docs/other.md", "docs/readme.md")),
        ("docs/[o]*.md", ("docs/other.md",)),
        ("docs/[^o]*.md", ("docs/readme.md",)),
        ("*\n!src", ("Dockerfile", "a.txt", "docs/other.md", "docs/readme.md")),
        ("sr", ()),
        ("**.py", ("src/a.py", "src/deep/b.py")),
        ("**.p?", ()),
        ("src/**.pyc", ()),
        ("src/**", ("src/a.py", "src/deep/b.py", "src/deep/b.pyc")),
        ("/ *.txt", ("a.txt",)),
        ("\\a.txt", ("a.txt",)),
        ("/", ()),
    ],
)
def test_the_ignore_file_is_read_as_docker_reads_it(tmp_path: Path, ignore: str, left_out: tuple[str, ...]) -> None:
    assert _kept(_fill(tmp_path, ignore)) == set(FILES) - set(left_out)


def test_a_dockerfile_may_have_an_ignore_file_of_its_own(tmp_path: Path) -> None:
    _fill(tmp_path, "src")
    (tmp_path / "Dockerfile.dockerignore").write_text("docs", encoding="utf-8")
    assert _kept(tmp_path) - {"Dockerfile.dockerignore"} == {name for name in FILES if not name.startswith("docs")}


@pytest.mark.parametrize("line", ["[z-a]", "src/[ab", "!", "! ", "!/", "src\\"])
def test_a_line_that_is_no_pattern_is_one_fault(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserFault, match=rf"`{re.escape(line)}` is not a pattern"):
        _kept(_fill(tmp_path, line))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets and links")
def test_links_count_as_links_and_sockets_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder-link").symlink_to("src")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        assert _kept(tmp_path) == {*FILES, "link", "folder-link"}
        before = _key(tmp_path)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("elsewhere")
    assert _key(tmp_path) != before


def test_the_key_does_not_depend_on_times_or_ignored_files(tmp_path: Path) -> None:
    _fill(tmp_path, "**/*.pyc")
    before = _key(tmp_path)
    os.utime(tmp_path / "a.txt", (0, 0))
    (tmp_path / "src/deep/b.pyc").write_text("compiled again", encoding="utf-8")
    assert _key(tmp_path) == before


@pytest.mark.parametrize("name", FILES)
def test_the_key_changes_with_every_file(tmp_path: Path, name: str) -> None:
    _fill(tmp_path)
    before = _key(tmp_path)
    (tmp_path / name).write_text("something else", encoding="utf-8")
    assert _key(tmp_path) != before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_key_changes_with_a_mode(tmp_path: Path) -> None:
    _fill(tmp_path)
    before = _key(tmp_path)
    (tmp_path / "a.txt").chmod(0o755)
    assert _key(tmp_path) != before


def test_the_key_changes_with_a_name(tmp_path: Path) -> None:
    _fill(tmp_path)
    before = _key(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert _key(tmp_path) != before


def test_the_dockerfile_counts_even_where_it_is_ignored_or_elsewhere(tmp_path: Path) -> None:
    context = _fill(tmp_path / "context", "Dockerfile")
    elsewhere = tmp_path / "other.Dockerfile"
    keys = set()
    for text in ("FROM a", "FROM b"):
        elsewhere.write_text(text, encoding="utf-8")
        keys.add(context_key(context, dockerfile=elsewhere, recipe={}))
        (context / "Dockerfile").write_text(text, encoding="utf-8")
        keys.add(_key(context, here="yes"))
    assert len(keys) == 4


RECIPES = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@settings(deadline=None)  # it reads files, which a busy machine may do slowly
@given(one=RECIPES, other=RECIPES)
def test_recipes_have_the_same_key_only_when_equal(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, str], other: dict[str, str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "recipes"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("FROM scratch", encoding="utf-8")
    keys = {context_key(folder, dockerfile=folder / "Dockerfile", recipe=recipe) for recipe in (one, other)}
    assert len(keys) == (1 if one == other else 2)
