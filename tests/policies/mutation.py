"""Does breaking a rule break a test? ``python3 -m tests.policies.mutation [MODULE...]``.

Each mutant is a rule module with one operator, constant, `not` or `yield` changed. It is compiled in memory and held
against the cases of its rules; a mutant that passes them all has survived. The last line is a JSON summary; exit code 1
when fewer than 85 % are killed, or when a rule has no killed mutant.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import json
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import policies.rules
from tests.policies import test_rules
from tests.policies.support import BY_ID, ask, good_stack

__all__ = ["main", "mutants"]

_BAR = 0.85
_COMPARISONS = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}


def main() -> int:
    """Run the mutants and print the survivors."""
    parser = argparse.ArgumentParser(description="Mutate the rules and run their cases.")
    parser.add_argument("modules", nargs="*", help="rule modules, e.g. images; all of them by default")
    names = parser.parse_args().modules or sorted(_modules())
    counts: Counter[bool] = Counter()
    killed_rules: set[str] = set()
    for name in names:
        module = importlib.import_module(f"policies.rules.{name}")
        local: Counter[bool] = Counter()
        for line, tree in mutants(Path(module.__file__ or "").read_text(encoding="utf-8")):
            broken = _broken_rules(module, tree)
            local[bool(broken)] += 1
            killed_rules |= broken
            if not broken:
                print(f"survived: {name}.py:{line}", flush=True)
        print(f"{name:24} {local[True]:3} of {local.total():3} killed", flush=True)
        counts += local
    checked = {rule.id for name in names for rule in importlib.import_module(f"policies.rules.{name}").RULES}
    score = counts[True] / counts.total()
    unproven = sorted(checked - killed_rules)
    summary = {"mutants": counts.total(), "killed": counts[True], "score": round(score, 4), "unproven": unproven}
    print(json.dumps(summary))
    return int(score < _BAR or bool(unproven))


def mutants(source: str) -> Iterator[tuple[int, ast.Module]]:
    """Every mutant of a module as (line, tree). Rule tables and docstrings are text and stay as they are."""
    tree = ast.parse(source)
    for number in range(len(_sites(tree))):
        mutant = copy.deepcopy(tree)
        site = _sites(mutant)[number]
        changed = _change(site)
        assert changed is not None
        _Replace(site, changed).visit(mutant)
        yield getattr(site, "lineno", 0), ast.fix_missing_locations(mutant)


def _sites(tree: ast.Module) -> list[ast.AST]:
    """The nodes that can be changed."""
    nodes = (node for function in _functions(tree) for node in ast.walk(function))
    return [node for node in nodes if _change(copy.deepcopy(node)) is not None]


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self._new if node is self._old else self.generic_visit(node)


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions at the top that hold logic; the tables' helpers, whose names begin with _rule, hold none."""
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_rule")]


def _change(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        node.ops[0] = _COMPARISONS[type(node.ops[0])]()
        return ast.copy_location(ast.Compare(node.left, node.ops, node.comparators), node)
    if isinstance(node, ast.BoolOp):
        operator = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return ast.copy_location(ast.BoolOp(operator, node.values), node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return ast.copy_location(ast.Constant(not node.value), node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom):
        return ast.copy_location(ast.Expr(ast.YieldFrom(ast.Tuple([], ast.Load()))), node)
    return None


def _broken_rules(module: types.ModuleType, tree: ast.Module) -> set[str]:
    """The rules of which a case no longer holds."""
    mutant = types.ModuleType(module.__name__)
    mutant.__dict__.update({"__package__": module.__package__, "__file__": module.__file__})
    try:
        exec(compile(tree, module.__file__ or "", "exec"), mutant.__dict__)
        rules = {rule.id: rule for rule in mutant.RULES}
    except Exception:
        return {rule.id for rule in module.RULES}
    original = {rule_id: BY_ID[rule_id] for rule_id in rules}
    BY_ID.update(rules)
    try:
        return {rule_id for rule_id in rules if not _holds(rule_id)}
    finally:
        BY_ID.update(original)


def _holds(rule_id: str) -> bool:
    checks = [(test_rules.test_reports, test_rules.FAIL), (test_rules.test_lets_pass, test_rules.PASS)]
    checks.append((test_rules.test_unknown_never_passes, test_rules.UNKNOWN_AT))
    try:
        for check, cases in checks:
            for case in cases:
                if case[0] == rule_id:
                    check(*case)
        return ask(rule_id, good_stack()).clean
    except Exception:  # a failed assertion, or a mutant that raises
        return False


def _modules() -> list[str]:
    folder = Path(policies.rules.__file__ or "").parent
    return [path.stem for path in folder.glob("[a-z]*.py")]


if __name__ == "__main__":
    raise SystemExit(main())
