"""What commands print and write: rendering, tables, the environment they make for themselves."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import pytest
from rich.console import Console

from llmos import bootstrap, report
from llmos.cli import COMMANDS, build_parser
from llmos.engines.base import EngineAction
from llmos.failures import reported
from llmos.stacks import load_stack, stack_names
from planner.faults import EnvironmentFault, Fault, UserFault
from tests.support import ROOT


def text_of(renderable: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_cost_table_gives_source_and_age_and_says_unknown() -> None:
    plan = load_stack("dev").plan
    text = text_of(report.cost_table(plan, today=dt.date(2026, 11, 23)))
    assert "587.50 USD" in text and "days old" in text
    assert report.money(None) == "unknown" and report.money(1234.5) == "1,234.50 USD"


def test_unchanged_objects_are_counted_not_listed() -> None:
    def action(name: str, what: str) -> EngineAction:
        return EngineAction(type="t", kind="Service", namespace="n", name=name, action=what)  # type: ignore[arg-type]

    text = text_of(report.actions_table([action("one", "same"), action("two", "update")]))
    assert "1 update, 1 same" in text and "two" in text and "one" not in text
    assert text_of(report.actions_table([action("one", "same")])).strip() == "Objects: 1 same"


def test_the_table_says_what_is_replaced_and_what_was_validated_with_a_stand_in_digest() -> None:
    def row(name: str, **more: object) -> EngineAction:
        return EngineAction(type="t", kind="Deployment", namespace="n", name=name, **{"action": "update", **more})  # type: ignore[arg-type]

    plain = text_of(report.actions_table([row("one")]))
    assert "note" not in plain
    text = text_of(report.actions_table([
        row("one", stand_in_digest=True), row("two"), row("three", action="delete", replaces=("spec.selector",)),
        row("four", action="create", adopts=True),
    ]))  # fmt: skip
    lines = {line.split()[3]: line for line in text.splitlines() if " n " in line}
    assert "validated with a stand-in digest" in lines["one"] and "stand-in" not in lines["two"]
    assert "replaced: spec.selector cannot be changed in place" in lines["three"]
    assert "exists already" in lines["four"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_module(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser(name).parse_args([name, "--help"])
    assert stop.value.code == 0
    assert "--no-install" in capsys.readouterr().out


def test_every_stack_file_of_the_repository_is_valid() -> None:
    assert "dev" in stack_names()
    for name in stack_names():
        assert load_stack(name).plan.stack == name


def test_faults_end_with_their_exit_code_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    fault = Fault(what="w", where="here", fix="do it")
    for error, code in ((UserFault(fault), 1), (EnvironmentFault([fault, fault]), 2), (RuntimeError("bug"), 2)):
        with reported(debug=False) as outcome:
            raise error
        assert outcome.exit_code == code
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("error: here: w") == 3 and "--debug" in said


def test_the_interpreter_of_each_platform() -> None:
    assert bootstrap.venv_python(Path("v"), platform="linux") == Path("v/bin/python")
    assert bootstrap.venv_python(Path("v"), platform="darwin") == Path("v/bin/python")
    assert bootstrap.venv_python(Path("v"), platform="win32") == Path("v/Scripts/python.exe")


def test_requirements_are_installed_once_per_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / ".installed-requirements.txt"
    with pytest.raises(EnvironmentFault, match="--no-install"):
        bootstrap.ensure_requirements("requirements.txt", install=False, venv=tmp_path)
    mark.write_text(bootstrap._fingerprint("requirements.txt"), encoding="utf-8")
    bootstrap.ensure_requirements("requirements.txt", install=False, venv=tmp_path)
    assert bootstrap._fingerprint("requirements-dev.txt") != bootstrap._fingerprint("requirements.txt")


def test_the_readme_begins_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.index("python3 -m llmos up") < readme.index("python3 -m llmos test") < readme.index("## ")
