"""How an article comes about: one request for the outline, then one for each section.

A model that is asked for two thousand words at once repeats itself and loses the thread. Section by section every
request stays small, and what is written can be read while the rest is still to come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Brief", "Writer", "outline", "write"]

_ROLE = "You are an editor who writes plainly, in active voice, and marks facts that need checking with [check]."
_TOKENS_PER_WORD = 1.5
# Enough of the last section to go on from, not enough to fill the context.
_CARRIED_CHARACTERS = 600


class Writer(Protocol):
    """A chat model."""

    def stream(self, messages: list[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """The answer, piece by piece."""
        ...


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What is wanted.

    Attributes:
        topic: what the article is about, at most 500 characters.
        sections: how many, 1 to 12.
        words: length of each, 50 to 600.
    """

    topic: str
    sections: int = 4
    words: int = 200

    @classmethod
    def parse(cls, raw: object) -> Brief:
        """A request's body. Raises ``ValueError`` with one sentence for the caller."""
        if not isinstance(raw, dict) or set(raw) - {"topic", "sections", "words"}:
            raise ValueError("the body must be an object with topic and, if wanted, sections and words")
        topic = raw.get("topic")
        if not isinstance(topic, str) or not 0 < len(topic.strip()) <= 500:
            raise ValueError("topic must be a text of 1 to 500 characters")
        return cls(
            topic=topic.strip(), sections=_whole(raw, "sections", 1, 12, cls.sections),
            words=_whole(raw, "words", 50, 600, cls.words),
        )


def outline(brief: Brief, writer: Writer) -> list[str]:
    """The headings. What the model leaves out is numbered, so that a weak one cannot stop the article."""
    task = f"Give {brief.sections} section headings for an article, one a line, nothing else. Topic: {brief.topic}"
    text = "".join(writer.stream(_messages(task), max_tokens=40 * brief.sections))
    lines = (re.sub(r"^[\s#*\-\d.)]+", "", line).strip(" *#\t") for line in text.splitlines())
    headings = [line[:120] for line in lines if line][: brief.sections]
    return headings + [f"Part {number}" for number in range(len(headings) + 1, brief.sections + 1)]


def write(brief: Brief, headings: list[str], writer: Writer) -> Iterator[str]:
    """The article as Markdown, piece by piece."""
    yield f"# {brief.topic}\n"
    before = ""
    for number, heading in enumerate(headings, start=1):
        yield f"\n## {heading}\n\n"
        task = (
            f"Article: {brief.topic}\nSections: {'; '.join(headings)}\n"
            f"Write section {number}, `{heading}`, in about {brief.words} words, without its heading."
        )
        if before:
            task += f"\nThe section before ends: {before}"
        text = ""
        for piece in writer.stream(_messages(task), max_tokens=round(brief.words * _TOKENS_PER_WORD)):
            text += piece
            yield piece
        before = text[-_CARRIED_CHARACTERS:]
        yield "\n"


def _messages(task: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": _ROLE}, {"role": "user", "content": task}]


def _whole(raw: dict[str, object], key: str, low: int, high: int, default: int) -> int:
    value = raw.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{key} must be a whole number from {low} to {high}")
    return value
