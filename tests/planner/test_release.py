"""The release in a lock: what it decides, what is still awaited, and edits by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.faults import UserFault
from planner.lock import parse_lock, release_hash
from planner.plan import AWAITED, Plan, awaited, make_plan
from planner.plan.images import VLLM_IMAGE
from planner.settings import parse

REF = "registry.example.com/team/app@sha256:" + "a" * 64
SERVER = "registry.example.com/team/vllm@sha256:" + "b" * 64
REVISION = "c" * 40
RAW: dict[str, Any] = {
    "target": "kubernetes", "environment": "staging", "context": "c",
    "applications": {"app": {"image": {"from": "lock"}, "model": "chat"}},
    "models": {"chat": {"source": "Qwen/Qwen3-8B", "hardware": {"instance_type": "g6.xlarge"}}},
    "gpu_pool": {"kind": "existing", "selector": {"gpu": "l4"}},
}  # fmt: skip
RELEASE: dict[str, Any] = {
    "images": {"app": REF}, "model_images": {"chat": SERVER}, "revisions": {"chat": REVISION},
    "signatures": {"sha256:" + "a" * 64: [{"payload": "cA==", "signature": "cw=="}]}, "source_commit": "d" * 40,
    "promoted_at": "2026-11-25T10:00:00Z", "platforms": {REF: ["linux/amd64"]},
}  # fmt: skip


def plan(release: dict[str, Any], raw: dict[str, Any] = RAW) -> Plan:
    lock = parse_lock({"release": release}, where="locks/staging.json")
    return make_plan(parse(raw, where="Pulumi.staging.yaml"), stack="staging", lock=lock)


def test_a_release_gives_images_of_applications_and_servers_and_revisions() -> None:
    made = plan(RELEASE)
    assert (made.image("app").ref, made.image("chat").ref) == (REF, SERVER)
    assert made.models[0].revision == REVISION
    assert made.source_commit == "d" * 40 and made.signatures == (("cA==", "cw=="),)
    assert not awaited(made)


def test_without_a_release_everything_is_awaited_and_nothing_invented() -> None:
    made = plan({})
    assert made.image("app").awaited and made.image("chat").awaited and made.models[0].revision == AWAITED
    (fault,) = awaited(made)
    assert "the image of app, the image of chat, the revision of chat" in fault.what
    assert made.usd_per_month is not None, "its cost can be reviewed already"


def test_a_release_written_before_servers_were_recorded_keeps_the_pinned_one() -> None:
    made = plan({"images": {"app": REF}, "revisions": {"chat": REVISION}})
    assert made.image("vllm").ref == VLLM_IMAGE and not awaited(made)


def test_a_stack_that_builds_takes_neither_signatures_nor_commit_from_a_lock() -> None:
    raw = {**RAW, "applications": {"app": {"image": {"ref": REF}, "model": "chat"}}}
    made = plan(RELEASE, raw)
    assert made.signatures == () and made.source_commit == "" and made.image("vllm").ref == VLLM_IMAGE


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(release=st.dictionaries(_TEXT, _TEXT, max_size=4), key=_TEXT, value=_TEXT)
def test_every_edit_by_hand_shows(release: dict[str, str], key: str, value: str) -> None:
    content = {**{k: v for k, v in release.items() if k != "hash"}, **RELEASE}
    content["hash"] = release_hash(content)
    assert parse_lock({"release": content}, where="locks/s.json").release.hash == content["hash"]
    if key in RELEASE or key == "hash":
        return
    edited = {**content, key: value + "x"}
    if edited != content:
        with pytest.raises(UserFault, match="edited after it was written"):
            parse_lock({"release": edited}, where="locks/s.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [("images", {"app": REF.replace("a" * 64, "9" * 64)}), ("revisions", {"chat": "0" * 40}), ("signatures", {}),
     ("source_commit", "e" * 40)],
)  # fmt: skip
def test_an_edited_digest_revision_or_signature_is_refused(path: str, value: Any) -> None:
    content = {**RELEASE, "hash": release_hash(RELEASE)}
    with pytest.raises(UserFault, match=r"git checkout -- locks/s\.json"):
        parse_lock({"release": {**content, path: value}}, where="locks/s.json")


def test_later_versions_may_add_fields() -> None:
    assert plan({**RELEASE, "channel": "stable"}).image("app").ref == REF
