"""The application of the content-creation example: articles section by section, keys, limits, failures."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from studio.article import Brief, outline, write
from studio.model import ModelError, ModelServer, Placeholder
from studio.service import Service

from tests.examples.studio_support import ALWAYS, KEY, post, serve


class Scripted:
    """A model that answers from a list and remembers what it was asked."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.asked = list(answers), []

    def ready(self) -> bool:
        return True

    def stream(self, messages: list[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        self.asked.append((messages[-1]["content"], max_tokens))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield from answer.split("|")


@pytest.fixture
def studio() -> Iterator[Callable[..., str]]:
    running: list[Iterator[str]] = []

    def start(model: Any, *, keys: tuple[str, ...] = (KEY,), concurrent: int = 8) -> str:
        running.append(serve(Service(("127.0.0.1", 0), model=model, keys=keys, concurrent=concurrent)))
        return next(running[-1])

    yield start
    for server in running:
        next(server, None)


def refused(url: str, *arguments: Any, **more: Any) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(url, *arguments, **more)
    return caught.value.code, json.load(caught.value)["error"]["message"]


def test_an_article_is_an_outline_and_its_sections(studio: Callable[..., str]) -> None:
    model = Scripted("1. Moon\n\n- **Sun**\nToo many", "The moon |pulls.", "The sün |helps.")
    assert post(studio(model)) == "# Tides\n\n## Moon\n\nThe moon pulls.\n\n## Sun\n\nThe sün helps.\n"
    tasks = [task for task, _ in model.asked]
    assert "2 section headings" in tasks[0] and "section before" not in tasks[1]
    assert "The section before ends: The moon pulls." in tasks[2]
    assert [tokens for _, tokens in model.asked] == [80, 75, 75]


def test_a_weak_model_cannot_stop_the_article() -> None:
    assert outline(Brief(topic="x", sections=3), Scripted("***\n\nOnly one")) == ["Only one", "Part 2", "Part 3"]


def test_pieces_reach_the_reader_as_they_come(studio: Callable[..., str]) -> None:
    gate = threading.Event()

    class Slow(Scripted):
        def stream(self, messages: list[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
            yield "One"
            if len(self.asked):
                assert gate.wait(20)
            self.asked.append(messages)

    request = urllib.request.Request(studio(Slow()) + "/v1/articles", data=json.dumps(ALWAYS).encode(), headers={
        "Authorization": f"Bearer {KEY}"})  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.readline() == b"# Tides\n", "the reader has the beginning while the rest is not written yet"
        gate.set()
        assert b"## Part 2" in answer.read()


def test_who_may_ask(studio: Callable[..., str]) -> None:
    url = studio(Placeholder(), keys=("other", KEY))
    assert refused(url, key="wrong")[0] == 401 and refused(url, key="")[0] == 401
    assert "Placeholder text" in post(url)
    assert "Placeholder text" in post(studio(Placeholder(), keys=()), key="")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "must be an object"), ({}, "topic must be a text"), ({"topic": "x", "tone": "dry"}, "must be an object"),
        ({"topic": "x" * 501}, "1 to 500"), ({"topic": "x", "sections": 0}, "sections must be a whole number"),
        ({"topic": "x", "words": True}, "words must be a whole number"), (b"\xff", "not JSON"),
        (b" " * 5000, "at most 4096 bytes"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_said(body: Any, words: str, studio: Callable[..., str]) -> None:
    code, message = refused(studio(Placeholder()), body)
    assert code == 400 and words in message


def test_a_model_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    model = Scripted(
        ModelError("the model server answered 500"),
        "A\nB", "first", ModelError("the model server broke off: TimeoutError"),
    )  # fmt: skip
    serving = serve(Service(("127.0.0.1", 0), model=model, keys=(KEY,), concurrent=8))
    url = next(serving)
    assert refused(url) == (502, "the model server answered 500")
    text = post(url)
    assert "first" in text and text.endswith("[Broken off: the model server broke off: TimeoutError]\n")
    # A request is logged after its answer: the server ends, with the threads of its requests, before the log is read.
    next(serving, None)
    logged = capsys.readouterr().err
    assert "broke off" in logged and "Tides" not in logged and KEY not in logged


def test_too_many_at_a_time(studio: Callable[..., str]) -> None:
    entered, gate = threading.Event(), threading.Event()

    class Held(Scripted):
        def stream(self, messages: list[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
            entered.set()
            assert gate.wait(20)
            yield "text"

    url = studio(Held(), concurrent=1)
    first = threading.Thread(target=post, args=(url,))
    first.start()
    assert entered.wait(20)
    assert refused(url) == (503, "busy; come back in a moment")
    gate.set()
    first.join()


def test_probes_and_unknown_paths(studio: Callable[..., str]) -> None:
    url = studio(ModelServer("http://127.0.0.1:9", "none"))
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
        assert answer.status == 200
    for path, status in (("/readyz", 503), ("/other", 404)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url + path, timeout=10)
        assert caught.value.code == status
    assert refused(url, path="/v1/chat/completions")[0] == 404


def test_sections_are_written_in_order_without_a_server() -> None:
    brief = Brief(topic="x", sections=2)
    assert "".join(write(brief, ["a", "b"], Placeholder())).count("Placeholder text") == 2
