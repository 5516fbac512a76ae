"""What the script that fetches weights checks: checksums, revisions, names, formats, adapters."""

from __future__ import annotations

import sys

import pytest

from tests.components.fake_hub import sha256
from tests.components.fetcher import FILES, FIRST, WANTED, WEIGHTS, Fetcher, ended

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs in containers of Linux")

OTHER = "b" * 40


def test_a_resumed_part_that_is_not_of_this_file_is_found_out(fetcher: Fetcher) -> None:
    part = fetcher.place.with_suffix(".parts") / f"{FIRST}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    code, said = fetcher()
    assert (code, fetcher.files[FIRST]) == (0, WEIGHTS)
    assert "its checksum is wrong; once more from the beginning" in said
    assert fetcher.hub.requests(FIRST) == ["bytes=1000-", ""]


@pytest.mark.parametrize("name", [FIRST, "config.json"])
def test_wrong_content_is_never_given_its_name(fetcher: Fetcher, name: str) -> None:
    fetcher.hub.corrupt[name] = 99
    code, said = fetcher()
    assert code == 1 and f"{name}: its checksum is " in said
    assert name not in fetcher.files and not fetcher.complete


def test_content_that_was_wrong_once_is_asked_for_again(fetcher: Fetcher) -> None:
    fetcher.hub.corrupt[FIRST] = 1
    assert fetcher()[0] == 0 and fetcher.files[FIRST] == WEIGHTS


def test_pinned_checksums_need_no_list_and_admit_nothing_else(fetcher: Fetcher) -> None:
    (fetcher.place).mkdir(parents=True)
    (fetcher.place / "model-extra.safetensors").write_bytes(b"planted")
    pins = {name: sha256(FILES[name]) for name in (FIRST, "config.json")}
    assert fetcher(artifact={"sha256": pins})[0] == 0
    assert set(fetcher.files) == set(pins)
    assert not [path for host, path, *_ in fetcher.hub.seen if "/api/" in path]


def test_pins_are_trusted_more_than_the_hub(fetcher: Fetcher) -> None:
    """A hub that lists and serves the same wrong content passes its own list, and no pin."""
    assert fetcher()[0] == 0
    pins = {name: sha256(FILES[name]) for name in (FIRST, "config.json")} | {"tokenizer.json": "0" * 64}
    code, said = fetcher(artifact={"sha256": pins})
    assert code == 1 and "tokenizer.json: its checksum is " in said


def test_another_revision_than_was_asked_for_is_refused(fetcher: Fetcher) -> None:
    fetcher.hub.commit = OTHER
    code, said = fetcher()
    assert code == 1 and "another revision" in said and not fetcher.complete


def test_a_revision_that_the_hub_has_not(fetcher: Fetcher) -> None:
    code, said = fetcher(artifact={"revision": OTHER})
    assert code == 1 and "no such repository, revision or file" in said


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/x.safetensors", "a/../../b.safetensors"])
def test_no_name_leads_out_of_the_folder(fetcher: Fetcher, name: str) -> None:
    fetcher.hub.files = {name: WEIGHTS}
    code, said = fetcher()
    assert code == 1 and "leads out of the folder" in said


def test_weights_that_could_carry_code_do_not_count(fetcher: Fetcher) -> None:
    fetcher.hub.files = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS}
    code, said = fetcher()
    assert code == 1 and "no weights in safetensors" in said


@pytest.mark.parametrize(("stated", "code"), [(16, 0), (8, 1)])
def test_an_adapters_rank_is_what_the_stack_file_says(fetcher: Fetcher, stated: int, code: int) -> None:
    fetcher.hub.files = {"adapter_model.safetensors": WEIGHTS, "adapter_config.json": b'{"r": 16}'}
    found, said = fetcher(artifact={"rank": stated})
    assert found == code, said
    assert code == 0 or "has rank 16, and the stack file says 8" in said


def test_a_model_is_no_adapter(fetcher: Fetcher) -> None:
    code, said = fetcher(artifact={"rank": 8})
    assert code == 1 and "no LoRA adapter" in said


def test_sums_are_printed_as_the_stack_file_takes_them(fetcher: Fetcher) -> None:
    env = {"HF_ENDPOINT": fetcher.hub.endpoint}
    code, said = ended(fetcher.run_script("sums", "org/model", fetcher.hub.revision, env=env))
    assert code == 0
    assert said == "".join(f"{sha256(FILES[name])}  {name}\n" for name in sorted(WANTED))
    fetcher.hub.corrupt["config.json"] = 1
    code, said = ended(fetcher.run_script("sums", "org/model", fetcher.hub.revision, env=env))
    assert code == 1 and "not what the hub lists" in said
