"""Every error and warning text of the program, read from its source: the strings that people search for.

A variable part of a text becomes ``…``. Texts that only pass on what another program said have none of their own.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from tests.support import ROOT

__all__ = ["Message", "messages", "plain"]

_FOLDERS = ("planner", "llmos", "components")
_RAISED = {"Fault": "what", "warn": "", "ValueError": "", "ArgumentTypeError": ""}
# Mistakes that only a caller of a function can make; no stack file or command line leads to them.
_INTERNAL = ("planner/faults.py", "planner/allocation/faults.py")
# ValueError is a person's message where pydantic, or a reader of files, turns it into a fault.
_VALUE_ERRORS = ("planner/settings/",)


# A name that stands for more texts than this is somebody else's words.
_ALTERNATIVES = 10


@dataclass(frozen=True, kw_only=True)
class Message:
    """One text and where it is raised; ``text`` is empty where it could not be read from the source."""

    place: str
    text: str
    source: str


@dataclass(frozen=True)
class _Module:
    path: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    def function_of(self, node: ast.AST) -> ast.AST:
        """The function around a node, else the module."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef):
                return node
        return self.tree


@cache
def messages() -> list[Message]:
    """Every text, in the order of files and lines; one for each alternative of a conditional one."""
    found = []
    for module in _modules():
        for call, argument in _raised(module):
            texts = sorted(set(_texts(argument, module, module.function_of(call), depth=0)))
            place = f"{module.path}:{call.lineno}"
            found += [Message(place=place, text=text, source=ast.unparse(argument)) for text in texts or [""]]
    return found


def plain(text: str) -> str:
    """A text on one line, with each run of variable parts as one."""
    flat = re.sub(r"…(?:[\s,;:.]*…)+", "…", " ".join(text.split()))
    return re.sub(r":( ?…)?$", "", flat)


@cache
def _modules() -> tuple[_Module, ...]:
    files = [ROOT / "__main__.py", *(p for folder in _FOLDERS for p in sorted((ROOT / folder).rglob("*.py")))]
    made = []
    for path in files:
        module = _Module(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for node in ast.walk(module.tree):
            module.parents.update((child, node) for child in ast.iter_child_nodes(node))
        made.append(module)
    return tuple(made)


def _raised(module: _Module) -> Iterator[tuple[ast.Call, ast.expr]]:
    for node in ast.walk(module.tree):
        name = _name(node.func) if isinstance(node, ast.Call) else ""
        if name not in _RAISED or module.path in _INTERNAL:
            continue
        if name == "ValueError" and not module.path.startswith(_VALUE_ERRORS):
            continue
        argument = next((k.value for k in node.keywords if k.arg == _RAISED[name]), None) or (node.args or [None])[0]
        if argument is not None:
            yield node, argument


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _texts(node: ast.expr, module: _Module, function: ast.AST, *, depth: int) -> list[str]:
    """The texts that an expression may have; none where the source does not say."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = [_part(part, module, function, depth=depth) for part in node.values]
        return ["".join(choice) for choice in itertools.product(*parts)]
    if isinstance(node, ast.IfExp):
        sides = [_texts(side, module, function, depth=depth) for side in (node.body, node.orelse)]
        return [text for side in sides for text in side or ["…"]] if any(sides) else []
    if isinstance(node, ast.BinOp):
        left, right = (_texts(side, module, function, depth=depth) or ["…"] for side in (node.left, node.right))
        return [a + b for a in left for b in right]
    if depth > 3:
        return []
    if isinstance(node, ast.Call) and _name(node.func) == "join" and node.args and isinstance(node.args[0], ast.List):
        return _texts(node.args[0].elts[0], module, function, depth=depth + 1)
    if isinstance(node, ast.Call):
        return _returned(_name(node.func), module, depth=depth)
    if isinstance(node, ast.Name):
        return _assigned(node.id, module, function, depth=depth)
    return []


def _part(part: ast.expr, module: _Module, function: ast.AST, *, depth: int) -> list[str]:
    """A piece of an f-string: its text, the few texts that a name in it stands for, else ``…``."""
    if isinstance(part, ast.Constant):
        return [str(part.value)]
    value = part.value if isinstance(part, ast.FormattedValue) else part
    sides = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    texts = [
        text for side in sides if isinstance(side, ast.Name | ast.Constant) or len(sides) > 1
        for text in _texts(side, module, function, depth=depth + 2) or ["…"]
    ]  # fmt: skip
    worded = [text for text in texts if re.search("[a-z]{3}", text)]
    return texts if worded and len(texts) <= _ALTERNATIVES and set(texts) <= {*worded, "…"} else ["…"]


def _returned(name: str, module: _Module, *, depth: int) -> list[str]:
    """What a function of the same module returns."""
    functions = [n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef) and n.name == name]
    values = [(n.value, f) for f in functions for n in ast.walk(f) if isinstance(n, ast.Return) and n.value]
    return [text for value, f in values for text in _texts(value, module, f, depth=depth + 1)]


def _assigned(name: str, module: _Module, function: ast.AST, *, depth: int) -> list[str]:
    """What a name was set to in its function, else what callers give for it."""
    values = [
        node.value for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    ]  # fmt: skip
    found = [text for value in values for text in _texts(value, module, function, depth=depth + 1)]
    if found or not isinstance(function, ast.FunctionDef):
        return found
    arguments = function.args
    positional = [a.arg for a in arguments.args]
    if name not in [*positional, *(a.arg for a in arguments.kwonlyargs)]:
        return []
    # A private function is called in its own module only, and others have one of the same name.
    for other in [module] if function.name.startswith("_") else _modules():
        for call in ast.walk(other.tree):
            if isinstance(call, ast.Call) and _name(call.func) == function.name:
                given = next((k.value for k in call.keywords if k.arg == name), None)
                place = positional.index(name) - (positional[0] == "self") if name in positional else len(call.args)
                if given is None and place < len(call.args):
                    given = call.args[place]
                if given is not None:
                    found += _texts(given, other, other.function_of(call), depth=depth + 1)
    return found
