"""Real inference through the unchanged openai client: llama.cpp and the tiny model behind the application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from app_support import KEY, Running, Start

from assistant.presets import load_preset
from assistant.tiny_model import write

_HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def client(app: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{app.url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


def test_models_say_that_the_model_is_random(client: openai.OpenAI) -> None:
    [model] = client.models.list().data
    assert (model.id, model.object) == ("tiny-random", "model")
    assert "nonsense" in model.model_extra["description"]
    assert client.models.retrieve("tiny-random").id == "tiny-random"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5/large")


def test_a_whole_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="tiny-random", messages=_HI, max_tokens=12)
    [choice] = answer.choices
    assert choice.finish_reason == "length"
    assert choice.message.role == "assistant"
    assert len(choice.message.content or "") == 12
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12


def test_a_stream_says_the_same_as_the_whole_answer(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="tiny-random", messages=_HI, max_tokens=20, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model="tiny-random", messages=_HI, max_tokens=20, temperature=0, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20


def test_the_raw_stream_is_server_sent_events_that_end_with_done(app: Running) -> None:
    with app.http() as http:
        answer = http.post("/v1/chat/completions", json={"messages": _HI, "max_tokens": 3, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert events[-1] == "[DONE]"
    assert all(json.loads(event)["object"] == "chat.completion.chunk" for event in events[:-1])


def test_stop_several_answers_logprobs_and_json(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="tiny-random", messages=_HI, max_tokens=40, temperature=0)
    text = whole.choices[0].message.content or ""
    stopped = client.chat.completions.create(
        model="tiny-random", messages=_HI, max_tokens=40, temperature=0, stop=[text[20:24]]
    )
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.choices[0].message.content == text.split(text[20:24])[0]
    several = client.chat.completions.create(model="tiny-random", messages=_HI, max_tokens=2, n=3, logprobs=True)
    assert len(several.choices) == 3
    assert several.choices[0].logprobs is not None
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
    shaped = client.chat.completions.create(
        model="tiny-random", messages=_HI, max_tokens=200,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    )  # fmt: skip
    assert json.loads(shaped.choices[0].message.content or "")["a"] in (1, 2)


def test_errors_are_the_clients_own_exceptions(client: openai.OpenAI, app: Running) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-4", messages=_HI)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model="tiny-random", messages=[{"role": "user", "content": "long " * 2000}])
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as long_stream:
        client.chat.completions.create(
            model="tiny-random", messages=[{"role": "user", "content": "long " * 2000}], stream=True
        )
    assert long_stream.value.code == "context_length_exceeded"
    with pytest.raises(openai.AuthenticationError) as wrong:
        client.with_options(api_key="sk-wrong").models.list()
    assert wrong.value.code == "invalid_api_key"


def test_greedy_answers_are_cached_per_key_and_others_are_not(start: Start) -> None:
    app = start(API_KEYS="sk-a,sk-b")
    greedy = {"messages": _HI, "max_tokens": 5, "temperature": 0}
    with app.http(key="sk-a") as a, app.http(key="sk-b") as b:
        first, second = (a.post("/v1/chat/completions", json=greedy) for _ in range(2))
        other = b.post("/v1/chat/completions", json=greedy)
        warm = a.post("/v1/chat/completions", json={**greedy, "temperature": 0.5})
    assert [answer.headers.get("x-cache") for answer in (first, second, other, warm)] == ["miss", "hit", "miss", None]
    assert first.content == second.content
    assert app.metric("assistant_cache_hits_total") == 1
    assert app.metric("assistant_cache_misses_total") == 2
    assert app.metric("assistant_cache_entries") == 2


def test_a_preset_gives_its_prompt_and_its_length(start: Start) -> None:
    preset = load_preset("content-creation")
    app = start(PRESET="content-creation")
    with app.http() as http:
        answer = http.post("/v1/chat/completions", json={"messages": _HI, "max_tokens": 1}).json()
        unbounded = http.post("/v1/chat/completions", json={"messages": _HI}).json()
    # One token per byte: the prompt holds the preset's system prompt, the caller's word and the roles between.
    assert 0 < answer["usage"]["prompt_tokens"] - len(preset.system_prompt.encode()) < 60
    assert unbounded["usage"]["completion_tokens"] == preset.max_tokens


def test_prompts_answers_and_keys_are_never_logged(start: Start) -> None:
    app = start(LOG_LEVEL="debug")
    secret = "my salary is 4711"
    with app.http() as http:
        good = http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": secret}]})
        http.post("/v1/chat/completions", json={"messages": [{"role": secret, "content": secret}], secret: 1})
        http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": secret * 1000}]})
        http.post("/v1/chat/completions", content=secret)
    log = app.output()
    assert good.json()["choices"][0]["message"]["content"] not in log
    assert "4711" not in log
    assert KEY not in log
    lines = [json.loads(line) for line in log.splitlines()]
    [first, *_] = [line for line in lines if line["logger"] == "assistant.access"]
    assert (first["status"], first["caller"]) == (200, "key-1")
    assert first["request_id"] == good.headers["x-request-id"]


def test_the_same_model_is_made_every_time(tiny_model: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.gguf"
    write(again)
    assert again.read_bytes() == tiny_model.read_bytes()


def test_metrics_count_requests_and_the_pace_of_streams(app: Running) -> None:
    before = app.metric("assistant_time_to_first_token_seconds_count")
    with app.http() as http:
        http.post("/v1/chat/completions", json={"messages": _HI, "max_tokens": 4, "stream": True})
        page = http.get("/metrics").text
    assert app.metric("assistant_time_to_first_token_seconds_count") == before + 1
    assert app.metric("assistant_time_per_output_token_seconds_count") >= 1
    assert 'assistant_requests_total{path="/v1/chat/completions",status="200"}' in page
