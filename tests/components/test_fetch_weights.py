"""The script that fetches weights, run as the container runs it, against a hub on this machine."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.components.fake_hub import sha256
from tests.components.fetcher import FILES, FIRST, WANTED, WEIGHTS, Fetcher, ended, loaded, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs in containers of Linux")


def test_weights_and_what_describes_them_are_fetched_and_nothing_that_carries_code(fetcher: Fetcher) -> None:
    code, said = fetcher()
    assert (code, fetcher.complete) == (0, True), said
    assert fetcher.files == {name: FILES[name] for name in WANTED}
    marker = json.loads((fetcher.place / ".complete.json").read_text(encoding="utf-8"))
    assert marker["revision"] == fetcher.hub.revision and marker["files"][FIRST] == [len(WEIGHTS), sha256(WEIGHTS)]


def test_what_is_complete_is_not_asked_for_again(fetcher: Fetcher) -> None:
    fetcher()
    fetcher.hub.seen.clear()
    assert fetcher() == (0, "org/model@aaaaaaaaaaaa: complete\n")
    assert fetcher.hub.seen == []


def test_killed_in_the_middle_it_goes_on_where_it_stopped(fetcher: Fetcher) -> None:
    fetcher.hub.half.add(FIRST)
    process = fetcher.start()
    part = fetcher.place.with_suffix(".parts") / f"{FIRST}.part"
    until(lambda: part.exists() and part.stat().st_size == len(WEIGHTS) // 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not fetcher.complete and FIRST not in fetcher.files, "what is not whole has not its own name"
    fetcher.hub.gate.set()
    fetcher.hub.seen.clear()
    code, said = fetcher()
    assert (code, fetcher.complete) == (0, True), said
    assert fetcher.hub.requests(FIRST) == [f"bytes={len(WEIGHTS) // 2}-"]
    assert fetcher.files == {name: FILES[name] for name in WANTED}
    assert not part.parent.exists()


def test_it_ends_at_once_when_it_is_told_to(fetcher: Fetcher) -> None:
    fetcher.hub.half.add(FIRST)
    process = fetcher.start()
    assert fetcher.hub.half_sent.wait(30)
    process.terminate()
    assert ended(process)[0] == 143


def test_no_room_is_said_before_the_volume_is_full(fetcher: Fetcher) -> None:
    fetcher.hub.sizes[FIRST] = 1 << 60
    code, said = fetcher()
    assert code == 2 and "no room on the volume" in said and "weights.size" in said
    assert fetcher.hub.requests() == []


def test_a_volume_that_fills_up_leaves_nothing_that_looks_whole(fetcher: Fetcher) -> None:
    import resource

    limit = len(WEIGHTS) // 3
    process = fetcher.run_script(
        "fetch", str(fetcher.order()), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    code, said = ended(process)
    assert code == 2 and "no room on the volume: " in said and "File too large; state a larger weights.size" in said
    assert "; try " not in said, "trying again would keep the reason from whoever waits"
    assert FIRST not in fetcher.files and not fetcher.complete


def test_two_at_once_fetch_everything_once(fetcher: Fetcher) -> None:
    fetcher.hub.half.add(FIRST)
    first = fetcher.start()
    assert fetcher.hub.half_sent.wait(30)
    second = fetcher.start()
    assert second.stdout and "another one fetches it; waiting" in second.stdout.readline()
    fetcher.hub.gate.set()
    assert ended(first)[0] == 0
    code, said = ended(second)
    assert (code, said) == (0, "org/model@aaaaaaaaaaaa: complete\n")
    assert sorted(path for host, path, *_ in fetcher.hub.seen if host == "cdn") == sorted(
        f"/{name}" if len(FILES[name]) > 4096 else name for name in WANTED
    )


def test_where_locks_are_unknown_each_writes_under_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    store = loaded("weight_store", monkeypatch)
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(95, "not supported")))
    monkeypatch.setattr(store.socket, "gethostname", lambda: "chat-7d9f-abcde")
    with store.locked(tmp_path / "org--model" / ("a" * 40)) as suffix:
        assert suffix == ".chat-7d9f-abcde.part"


def test_waiting_ends_when_the_other_one_is_done(fetcher: Fetcher) -> None:
    waiting = fetcher.start("wait", retry_seconds=0.01)
    assert waiting.stdout and "waiting for org/model" in waiting.stdout.readline()
    assert fetcher()[0] == 0
    assert ended(waiting)[0] == 0


def test_waiting_does_not_go_on_for_ever_and_asks_nobody(fetcher: Fetcher) -> None:
    code, said = fetcher("wait", wait_seconds=0)
    assert code == 2 and "look at the Job" in said
    assert fetcher.hub.seen == []


def test_older_revisions_make_room(fetcher: Fetcher) -> None:
    places = []
    for revision in ("1" * 40, "2" * 40, "3" * 40):
        fetcher.hub.revision = revision
        assert fetcher(keep=2)[0] == 0
        os.utime(fetcher.place / ".complete.json", (len(places), len(places)))
        places.append(fetcher.place)
    assert [place.exists() for place in places] == [False, True, True]


def test_other_arguments_explain_themselves(fetcher: Fetcher) -> None:
    code, said = ended(fetcher.run_script("help"))
    assert code == 1 and "fetch_weights.py fetch ORDER" in said
