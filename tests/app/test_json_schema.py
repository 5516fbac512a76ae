"""Schemas of callers are bounded before an engine sees them."""

from __future__ import annotations

from typing import Any

import pytest
from app_support import Running
from hypothesis import given
from hypothesis import strategies as st

from assistant.json_schema import check_schema

_TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"}, "self": {"$ref": "#"}}}},
}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


_USUAL = {
    "title": "Order",
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 1, "maxItems": 50},
        "note": {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "null"}], "default": None},
        "when": {"type": "string", "format": "date-time"},
        "kind": {"enum": ["new", "used", None]},
        "pattern": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
    },
    "required": ["items"],
    "additionalProperties": False,
    "$defs": {"item": {"type": "object", "properties": {"name": {"const": "a"}}}},
}


@pytest.mark.parametrize("schema", [{}, _USUAL, _TREE, _nested(30)])
def test_usual_and_recursive_schemas_pass(schema: dict[str, Any]) -> None:
    assert check_schema(schema) is schema


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"allOf": [{"$ref": "#/allOf/0"}]}, "'allOf' is not supported"),
        ({"type": "string", "pattern": "^a{5,2}$"}, "'pattern' is not supported"),
        ({"items": {"type": "string", "minLength": 10**9}}, "'minLength' is malformed or beyond"),
        ({"minItems": 3, "maxItems": 2}, "minItems exceeds maxItems"),
        ({"maximum": 10**30}, "'maximum' is malformed or beyond"),
        ({"minimum": True}, "'minimum' is malformed"),
        ({"$ref": "https://example.com/schema"}, "must be"),
        ({"$ref": "#/$defs/missing"}, "must be"),
        ({"$ref": "#"}, "nothing but itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}},
         "nothing but itself"),
        ({"properties": {f"p{number}": {} for number in range(151)}}, "'properties' is malformed or beyond"),
        ({"properties": {"a": 5}}, "not an object"),
        ({"properties": []}, "'properties' is malformed"),
        ({"enum": list(range(4000))}, "'enum' is malformed or beyond"),
        ({"type": []}, "'type' is malformed"),
        ({"type": [{}]}, "'type' is malformed"),
        (_nested(10_000), "32 levels"),
        ({"anyOf": [{"anyOf": [{}] * 100}] * 100}, "500 parts"),
    ],
)  # fmt: skip
def test_schemas_that_would_hang_or_crash_an_engine_are_refused(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_schema(schema)


_NAMES = st.sampled_from(["a", "b", "c"])
_SCHEMAS = st.recursive(
    st.one_of(st.just({"type": "string"}), _NAMES.map(lambda name: {"$ref": f"#/$defs/{name}"})),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"anyOf": some}),
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"oneOf": some}),
        inner.map(lambda one: {"type": "array", "items": one}),
    ),
    max_leaves=4,
)


@given(definitions=st.fixed_dictionaries(dict.fromkeys("abc", _SCHEMAS)))
def test_what_passes_can_be_expanded_without_end_only_through_parts_of_the_value(definitions: dict[str, Any]) -> None:
    root = {"$ref": "#/$defs/a", "$defs": definitions}

    def expand(schema: dict[str, Any], path: tuple[int, ...]) -> None:
        if id(schema) in path:
            raise RecursionError
        for one in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
            expand(one, (*path, id(schema)))
        if "$ref" in schema:
            expand(definitions[schema["$ref"][-1]], (*path, id(schema)))

    def ends() -> bool:
        try:
            expand(root, ())
        except RecursionError:
            return False
        return True

    try:
        check_schema(root)
    except ValueError:
        return
    assert ends()


def test_a_schema_that_crashes_the_engine_is_the_callers_fault(app: Running) -> None:
    schema = {"type": "string", "pattern": "^a{5,2}$"}
    shaped = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    tool = {"type": "function", "function": {"name": "x", "parameters": schema}}
    with app.http() as http:
        for field in ({"response_format": shaped}, {"tools": [tool], "tool_choice": "required"}):
            body = {"messages": [{"role": "user", "content": "x"}], **field}
            answer = http.post("/v1/chat/completions", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")
        assert http.get("/readyz").status_code == 200
