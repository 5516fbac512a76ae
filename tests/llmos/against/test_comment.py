"""The comment's form, whatever it has to say, and the laws of comparing objects."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmos.against.comment import LIMIT, MARKER, comment, cost_line
from llmos.against.compare import Comparison, HardwareChange, ObjectChange, StackChange
from llmos.against.fields import FieldChange, differences, shown

FIRST = re.compile(r"Monthly cost ([+-]\$[\d,]+|unknown) \((\$[\d,]+|unknown) -> (\$[\d,]+|unknown)\)")


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (1830, 2242, "Monthly cost +$412 ($1,830 -> $2,242)"),
        (2242, 1830, "Monthly cost -$412 ($2,242 -> $1,830)"),
        (0, 0, "Monthly cost +$0 ($0 -> $0)"),
        (99.6, 1200.4, "Monthly cost +$1,100 ($100 -> $1,200)"),
        (1.5, None, "Monthly cost unknown ($2 -> unknown)"),
    ],
)
def test_the_first_line(before: float, after: float | None, line: str) -> None:
    assert cost_line(before, after) == line


_WORDS = st.text(max_size=300)
_FIELD = st.builds(FieldChange, path=_WORDS, before=_WORDS, after=_WORDS)
_OBJECT = st.builds(
    ObjectChange, action=st.sampled_from(["create", "update", "delete"]), type=_WORDS, kind=_WORDS, namespace=_WORDS,
    name=_WORDS, changes=st.lists(_FIELD, max_size=5).map(tuple),
)  # fmt: skip
_FINDING = st.fixed_dictionaries(
    {"rule": _WORDS, "level": st.sampled_from(["mandatory", "advisory"]), "object": _WORDS, "path": _WORDS,
     "message": _WORDS, "fix": _WORDS}
)  # fmt: skip
_FAULT = st.fixed_dictionaries({"where": _WORDS, "what": _WORDS, "fix": _WORDS})
_MONEY = st.one_of(st.none(), st.floats(0, 1e9))
_HARDWARE = st.builds(
    HardwareChange, subject=_WORDS, before=_WORDS, after=_WORDS, because=_WORDS, runner_up=_WORDS,
    rejected=st.lists(_WORDS, max_size=9).map(tuple),
)  # fmt: skip


def _stack(repeat: int) -> st.SearchStrategy[StackChange]:
    def many(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(each, max_size=3).map(lambda found: tuple(found) * repeat)

    return st.builds(
        StackChange, stack=st.from_regex(r"[a-z]{1,30}", fullmatch=True), environment=st.just("dev"),
        status=st.sampled_from(["unchanged", "changed", "added", "removed", "failed"]),
        faults=st.dictionaries(st.sampled_from(["before", "after"]), many(_FAULT)), cost=st.tuples(_MONEY, _MONEY),
        simulated=st.booleans(), objects=many(_OBJECT), hardware=many(_HARDWARE), new=many(_FINDING),
        resolved=many(_FINDING), mandatory=st.integers(0, 9), advisory=st.integers(0, 99), awaits_release=st.booleans(),
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), repeat=st.sampled_from([1, 30, 3000]), stacks=st.sampled_from([1, 3, 200]))
def test_any_comparison_fits_into_a_comment_and_begins_with_the_cost(
    data: st.DataObject, repeat: int, stacks: int
) -> None:
    found = tuple(data.draw(st.lists(_stack(repeat), max_size=2))) * stacks
    text = comment(Comparison(ref=data.draw(_WORDS), commit="c" * 40, stacks=found))
    assert len(text) <= LIMIT < 65_536
    lines = text.split("\n")
    assert FIRST.fullmatch(lines[0])
    assert lines.count(MARKER) == 1 and lines[-2] == MARKER, "only our own line marks the comment"


def _change(index: int) -> ObjectChange:
    return ObjectChange(
        action="update", type="t", kind="Deployment", namespace="n", name=f"app-{index}",
        changes=(FieldChange(path="spec.replicas", before="1", after="2"),),
    )


def _only(**more: Any) -> str:
    stack = StackChange(
        **{"stack": "dev", "environment": "dev", "status": "changed", "faults": {}, "cost": (1.0, 2.0),
           "simulated": False, "objects": (), "hardware": (), "new": (), "resolved": (), "mandatory": 0,
           "advisory": 0, "awaits_release": False} | more
    )  # fmt: skip
    return comment(Comparison(ref="main", commit="c" * 40, stacks=(stack,)))


def test_one_line_for_each_object_and_the_rest_is_counted() -> None:
    text = _only(objects=tuple(map(_change, range(12))))
    assert sum(line.startswith("- update Deployment `n/app-") for line in text.splitlines()) == 12
    text = _only(objects=tuple(map(_change, range(5000))))
    shown = sum(line.startswith("- update Deployment") for line in text.splitlines())
    assert shown >= 100 and f"and {5000 - shown} more objects" in text and "5000 update" in text


def test_mandatory_findings_come_first_and_nobody_is_notified() -> None:
    rows = [
        {"rule": "a", "level": "advisory", "object": "o", "path": "", "message": "ask @team, <b>", "fix": "f"},
        {"rule": "b", "level": "mandatory", "object": "o", "path": "p", "message": "m", "fix": "f"},
        {"rule": "c", "level": "advisory", "object": "o", "path": "p", "message": "could not be checked", "fix": ""},
    ]
    text = _only(new=tuple(rows))
    assert text.index("- mandatory b: o: p: m. To fix: f") < text.index("- advisory a")
    assert "@team" not in text and "<b>" not in text and "- 1 rules wait" in text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abn"), inner, max_size=3)
    | st.lists(st.fixed_dictionaries({"name": st.sampled_from(["x", "y"]), "v": inner}), max_size=2),
    max_leaves=8,
)  # fmt: skip


@given(value=_JSON)
def test_equal_things_do_not_differ(value: Any) -> None:
    assert list(differences(value, value)) == []


def _without_nothing(value: Any) -> Any:
    """Kubernetes takes a null for an absent field."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


@given(before=_JSON, after=_JSON)
def test_different_things_differ_in_both_directions(before: Any, after: Any) -> None:
    if _without_nothing(before) == _without_nothing(after) or str(before) == str(after):
        return
    forth, back = list(differences(before, after)), list(differences(after, before))
    assert forth and len(forth) == len(back)


def test_named_lists_are_compared_by_name() -> None:
    before = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    after = {"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}
    found = {(change.path, change.before, change.after) for change in differences(before, after)}
    assert ("env[B].value", "2", "3") in found and any(path == "env[C]" for path, _, _ in found)
    moved = list(differences(before, {"env": before["env"][::-1]}))
    assert [change.after for change in moved] == ["reordered"]


@given(name=st.from_regex(r"[a-z][a-z0-9./-]{1,120}", fullmatch=True), one=st.integers(0, 2**256 - 1))
def test_two_digests_of_one_image_never_look_alike(name: str, one: int) -> None:
    other = (one + 2**255) % 2**256
    texts = [shown(f"{name}@sha256:{digest:064x}") for digest in (one, other)]
    assert texts[0] != texts[1] and all(len(text) <= 80 for text in texts)
