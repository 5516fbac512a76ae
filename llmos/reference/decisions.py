"""The index of decisions, ``docs/decisions/README.md``, from the headings of the pages."""

from __future__ import annotations

from llmos.paths import PROJECT_ROOT

__all__ = ["document"]

_FOLDER = PROJECT_ROOT / "docs" / "decisions"
_INTRODUCTION = """\
# Decisions

One page for each decision that could have gone another way: context, choice, and what follows from it. Written by
`venv/bin/python -m llmos.reference`; a test keeps it current.
"""


def document() -> str:
    """The whole page, by the names of the files."""
    pages = sorted(path for path in _FOLDER.glob("*.md") if path.name != "README.md")
    lines = [f"- [{_heading(page.read_text(encoding='utf-8'))}]({page.name})" for page in pages]
    return "\n".join([_INTRODUCTION, *lines, ""])


def _heading(text: str) -> str:
    return text.splitlines()[0].removeprefix("# ").strip()
