"""What the documentation says can be followed: links lead somewhere, commands parse, stack files are valid."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft202012Validator

from llmos.cli import COMMANDS, build_parser
from llmos.judging import judge, mandatory_faults
from llmos.reference.schema import schema
from llmos.stacks import CONFIG_KEY
from llmos.synth import synth
from planner.settings import parse
from tests.docs.pages import PAGES, Page, page
from tests.support import ROOT

_COMMAND = re.compile(r"(?:python3|venv/bin/python) -m llmos(?= |$)(.*)")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(of: Page) -> Iterator[str]:
    """What stands behind ``python3 -m llmos``, without comments, pipes and what follows another command."""
    lines = [line for _, text in of.blocks for line in text.replace("\\\n", " ").splitlines()]
    for line in [*lines, *of.spans]:
        found = _COMMAND.search(line)
        if found:
            yield re.split(r"\s(?:#|\||&&|>|;)", found[1])[0].strip()


def test_the_pages_are_read_as_they_are_written() -> None:
    read = page(ROOT / "docs" / "getting-started.md")
    assert {"doctor", "up", "status", "destroy --stack mine"} <= set(commands(read))
    assert "troubleshooting.md" in read.links and "4-be-refused" in read.anchors
    assert "unknown-key" in page(ROOT / "docs" / "troubleshooting.md").anchors


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in page(path).links:
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = (path.parent / target).resolve() if target else path
        unknown = anchor and (place.suffix != ".md" or not place.exists() or anchor not in page(place).anchors)
        if not place.exists() or not place.is_relative_to(ROOT) or unknown:
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_commands_are_ones_that_the_program_has(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(page(path)):
        words = shlex.split(command)
        if not words:
            continue
        first = next((word for word in words if not word.startswith("-")), None)
        try:
            build_parser(first).parse_args(words)
        except SystemExit as stop:
            assert not stop.code, f"`{command}`: {capsys.readouterr().err}"


def test_every_command_is_documented() -> None:
    named = {words[0] for path in PAGES for command in commands(page(path)) if (words := command.split())}
    assert set(COMMANDS) <= named


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_modules_that_are_run_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wanted = set(re.findall(r"-m ((?:benchmarks|policies|llmos)\.[a-z_.]*[a-z])", text))
    assert not [module for module in wanted if importlib.util.find_spec(module) is None]


def stack_files() -> list[tuple[Path, str]]:
    blocks = [(path, text) for path in PAGES for _, text in page(path).blocks]
    return [(path, text) for path, text in blocks if f"{CONFIG_KEY}:" in text and "..." not in text]


def test_stack_files_in_the_text_are_valid() -> None:
    found = stack_files()
    assert len(found) >= 4
    for path, text in found:
        document = yaml.safe_load(text)
        assert not [error.message for error in Draft202012Validator(schema()).iter_errors(document)], name(path)
        parse(document["config"][CONFIG_KEY], where=name(path))


def test_stack_files_in_the_text_are_not_refused() -> None:
    for path, text in stack_files():
        raw = yaml.safe_load(text)["config"][CONFIG_KEY]
        program = synth(raw, stack="text", preview=True)
        found = judge(program, environment=raw.get("environment", "dev"), preview=True)
        assert not mandatory_faults(found), name(path)


def test_the_index_leads_to_every_page() -> None:
    index = page(ROOT / "docs" / "README.md")
    linked = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links}
    assert set((ROOT / "docs").glob("*.md")) - {index.path} <= linked
    decisions = page(ROOT / "docs" / "decisions" / "README.md")
    assert {path.name for path in (ROOT / "docs" / "decisions").glob("*.md")} - {"README.md"} == set(decisions.links)


def test_pictures_are_drawings_with_a_title() -> None:
    pictures = sorted((ROOT / "docs").glob("**/*.svg"))
    assert pictures
    for picture in pictures:
        root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        linked = {(path.parent / link).resolve() for path in PAGES for link in page(path).links}
        assert picture in linked
