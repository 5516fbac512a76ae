"""A container's command line, in every style it is written: ``--flag=value``, ``--flag value``, or one shell string."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ._node import Node

__all__ = ["Argument", "parse"]

_FLAG = re.compile(r"^--?([A-Za-z][\w.-]*)(?:=(.*))?$", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One word of the command line; ``flag`` is its name without dashes and with - for _, ``value`` what follows it."""

    text: str
    path: str
    flag: str = ""
    value: str | None = None


def parse(container: Node) -> tuple[Argument, ...]:
    """The words of ``command`` and ``args``. Raises UnknownAt at a word that is not known."""
    return tuple(_words(container))


def _words(container: Node) -> Iterator[Argument]:
    words = [
        (word, node.path)
        for field in ("command", "args")
        for node in container.get(field).elements()
        for word in _split(node)
    ]
    for index, (text, path) in enumerate(words):
        found = _FLAG.match(text)
        if found is None:
            yield Argument(text=text, path=path)
            continue
        name, value = found.groups()
        if value is None and index + 1 < len(words) and not _FLAG.match(words[index + 1][0]):
            value = words[index + 1][0]
        yield Argument(text=text, path=path, flag=name.replace("_", "-"), value=value)


def _split(node: Node) -> list[str]:
    """The words of one argument: a shell's script is one argument of many words, `--flag={"a": 1}` is one word."""
    text = node.text
    if text is None:
        return [] if node.value is None else [str(node.value)]
    if _FLAG.match(text) or not re.search(r"\s", text):
        return [text]
    try:
        return shlex.split(text, comments=False)
    except ValueError:
        return text.split()
