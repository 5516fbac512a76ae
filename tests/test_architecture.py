"""The arrows between the parts of the program, read from its import statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WIRING = {"stack", "cluster_stack", "workload"}
NOUNS = sorted(
    p for p in (ROOT / "components").rglob("*.py") if not p.name.startswith("_") and p.stem not in WIRING
)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "components")


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def python_files(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"{folder} has no Python files"
    return files


def test_planner_knows_no_engine() -> None:
    allowed = {"planner", "pydantic", "numpy", "scipy", "highspy"}
    standard = __import__("sys").stdlib_module_names
    wrong = {str(p): tops(p) - allowed - standard for p in python_files("planner") if tops(p) - allowed - standard}
    assert not wrong


def test_policies_import_nothing_of_ours() -> None:
    ours = {"planner", "components", "llmos", "app", "benchmarks"}
    assert not {str(p): tops(p) & ours for p in python_files("policies") if tops(p) & ours}


@pytest.mark.parametrize("path", NOUNS, ids=lambda path: path.stem)
def test_a_noun_imports_no_other_noun(path: Path) -> None:
    others = {name.split(".")[1] for name in imports(path) if name.startswith("components.")}
    assert all(name.startswith("_") for name in others), "private modules are what nouns share"


def test_components_know_only_plan_and_pulumi() -> None:
    for path in python_files("components"):
        ours = {name for name in imports(path) if name.split(".")[0] in {"planner", "llmos", "policies"}}
        assert all(name == "planner.plan" for name in ours), path


def test_the_program_wires_through_the_stack_only() -> None:
    names = {name for name in imports(ROOT / "__main__.py") if name.startswith("components")}
    assert names == {"components.stack"}


def test_no_module_outgrows_its_room() -> None:
    folders = ("planner", "components", "policies", "llmos", "app")
    long = {str(p): n for f in folders for p in python_files(f) if (n := len(p.read_text().splitlines())) > 250}
    assert not long
