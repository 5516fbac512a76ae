"""What must stop a promotion: one clear message for each mistake, and every file as it was."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.llmos.release.conftest import REVISION, Project

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows does not start a script by its first line")

Mistake = Callable[[Project], None]


def tag(project: Project) -> None:
    project.deploy(project.git("rev-parse", "HEAD"), app=f"{project.registry.address}/team/dev/app:latest")


def digest_gone(project: Project) -> None:
    image = project.live["deployments"][0]["spec"]["template"]["spec"]["containers"][0]["image"]
    del project.registry.manifests["team/dev/app", image.partition("@")[2]]


def unsigned(project: Project) -> None:
    raw = project.read("staging")
    mirror = {"name": "HF_ENDPOINT", "value": "https://hub.example.com"}
    raw["models"]["chat"]["pod_overrides"] = {"containers": [{"name": "server", "env": [mirror]}]}
    project.write("staging", {**raw, "environment": "prod"})


def sizing_stale(project: Project) -> None:
    raw = project.read("staging")
    traffic = {"requests_per_second": 1, "input_tokens": 100, "output_tokens": 100}
    raw["models"]["chat"] |= {"hardware": "auto", "traffic": traffic}
    project.write("staging", raw)
    assert project.llmos("size", "--stack", "staging").code == 0
    traffic["requests_per_second"] = 2
    project.write("staging", raw)


def budget_exceeded(project: Project) -> None:
    raw = project.read("staging")
    project.write("staging", {**raw, "budget": {"usd_per_month": 100}})


def staging_ahead(project: Project) -> None:
    first = project.git("rev-parse", "HEAD")
    project.deploy(project.commit("second"))
    assert project.promote().code == 0
    project.deploy(first)


def merge_conflict(project: Project) -> None:
    assert project.promote().code == 0
    text = project.lock().read_text(encoding="utf-8")
    project.lock().write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n", encoding="utf-8")


def edited_by_hand(project: Project) -> None:
    assert project.promote().code == 0
    text = project.lock().read_text(encoding="utf-8")
    project.lock().write_text(text.replace(REVISION, "0" * 40), encoding="utf-8")
    project.deploy(project.commit("second"))


def wrong_credentials(project: Project) -> None:
    project.registry.login = "me:secret"


def unhealthy(project: Project) -> None:
    project.live["deployments"][0]["status"]["availableReplicas"] = 0
    project.save()


def broke_off(project: Project) -> None:
    project.note(f"{project.git('rev-parse', 'HEAD')} of-something-else")


def uncommitted(project: Project) -> None:
    _, _, mark = project.live["configmap"][0]["metadata"]["annotations"]["llmagentos.dev/source"].partition(" ")
    project.note(f"{project.git('rev-parse', 'HEAD')}-dirty {mark}")


def not_there(project: Project) -> None:
    raw = project.read("staging")
    raw["applications"]["other"] = raw["applications"]["app"]
    project.write("staging", raw)


def other_model(project: Project) -> None:
    raw = project.read("staging")
    raw["models"]["chat"]["source"] = "Qwen/Qwen3-4B"
    project.write("staging", raw)


def one_platform_missing(project: Project) -> None:
    raw = project.read("dev")
    raw["applications"]["app"]["image"]["platforms"] = ["linux/amd64", "linux/arm64"]
    project.write("dev", raw)


def builds(project: Project) -> None:
    raw = project.read("staging")
    raw["applications"]["app"]["image"] = {"build": "./app"}
    project.write("staging", raw)


MISTAKES: dict[str, tuple[Mistake, int, str]] = {
    "a tag instead of a digest": (tag, 1, "a tag: what stands behind it now may not be what was tested"),
    "the digest is gone from the registry": (digest_gone, 1, "does not have sha256:"),
    "unsigned where the environment asks for it": (unsigned, 1, "policy image-signature"),
    "sizing stale": (sizing_stale, 1, "the sizing is stale: models.chat.traffic.requests_per_second was 1"),
    "budget exceeded": (budget_exceeded, 1, "policy monthly-cost"),
    "staging ahead of dev": (staging_ahead, 1, "which is newer by 1 commit"),
    "a merge conflict in the lock": (merge_conflict, 1, "a merge left both sides in it"),
    "a lock edited by hand": (edited_by_hand, 1, "edited after it was written"),
    "wrong registry credentials": (wrong_credentials, 2, "docker login 127.0.0.1"),
    "dev is not healthy": (unhealthy, 1, "1 of 1 replicas are of it, 0 of all are available"),
    "the last up of dev broke off": (broke_off, 1, "not what the last `up` that ended left"),
    "dev runs uncommitted changes": (uncommitted, 1, "that nobody committed"),
    "an application that dev does not run": (not_there, 1, "stack dev runs no application `other`"),
    "another model than dev runs": (other_model, 1, "a revision of the one means nothing for the other"),
    "a platform that was not pushed": (one_platform_missing, 1, "not there for linux/arm64"),
    "a target that builds": (builds, 1, "set image: {from: lock}"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_clear_message_and_unchanged_files(mistake: str, project: Project) -> None:
    make, code, words = MISTAKES[mistake]
    make(project)
    before = project.files()
    said = project.promote()
    assert said.code == code, said.err
    assert words in said.err and "To fix: " in said.err and "Traceback" not in said.err
    assert said.err.count("error: ") == 1, said.err
    assert project.files() == before
