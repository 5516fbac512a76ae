"""The example stacks without a cluster: valid, clean under the policies, the same from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmos.builds import _arguments
from llmos.judging import judge
from llmos.objects import kubernetes_objects
from llmos.stacks import Stack, _nearest_build, load_stack
from llmos.synth import IMAGE_TYPE, synth
from planner.catalogue import load
from planner.faults import UserFault
from planner.sizing import read_sizing, with_own_rows
from planner.sizing.inputs import sizing_hash, sizing_inputs
from tests.support import DIGEST, ROOT

NAMES = ("code-assistant", "content-creation", "customer-service")


def example(name: str) -> Stack:
    return load_stack("", file=ROOT / "examples" / name / f"Pulumi.{name}.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_clean_under_the_policies(name: str) -> None:
    stack = example(name)
    program = synth(stack.raw, stack=stack.name, build=lambda *_: DIGEST)
    found = judge(program, environment=stack.plan.environment, preview=False)
    assert not [(finding.rule, finding.message) for finding in found]
    kinds = {item["kind"] for item in kubernetes_objects(program)}
    assert {"Namespace", "NetworkPolicy", "ResourceQuota", "Deployment", "Service"} <= kinds


@pytest.mark.parametrize("name", NAMES)
def test_its_readme_says_how_to_start_and_end_it(name: str) -> None:
    text = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    for command in ("preview --offline", "up", "destroy"):
        assert f"python3 -m llmos {command} --file examples/{name}/Pulumi.{name}.yaml" in text
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f"({name}/README.md)" in index


@pytest.mark.parametrize("name", NAMES)
def test_its_builds_are_found_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = [_arguments(example(name), image) for image in built(example(name))]
    monkeypatch.chdir(tmp_path)
    elsewhere = [_arguments(example(name), image) for image in built(example(name))]
    assert here == elsewhere and here
    assert all((Path(str(one["context"])) / "Dockerfile").is_file() for one in here)


def built(stack: Stack) -> list:
    return list(synth(stack.raw, stack=stack.name, preview=True).of_type(IMAGE_TYPE))


def test_a_folder_beside_the_stack_file_is_named_as_it_has_to_be_written(tmp_path: Path) -> None:
    file = ROOT / "examples" / "content-creation" / "Pulumi.content-creation.yaml"
    right = "beside the stack file there is one: build: ./examples/content-creation/app"
    assert _nearest_build("./app", file=file) == right
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "Dockerfile").touch()
    path = tmp_path / "Pulumi.wrong.yaml"
    path.write_text(file.read_text(encoding="utf-8").replace("./examples/content-creation/app", "./mine"))
    with pytest.raises(UserFault) as caught:
        load_stack("", file=path)
    assert [fault.nearest for fault in caught.value.faults] == [
        f"beside the stack file there is one: build: {tmp_path / 'mine'}"
    ]


def test_the_hardware_of_the_code_assistant_is_in_its_lock() -> None:
    stack = example("code-assistant")
    assert stack.settings.models["coder"].hardware == "auto"
    sizing = read_sizing(stack.lock.sizing, where="lock")
    catalogue = with_own_rows(load(), stack.settings, where="stack")
    inputs = sizing_inputs(stack.settings, catalogue, folder=stack.file.parent, where="stack")
    command = "python3 -m llmos size --file examples/code-assistant/Pulumi.code-assistant.yaml"
    assert sizing is not None and sizing.hash == sizing_hash(inputs), f"run {command}"
    assert stack.plan.models[0].instance_type == sizing.models["coder"].instance_type


def test_each_shows_something_else() -> None:
    service, code, content = (example(name) for name in ("customer-service", "code-assistant", "content-creation"))
    assert service.plan.applications[0].autoscale_cpu_percent and service.plan.budget["gpus"] == 0
    assert not service.plan.gpu_pool and service.plan.usd_per_month == 0
    assert code.settings.models["coder"].hardware == "auto"
    assert {app.endpoint_type for app in code.plan.applications} == {"ClusterIP"}
    assert len(content.plan.models) == 2 and len(content.plan.applications) == 2
    assert {image.build for image in content.plan.images} > {"./app"}
