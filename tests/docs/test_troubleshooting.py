"""docs/troubleshooting.md has every message of the program with its cause, and no message that is gone."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.docs.messages import messages, plain
from tests.support import ROOT

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ENTRY = re.compile(r'^\| <a id="(?P<anchor>[^"]+)"></a>(?P<text>.+?) \| (?P<cause>.+) \|$', re.MULTILINE)
# Places that pass on another program's words, or a fault's own.
PASSED_ON = {
    "planner/catalogue/read.py": "what a type says of a cell that is none",
    "planner/plan/aws_cluster.py": "an empty text before one is found",
    "planner/settings/_faults.py": "pydantic's words, under `input should be …`",
    "planner/settings/models.py": "the faults of adapters, each listed by itself",
    "llmos/engines/pulumi_faults.py": "what the Pulumi engine or the program on it said",
    "llmos/engines/lease.py": "what kubectl said of the lock",
    "llmos/kube.py": "what kubectl said",
    "llmos/session.py": "the fault of a cluster that does not answer",
}
# Words of libraries that people see as the program's.
OF_LIBRARIES = {"input should be …"}


def entries() -> dict[str, str]:
    return {found["text"].replace("\\<", "<").replace("\\|", "|"): found["cause"] for found in ENTRY.finditer(TEXT)}


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].rstrip("-")


def test_messages_are_found_in_the_source() -> None:
    found = {plain(message.text) for message in messages()}
    assert {"unknown key `…`", "no Docker engine answers", "there is no such stack file"} <= found
    assert "it ended right after its start" in found, "the text of a name is found where it is set"
    assert "model `…` is not defined under models" in found
    assert len(found) > 250


def test_every_message_has_an_entry() -> None:
    known = entries()
    missing = {
        plain(message.text): message.place
        for message in messages()
        if re.search("[a-z]", message.text) and plain(message.text) not in known
    }
    lines = "\n".join(f'{place}\n| <a id="{slug(text)}"></a>{text} | CAUSE |' for text, place in missing.items())
    assert not missing, f"add to docs/troubleshooting.md, with the cause:\n{lines}"


def test_no_entry_is_about_a_message_that_is_gone() -> None:
    found = {plain(message.text) for message in messages()}
    assert not set(entries()) - found - OF_LIBRARIES


def test_texts_that_cannot_be_read_from_the_source_only_pass_something_on() -> None:
    unread = {m.place.rpartition(":")[0] for m in messages() if not re.search("[a-z]", m.text)}
    assert unread == set(PASSED_ON)


def test_entries_have_a_cause_and_an_anchor_of_their_own() -> None:
    assert len(entries()) == len(ENTRY.findall(TEXT)) > 250
    anchors = Counter(found["anchor"] for found in ENTRY.finditer(TEXT))
    assert not [anchor for anchor, times in anchors.items() if times > 1]
    assert not [text for text, cause in entries().items() if len(cause) < 10 or "CAUSE" in cause or "above" in cause]


@pytest.mark.parametrize("text", ["unknown key `…`", "no Docker engine answers"])
def test_an_anchor_is_made_of_the_message(text: str) -> None:
    assert f'<a id="{slug(text)}"></a>' in TEXT
