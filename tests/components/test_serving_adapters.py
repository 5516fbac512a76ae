"""Adapters beside their model, and the server's arguments, of which none stands twice."""

from __future__ import annotations

import pytest

from tests.components.serving import IMAGE, OTHER_REVISION, env, mounts, objects, server, volume

# Adapters


def test_adapters_are_served_beside_their_model() -> None:
    adapters = {
        "support": {"source": "org/lora", "revision": OTHER_REVISION, "rank": 12},
        "legal": {"image": IMAGE, "rank": 64},
    }
    made = objects(
        weights={"download": "init"}, adapters=adapters, application={"model": "chat/support"},
        stack={"hub": {"endpoint": "https://hub.example"}},
    )  # fmt: skip
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    (main,) = pod["containers"]
    args = main["args"]
    assert {"--enable-lora", "--max-lora-rank=64", "--max-loras=2", "--max-cpu-loras=2"} <= set(args)
    assert args[args.index("--lora-modules") + 1 :] == [
        "chat/legal=/adapters/legal", f"chat/support=/weights/models/org--lora/{OTHER_REVISION}",
    ]  # fmt: skip
    assert volume(pod, "adapter-legal")["image"]["reference"] == IMAGE
    assert mounts(main)["adapter-legal"]["readOnly"] is True
    app = made["Deployment", "app"]["spec"]["template"]["spec"]["containers"][0]
    assert (env(app)["BACKEND_MODEL"], env(app)["BACKEND_URL"]) == ("chat/support", "http://chat:8000")
    peers = made["NetworkPolicy", "chat"]["spec"]["ingress"][0]["from"]
    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in peers] == ["app"]


@pytest.mark.parametrize(("rank", "told"), [(1, 1), (2, 8), (8, 8), (9, 16), (65, 128), (300, 320), (512, 512)])
def test_the_largest_rank_is_one_that_vllm_takes(rank: int, told: int) -> None:
    args = server(weights={"image": IMAGE}, adapters={"a": {"path": "adapters/a", "rank": rank}})["args"]
    assert f"--max-lora-rank={told}" in args and "chat/a=/weights/adapters/a" in args


def test_many_adapters_share_the_gpus_room() -> None:
    adapters = {f"a{number}": {"path": f"adapters/{number}", "rank": 8} for number in range(20)}
    args = server(weights={"image": IMAGE}, adapters=adapters)["args"]
    assert {"--max-loras=8", "--max-cpu-loras=20"} <= set(args)


def test_a_model_without_adapters_is_started_as_before() -> None:
    assert not any("lora" in arg for arg in server()["args"])


# Arguments


@pytest.mark.parametrize(
    ("extra", "gone"),
    [
        ("--load-format=runai_streamer", "--load-format=safetensors"),
        ("--no-enable-prefix-caching", "--enable-prefix-caching"),
        ("--no_enable_prefix_caching", "--enable-prefix-caching"),
    ],
)
def test_an_argument_without_a_setting_takes_the_place_of_the_programs(extra: str, gone: str) -> None:
    args = server(extra_args=[extra])["args"]
    assert extra in args and gone not in args and gone in server()["args"]


def test_no_flag_stands_on_a_command_line_twice() -> None:
    adapters = {"a": {"path": "x", "rank": 8}}
    for changes in ({}, {"weights": {"image": IMAGE}, "adapters": adapters}, {"batched_tokens": 4096}):
        flags = [arg.partition("=")[0] for arg in server(**changes)["args"] if arg.startswith("--")]
        assert len(flags) == len(set(flags))
