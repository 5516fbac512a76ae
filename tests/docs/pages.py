"""The repository's Markdown pages: their prose, code, links and anchors."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support import ROOT

__all__ = ["PAGES", "Page", "page"]

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
_FENCE = re.compile(r"^( *)(```+)([\w-]*)[^\n]*\n(.*?)^ *\2 *$", re.MULTILINE | re.DOTALL)
# A code block by indentation begins after an empty line.
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?:(?: {4,})[^\n]*\n(?:\n(?= {4}))?)+")
_INLINE_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
_AUTOLINK = re.compile(r"<(https?://[^>\s]+)>")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page.

    Attributes:
        path: the file.
        blocks: (language, text) of its code blocks; indented ones have no language.
        spans: its code in running text.
        links: targets of its links and pictures.
        anchors: what a link into it may name.
    """

    path: Path
    blocks: tuple[tuple[str, str], ...]
    spans: tuple[str, ...]
    links: tuple[str, ...]
    anchors: frozenset[str]


@cache
def page(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    fenced = [(found[3], found[4]) for found in _FENCE.finditer(text)]
    prose = _FENCE.sub("\n", text)
    indented = [("", found[0]) for found in _INDENTED.finditer(prose)]
    prose = _INDENTED.sub("", prose)
    headings = re.findall(r"^#{1,6} +(.+?) *#*$", prose, re.MULTILINE)
    spans = tuple(" ".join(found[2].split()) for found in _INLINE_CODE.finditer(prose))
    bare = _INLINE_CODE.sub("``", prose)
    return Page(
        path=path, blocks=(*fenced, *indented), spans=spans, links=(*_LINK.findall(bare), *_AUTOLINK.findall(bare)),
        anchors=frozenset([*_slugs(headings), *re.findall(r'<a id="([^"]+)">', prose)]),
    )  # fmt: skip


def _slugs(headings: list[str]) -> list[str]:
    """Anchors as code hosts make them from headings: small letters, no punctuation, hyphens for spaces."""
    seen: Counter[str] = Counter()
    made = []
    for heading in headings:
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        made.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return made
