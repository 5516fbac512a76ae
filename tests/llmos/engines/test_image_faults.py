"""What the real build provider (0.0.22) said when an image could not be built, and what a reader is told to do."""

from __future__ import annotations

import pytest

from llmos.engines.pulumi_faults import _faults
from planner.faults import Fault

PUSH = (
    "failed to solve: failed to push 127.0.0.1:5799/dev/a:latest: failed to do request: Head "
    '"http://127.0.0.1:5799/v2/dev/a/blobs/sha256:62dd": dial tcp 127.0.0.1:5799: connect: connection refused'
)


def _only(message: str, where: str = "Image a") -> Fault:
    ((fault, _),) = _faults(where=where, message=message)
    return fault


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('new builder: no builder "nobody" found', "docker buildx create"),
        (PUSH, "docker login"),
        ("context deadline exceeded", "builds.address"),
        ("booting builder: Error response from daemon: OCI runtime create failed", "builder: engine"),
        ('failed to solve: process "/hello" did not complete successfully: exit code: 1', "python3 -m llmos build"),
        ("exit status 1", "python3 -m llmos build"),
    ],
)
def test_each_message_about_an_image_leads_to_one_remedy(message: str, words: str) -> None:
    fault = _only(message)
    assert fault.what == message
    assert words in fault.fix


def test_other_resources_have_remedies_of_their_own() -> None:
    assert "kubeconfig" in _only("dial tcp: connection refused", where="Deployment a").fix
    assert "llmos build" not in _only("exit status 1", where="Deployment a").fix
