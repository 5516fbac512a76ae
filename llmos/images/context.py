"""What of a build folder reaches the engine (`.dockerignore`), and a key that changes whenever any of it does."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from planner.faults import Fault, UserFault

__all__ = ["context_files", "context_key"]


def context_files(context: Path, *, dockerfile: Path) -> list[str]:
    """The files and links of a build folder that its ignore file lets through, as sorted POSIX paths below it.

    The ignore file is ``<Dockerfile>.dockerignore`` where there is one, else ``.dockerignore``, with Docker's rules:
    the last matching line decides, ``!`` takes a path in again, a line that matches a folder covers what is in it.
    """
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    ignore = own if own.is_file() else context / ".dockerignore"
    rules = _rules(ignore.read_text(encoding="utf-8-sig"), where=str(ignore)) if ignore.is_file() else []
    final = not any(taken_in for _, taken_in in rules)
    found: list[str] = []
    for folder, folders, files in os.walk(context):
        below = Path(folder).relative_to(context)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        paths = [(below / name).as_posix() for name in (*files, *links)]
        found += [path for path in paths if _is_content(context / path) and not _ignored(path, rules)]
        # Without a `!` line nothing below an ignored folder can come back, so a large one is not even listed.
        folders[:] = [name for name in folders if not (final and _ignored((below / name).as_posix(), rules))]
    return sorted(found)


def context_key(context: Path, *, dockerfile: Path, recipe: Mapping[str, str | Sequence[str]]) -> str:
    """A SHA-256 over everything that determines the image: files with their modes, the Dockerfile, and the recipe.

    Args:
        recipe: the rest, in plain values: build arguments, platforms, the digest of the base image.
    """
    digest = hashlib.sha256(json.dumps(dict(recipe), sort_keys=True).encode())
    digest.update(hashlib.sha256(dockerfile.read_bytes()).digest())
    for name in context_files(context, dockerfile=dockerfile):
        path = context / name
        link = path.is_symlink()
        content = os.fsencode(path.readlink()) if link else _content_hash(path)
        entry = [name, "link" if link else f"{path.stat().st_mode & 0o777:o}"]
        digest.update(json.dumps(entry).encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


def _is_content(path: Path) -> bool:
    """Docker takes files and links; sockets and pipes have no content to take."""
    return path.is_symlink() or path.is_file()


def _content_hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _rules(text: str, *, where: str) -> list[tuple[re.Pattern[str], bool]]:
    """Each line as a pattern for whole paths, and whether it takes them in again."""
    rules = []
    for line in text.splitlines():
        pattern = line.strip()
        if not pattern or line.startswith("#"):
            continue
        taken_in = pattern.startswith("!")
        pattern = pattern.removeprefix("!").strip()
        pattern = posixpath.normpath(pattern).lstrip("/").strip() if pattern else ""
        try:
            if taken_in and not pattern:
                raise ValueError("nothing follows the exclamation mark")
            rules.append((re.compile(f"{_expression(pattern)}(?:/.*)?", re.DOTALL), taken_in))
        except (re.error, ValueError) as error:
            what = f"`{line}` is not a pattern: {error}"
            raise UserFault(Fault(what=what, where=where, fix="correct that line")) from error
    return rules


def _ignored(path: str, rules: Sequence[tuple[re.Pattern[str], bool]]) -> bool:
    ignored = False
    for pattern, taken_in in rules:
        if pattern.fullmatch(path):
            ignored = not taken_in
    return ignored


_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}
_SPECIAL = re.compile(r"[*?\[\]\\]")
_PART = re.compile(r"\*\*/?|\*|\?|\[[^\]]+\]|\\.|.", re.DOTALL)


def _expression(pattern: str) -> str:
    """Docker's pattern as a regular expression: ``*`` and ``?`` do not cross folders, ``[ab]`` is a class, and ``**``
    stands for any folders. Before plain text at the very beginning it stands for any text: ``**.py`` is every ``.py``,
    but ``**.p?`` only a file of such a name, in any folder."""
    plain = pattern.removeprefix("**")
    if plain != pattern and not plain.startswith("/") and not _SPECIAL.search(plain):
        return f".*{re.escape(plain)}"
    parts = _PART.findall(pattern)
    if "[" in parts or "\\" in parts:
        raise ValueError("a bracket is not closed, or the line ends in a backslash")
    return "".join(_part(part, last=position == len(parts)) for position, part in enumerate(parts, start=1))


def _part(part: str, *, last: bool) -> str:
    if part.startswith("**"):
        return ".*" if last else "(?:.*/)?"
    if part.startswith("["):
        return "[" + part[1:].replace("[", r"\[")
    return _WILDCARDS.get(part) or re.escape(part.removeprefix("\\"))
