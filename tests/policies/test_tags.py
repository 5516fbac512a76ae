"""Images by tag before the policies: they see the digest, and nothing else will do."""

from __future__ import annotations

from typing import Any

from llmos.judging import judge
from llmos.packs import Finding
from llmos.synth import synth
from tests.support import DIGEST, synthesised

STACK: dict[str, Any] = {
    "target": "kubernetes", "context": "c", "environment": "prod",
    "applications": {"app": {"image": {"tag": "ghcr.io/team/app:1.2"}}},
}  # fmt: skip


def _about_digests(program: Any, *, preview: bool) -> list[Finding]:
    found = judge(program, environment="prod", preview=preview)
    return [finding for finding in found if finding.rule == "image-digest"]


def test_what_was_looked_up_is_pinned() -> None:
    assert _about_digests(synthesised(STACK), preview=False) == []
    assert _about_digests(synth(STACK, preview=True, resolve=lambda tag: DIGEST), preview=True) == []


def test_what_could_not_be_looked_up_is_said_and_not_passed() -> None:
    (finding,) = _about_digests(synthesised(STACK, preview=True), preview=True)
    assert finding.object == "Deployment/llmagentos-dev/app"
    assert "known" in finding.message


def test_an_answer_that_is_no_digest_is_refused() -> None:
    (finding,) = _about_digests(synth(STACK, resolve=lambda tag: "1.2"), preview=False)
    assert finding.level == "mandatory"
