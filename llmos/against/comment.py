"""A comparison as Markdown for a pull request: the cost first, then what changes, within the length of a comment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from llmos.against.compare import Comparison, HardwareChange, ObjectChange, StackChange

__all__ = ["LIMIT", "MARKER", "comment", "cost_line"]

LIMIT = 65_535
"""Code hosts refuse comments of 65,536 characters and more."""
MARKER = "<!-- llmagentos preview -->"
"""By this line an earlier comment is found and updated in place."""
_LONGEST_LINE = 400
# Lines shown of each list, and stacks, tried in turn until the whole fits.
_SIZES = ((400, 60), (200, 60), (100, 40), (50, 30), (20, 20), (8, 20), (3, 15), (0, 15))
_UNCHECKED = "could not be checked"
_TEMPLATE = "spec.template.spec."


def comment(comparison: Comparison, *, limit: int = LIMIT) -> str:
    """The whole text. Long lists are cut and say how much was left out; the first line is always there whole."""
    text = ""
    for lines, stacks in _SIZES:
        text = "\n".join(_text(comparison, lines, stacks)) + "\n"
        # Of bytes, because not every host counts characters alike.
        if len(text.encode()) <= limit:
            return text
    return text


def cost_line(before: float | None, after: float | None) -> str:
    """The first line, e.g. ``Monthly cost +$412 ($1,830 -> $2,242)``."""
    return f"Monthly cost {_cost(before, after)}"


def _cost(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return f"unknown ({_usd(before)} -> {_usd(after)})"
    change = round(after) - round(before)
    return f"{'-' if change < 0 else '+'}${abs(change):,} ({_usd(before)} -> {_usd(after)})"


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"${round(value):,}"


def _text(comparison: Comparison, lines: int, stacks: int) -> Iterator[str]:
    yield cost_line(*comparison.cost)
    yield ""
    yield f"List prices at maximum scale, against `{_code(comparison.ref)}` ({comparison.commit[:12]})."
    yield ""
    yield "| stack | cost per month | objects | policies |"
    yield "|---|---|---|---|"
    shown = comparison.stacks[:stacks]
    for stack in shown:
        yield f"| {stack.stack} | {_cost_cell(stack)} | {_objects_cell(stack)} | {_policy_cell(stack)} |"
    yield from _more(len(comparison.stacks), stacks, "stacks")
    for stack in shown:
        if stack.status != "unchanged":
            yield from _section(stack, lines)
    yield ""
    yield MARKER


def _cost_cell(stack: StackChange) -> str:
    simulated = "; simulated nodes cost nothing" if stack.simulated and any(stack.cost) else ""
    return _cost(*stack.cost) + simulated


def _objects_cell(stack: StackChange) -> str:
    if stack.status in ("failed", "removed", "added"):
        return {"failed": "not planned", "removed": "stack removed", "added": "new stack"}[stack.status]
    actions = [change.action for change in stack.objects]
    return ", ".join(f"{actions.count(a)} {a}" for a in ("create", "update", "delete") if a in actions) or "no change"


def _policy_cell(stack: StackChange) -> str:
    if "after" in stack.faults:
        return "not checked"
    return f"{stack.mandatory} mandatory, {stack.advisory} advisory"


def _section(stack: StackChange, lines: int) -> Iterator[str]:
    yield ""
    yield f"### {stack.stack}"
    if stack.awaits_release:
        yield ""
        yield "Nothing has been promoted into it yet: images and revisions are not known."
    for side, faults in stack.faults.items():
        yield ""
        yield f"It cannot be planned {'as it is now' if side == 'after' else 'as it was'}:"
        yield from _list(faults, lambda f: f"{f['where']}: {f['what']}. To fix: {f['fix']}", lines, "faults")
    if stack.objects:
        yield ""
        yield from _list(stack.objects, _object_line, lines, "objects", plain=False)
    if stack.new:
        yield ""
        yield "Policies, new with this change:"
        yield from _list(_checked(stack.new), _finding_line, lines, "findings")
        yield from _unchecked(stack.new)
    if stack.resolved:
        yield ""
        yield f"Policies: {len(stack.resolved)} findings are resolved."
    if stack.hardware:
        yield ""
        yield "<details><summary>Hardware and the reasons</summary>"
        yield ""
        yield from _list(stack.hardware, _hardware_line, lines, "decisions")
        yield ""
        yield "</details>"


def _object_line(change: ObjectChange) -> str:
    name = "/".join(filter(None, (change.namespace, change.name)))
    fields = [
        f"{_code(field.path).replace(_TEMPLATE, '')}: `{_code(field.before) or ' '}` -> `{_code(field.after) or ' '}`"
        for field in change.changes
    ]
    more = f"; and {len(fields) - 3} more fields" if len(fields) > 3 else ""
    return f"{change.action} {change.kind} `{_code(name)}`" + (f": {'; '.join(fields[:3])}{more}" if fields else "")


def _hardware_line(change: HardwareChange) -> str:
    reasons = [f"because {change.because}"] if change.because else []
    reasons += [f"next best {change.runner_up}"] if change.runner_up else []
    reasons += [f"rejected {'; '.join(change.rejected)}"] if change.rejected else []
    return "; ".join([f"{change.subject}: {change.before or 'none'} -> {change.after or 'none'}", *reasons])


def _finding_line(row: Mapping[str, str]) -> str:
    place = ": ".join(filter(None, (row.get("object"), row.get("path"))))
    return f"{row['level']} {row['rule']}: {place}: {row['message']}. To fix: {row.get('fix', '')}"


def _checked(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    found = [row for row in rows if not row["message"].startswith(_UNCHECKED)]
    return sorted(found, key=lambda row: row["level"] != "mandatory")


def _unchecked(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    rules = sorted({row["rule"] for row in rows if row["message"].startswith(_UNCHECKED)})
    if rules:
        yield f"- {len(rules)} rules wait for values that are known only at `up`, where they are mandatory"


def _list(
    items: Sequence[object], line: Callable[..., str], most: int, what: str, *, plain: bool = True
) -> Iterator[str]:
    for item in items[:most]:
        text = line(item)
        text = _prose(text) if plain else text
        yield f"- {text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE].rstrip('`') + '…'}"
    yield from _more(len(items), most, what)


def _more(count: int, shown: int, what: str) -> Iterator[str]:
    if count > shown:
        yield ""
        yield f"and {count - shown} more {what}; `preview --against REF --json` lists them all"


def _code(text: str) -> str:
    """Text that stays inside a code span."""
    return " ".join(text.replace("`", "'").split())


def _prose(text: str) -> str:
    """Text outside of code: no HTML, no line breaks, and nobody is notified by it."""
    return re.sub(r"@(?=\w)", "@\u200b", " ".join(text.split()).replace("<", "&lt;"))
