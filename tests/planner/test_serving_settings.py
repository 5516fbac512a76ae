"""What stack files may say about hub, weights and adapters, and how refusals read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from planner.faults import UserFault
from planner.lock import Lock
from planner.plan import ModelPlan, make_plan
from planner.settings import parse
from tests.components.serving import OTHER_REVISION, REVISION, served

IMAGE = f"reg.example/weights@sha256:{'2' * 64}"


def faults(raw: dict[str, Any], *, folder: Path = Path()) -> list[str]:
    with pytest.raises(UserFault) as caught:
        make_plan(parse(raw, where="f"), stack="dev", stack_file="f", folder=folder)
    return [str(fault) for fault in caught.value.faults]


def model_plan(*, folder: Path = Path(), **changes: Any) -> ModelPlan:
    (model,) = make_plan(parse(served(**changes), where="f"), stack="dev", folder=folder).models
    return model


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"weights": {"volume": "shared"}}, "models.chat.weights", "needs a storage_class that offers ReadWriteMany"),
        ({"weights": {"volume": "node", "storage_class": "x"}}, "models.chat.weights", "has no storage_class"),
        ({"weights": {"image": IMAGE, "size": "1Gi"}}, "models.chat.weights", "image says where weights are; size is"),
        ({"weights": {"image": IMAGE, "claim": {"name": "c"}}}, "models.chat.weights", "not in both"),
        ({"weights": {"image": "reg/w:latest"}}, "models.chat.weights.image", "must end in a digest"),
        ({"weights": {"image": IMAGE, "download": "init"}}, "models.chat.weights", "an image holds the weights"),
        (
            {"weights": {"download": "init", "sha256": {"a": "0" * 64}, "sha256_file": "x"}}, "models.chat.weights",
            "exclude each other",
        ),
        ({"weights": {"path": "x"}}, "models.chat.weights", "path is a folder in a claim or image"),
        ({"weights": {"claim": {"name": "c"}, "path": "../x"}}, "models.chat.weights.path", "pattern"),
        (
            {"weights": {"claim": {"name": "c", "access": "ReadOnlyMany"}}}, "models.chat.weights",
            "nothing can be downloaded into a ReadOnlyMany claim",
        ),
        ({"weights": {"download": "job"}}, "models.chat.weights", "a job fills a volume that it shares"),
        (
            {"weights": {"download": "job", "claim": {"name": "c", "access": "ReadWriteOnce"}}}, "models.chat.weights",
            "a job fills a volume that it shares",
        ),
        ({"weights": {"sha256": {"a": "0" * 64}}}, "models.chat.weights", "go with download: init or job"),
        ({"weights": {"download": "init", "sha256": {"a": "0" * 63}}}, "models.chat.weights.sha256.a", "pattern"),
        ({"weights": {"download": "init"}, "revision": None}, "models.chat.revision", "must be pinned"),
        (
            {"weights": {"claim": {"name": "c", "access": "ReadWriteOnce"}}, "replicas": 2}, "models.chat",
            "ReadWriteOnce, which one pod can use",
        ),
        ({"adapters": {"a": {"rank": 8}}}, "models.chat.adapters.a", "exactly one of source, path, image; got none"),
        ({"adapters": {"a": {"source": "o/l", "rank": 8}}}, "models.chat.adapters.a", "needs its revision"),
        (
            {"adapters": {"a": {"source": "o/l", "revision": OTHER_REVISION, "rank": 8}}}, "models.chat",
            "vLLM downloads adapters unpinned, so nobody downloads it; set weights.download to init or job",
        ),
        (
            {"adapters": {"a": {"source": "o/l", "revision": OTHER_REVISION, "rank": 8}}, "weights": {"image": IMAGE}},
            "models.chat", "name its image or path",
        ),
        ({"adapters": {"a": {"path": "x", "rank": 8}}}, "models.chat", "path is a folder beside weights"),
        ({"adapters": {"a": {"path": "x", "rank": 513}}}, "models.chat.adapters.a.rank", "less than or equal to 512"),
        ({"hub": {"proxy": "http://user:pw@proxy"}}, "models.chat.hub.proxy", "pattern"),
        ({"hub": {"proxy_secret": {"secret": "p", "key": "u"}}}, "models.chat.hub", "add egress: [{cidr, ports}]"),
        ({"hub": {"ca": {"key": "x"}}}, "models.chat.hub.ca", "exactly one of config_map, secret; got none"),
        (
            {"hub": {"egress": [{"cidr": "10.0.0.0/8", "namespace": "n"}]}}, "models.chat.hub.egress.0",
            "exactly one of cidr, namespace; got cidr, namespace",
        ),
        ({"gateway": {"url": "http://g", "labels": {}, "port": 80}}, "models.chat.gateway.labels", "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(changes: dict[str, Any], where: str, said: str) -> None:
    (fault,) = faults(served(**changes))
    assert fault.startswith(f"f: {where}: "), fault
    assert said in fault, fault


def test_a_proxys_password_is_never_repeated() -> None:
    (fault,) = faults(served(hub={"proxy": "http://user:hunter2@proxy"}))
    assert "hunter2" not in fault


def test_weights_are_a_matter_of_models_from_a_hub() -> None:
    raw = served()
    raw["models"]["chat"] = {"source": "builtin:tiny", "engine": "llama.cpp", "weights": {"size": "1Gi"}}
    (fault,) = faults(raw)
    assert "comes with its image; remove weights" in fault


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("chat/suport", "model `chat` has no adapter `suport`\n  did you mean `support`?"),
        ("chatt/support", "model `chatt` is not defined under models\n  did you mean `chat`?"),
        ("chat/", "pattern"), ("chat/a/b", "pattern"),
    ],
)  # fmt: skip
def test_an_application_names_an_adapter_that_exists(model: str, said: str) -> None:
    adapters = {"support": {"path": "s", "rank": 8}}
    found = faults(served(application={"model": model}, weights={"image": IMAGE}, adapters=adapters))
    assert any(said in fault for fault in found), found


def test_checksums_may_stand_in_a_file_as_sha256sum_writes_it(tmp_path: Path) -> None:
    (tmp_path / "qwen.sha256").write_text(f"{'a' * 64}  model.safetensors\n\n{'b' * 64} *./sub/config.json\n")
    weights = {"download": "init", "sha256_file": "qwen.sha256"}
    found = model_plan(folder=tmp_path, weights=weights).weights.sha256
    assert found == {"model.safetensors": "a" * 64, "sub/config.json": "b" * 64}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "`x.sha256` cannot be read: No such file"), ("", "`x.sha256` is empty"),
        (f"{'a' * 64}  ok\n{'a' * 64}  ../x\n", "line 2 of `x.sha256` is no checksum"),
        (b"\xff\xfe", "`x.sha256` cannot be read: it is not text"),
    ],
)  # fmt: skip
def test_a_file_of_checksums_that_is_none(tmp_path: Path, text: str | bytes | None, said: str) -> None:
    if text is not None:
        (tmp_path / "x.sha256").write_bytes(text.encode() if isinstance(text, str) else text)
    (fault,) = faults(served(weights={"download": "init", "sha256_file": "x.sha256"}), folder=tmp_path)
    assert said in fault and fault.startswith("f: models.chat.weights.sha256_file: ")


def test_a_promoted_revision_is_pinned_too() -> None:
    raw = served(weights={"download": "init"}, revision=None)
    lock = Lock.model_validate({"release": {"revisions": {"chat": REVISION}}})
    (model,) = make_plan(parse(raw, where="f"), stack="dev", lock=lock).models
    assert model.revision == REVISION


@pytest.mark.parametrize(
    ("weights", "gib"),
    [
        ({}, 22), ({"size": "1.5Gi"}, 2), ({"download": "init"}, 18), ({"storage_class": "efs"}, 22),
        ({"storage_class": "efs", "download": "job"}, 36), ({"volume": "replica", "download": "init"}, 18),
    ],
)  # fmt: skip
def test_volumes_have_room_for_what_comes(weights: dict[str, Any], gib: int) -> None:
    """Qwen3-8B has 15.3 GiB, in whole ones 16: a third more for vLLM's own download, a tenth more for ours, twice that
    where two revisions lie side by side."""
    assert model_plan(weights=weights).weights.size_gib == gib


def test_a_model_that_nobody_knows_gets_the_room_of_a_large_one() -> None:
    assert model_plan(source="org/unknown").weights.size_gib == 200


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--max-model-len=4096"], "--max-model-len is set by context_tokens; change it there"),
        (["--max_model_len", "4096"], "--max-model-len is set by context_tokens"),
        (["-tp", "2"], "--tensor-parallel-size is set by hardware.gpus"),
        (["--lora-modules", "a=b"], "--lora-modules is set by adapters"),
        (["--revision=main"], "--revision is set by revision"),
        (["--max-model=9"], "--max-model is an abbreviation that vLLM reads as --max-model-len, which context_tokens"),
        (["--seed=1", "--seed", "2"], "--seed stands there twice, and vLLM takes the last one"),
        (["--max-num-seqs=1", "--served-model-name=x"], "by max_sequences; change it there; --served-model-name"),
    ],
)
def test_an_argument_that_a_setting_sets_is_refused_with_both_names(args: list[str], said: str) -> None:
    (fault,) = faults(served(extra_args=args))
    assert fault.startswith("f: models.chat.extra_args: ") and said in fault, fault
    assert "4096" not in fault and "a=b" not in fault, "values may be secrets"


@pytest.mark.parametrize(
    "args",
    [
        ["--tokenizer", "x/y"], ["--rope-scaling.type=yarn", "--rope-scaling.factor=2"], ["-O3"], ["--dtype=half"],
        ["--tool-call-parser", "hermes", "--enable-auto-tool-choice"],
    ],
)  # fmt: skip
def test_other_arguments_are_the_users(args: list[str]) -> None:
    assert model_plan(extra_args=args).extra_args == tuple(args)


def test_the_tiny_models_server_takes_no_arguments_of_vllm() -> None:
    raw = served()
    raw["models"]["chat"] = {"source": "builtin:tiny", "engine": "llama.cpp", "extra_args": ["--seed=1"]}
    (fault,) = faults(raw)
    assert "remove weights, adapters, hub and extra_args" in fault
