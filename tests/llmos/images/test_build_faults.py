"""What is said when a build fails, from the texts of BuildKit 0.34 and buildx 0.38."""

from __future__ import annotations

import sys

import pytest

from llmos.images.build_faults import build_fault, failing_step
from planner.faults import EnvironmentFault, UserFault

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")

MISSING_CACHE = """\
#4 importing cache manifest from reg.example/app:buildcache
#4 ERROR: reg.example/app:buildcache: not found
#6 [2/2] RUN make
#6 0.101 make: nothing to be done
#6 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
"""
EMULATION = """\
#7 [linux/arm64 2/2] RUN echo hello
#7 0.153 exec /bin/sh: exec format error
#7 ERROR: process "/bin/sh -c echo hello" did not complete successfully: exit code: 255
"""
REFUSED = """\
#9 exporting to image
#9 pushing layers 0.1s done
#9 ERROR: failed to push reg.example/app:1: failed to authorize: 401 Unauthorized
"""


def _fault_of(said: str) -> UserFault | EnvironmentFault:
    return build_fault(said, where="image `app`", dockerfile="app/Dockerfile", platforms="linux/amd64, linux/arm64")


def test_a_cache_that_is_not_there_yet_is_no_failure() -> None:
    assert failing_step(MISSING_CACHE) == (
        "[2/2] RUN make",
        ["make: nothing to be done", 'process "/bin/sh -c make" did not complete successfully: exit code: 2'],
    )
    assert failing_step(MISSING_CACHE.partition("#6")[0]) is None


def test_a_platform_without_emulation_is_one_fault_of_the_machine() -> None:
    fault = _fault_of(EMULATION)
    assert isinstance(fault, EnvironmentFault)
    assert "[linux/arm64 2/2] RUN echo hello" in fault.faults[0].what
    assert "takes emulation on the builder" in fault.faults[0].fix


def test_a_registry_that_refuses_is_one_fault_and_not_the_dockerfiles() -> None:
    fault = _fault_of(REFUSED)
    assert isinstance(fault, EnvironmentFault)
    assert "docker login" in fault.faults[0].fix


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: Cache export is not supported for the docker driver.", "builder: container"),
        ("ERROR: failed to push r: denied: requested access to the resource is denied", "docker login"),
        ("http: server gave HTTP response to HTTPS client", "buildkitd.toml"),
    ],
)
def test_each_message_of_buildx_leads_to_one_remedy(said: str, words: str) -> None:
    (fault,) = _fault_of(said).faults
    assert words in fault.fix
