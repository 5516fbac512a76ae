"""What reaches the model server: the caller's request, completed by the preset and by nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assistant.errors import ApiError
from assistant.presets import Preset
from assistant.prompt import Prompt, prepare
from assistant.schema import parse_chat

_PRESET = Preset(system_prompt="Be brief.", temperature=0.3, max_tokens=99)
_USER = {"role": "user", "content": "hi"}


def _prepare(**request: Any) -> Prompt:
    return prepare(parse_chat(json.dumps({"messages": [_USER], **request}).encode()), preset=_PRESET, model="m")


def test_the_preset_fills_in_what_is_open() -> None:
    sent = json.loads(_prepare().body)
    assert sent == {
        "messages": [{"role": "system", "content": "Be brief."}, _USER],
        "model": "m", "temperature": 0.3, "max_tokens": 99,
    }  # fmt: skip


def test_what_the_caller_says_wins() -> None:
    messages = [{"role": "system", "content": "Shout."}, _USER]
    sent = json.loads(_prepare(messages=messages, temperature=1, max_completion_tokens=5).body)
    assert sent["messages"] == messages
    assert (sent["temperature"], sent["max_completion_tokens"], "max_tokens" in sent) == (1, 5, False)


def test_null_means_open_and_bookkeeping_is_not_sent() -> None:
    sent = json.loads(_prepare(temperature=None, stop=None, user="u1", metadata={"a": "b"}, store=False).body)
    assert set(sent) == {"messages", "model", "temperature", "max_tokens"}


def test_an_answer_can_be_sent_back_as_it_came() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "annotations": []}
    result = {"role": "tool", "tool_call_id": "c1", "content": "42"}
    sent = json.loads(_prepare(messages=[_USER, answer, result]).body)
    assert sent["messages"][2] == {"role": "assistant", "tool_calls": [call]}
    assert sent["messages"][3] == result


@pytest.mark.parametrize(
    ("request_", "expected"),
    [({}, False), ({"temperature": 0}, True), ({"seed": 7}, True), ({"temperature": 0.1}, False)],
)
def test_only_greedy_or_seeded_requests_may_be_answered_twice_the_same(
    request_: dict[str, Any], expected: bool
) -> None:
    assert _prepare(**request_).deterministic is expected


def test_callers_do_not_share_cached_answers() -> None:
    prompt, other = _prepare(temperature=0), _prepare(temperature=0, max_tokens=3)
    assert prompt.cache_key("key-1") == _prepare(temperature=0).cache_key("key-1")
    assert prompt.cache_key("key-1") != prompt.cache_key("key-2")
    assert prompt.cache_key("key-1") != other.cache_key("key-1")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'"\\ud800"', "invalid_json", None),
        (b"[]", "invalid_value", None),
        (b"{}", "invalid_value", "messages"),
        (b'{"messages": []}', "invalid_value", "messages"),
        (b'{"messages": [{"role": "bot", "content": "x"}]}', "invalid_value", "messages.0.role"),
        (b'{"messages": [{"role": "user"}]}', "invalid_value", "messages.0"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "invalid_value",
         "messages.0.content.0.type"),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": "1"}', "invalid_value", "temperature"),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', "invalid_value", "temperature"),
        (b'{"messages": [{"role": "user", "content": "x"}], "chat_template": "x"}', "unknown_parameter",
         "chat_template"),
        (b'{"messages": [{"role": "user", "content": "x"}], "stream_options": {}}', "invalid_value", None),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_and_quotes_no_value(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        parse_chat(body)
    assert (refused.value.status, refused.value.code) == (400, code)
    if param:
        assert refused.value.param is not None
        assert refused.value.param.startswith(param)
