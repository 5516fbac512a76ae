"""Where weights come from and are kept: hub, mirror and proxy, volumes, the verified download, images, adapters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.faults import UserFault
from tests.components.serving import OTHER_REVISION, REVISION, model_pod, objects, served, server
from tests.support import by_name, synthesised

IMAGE = f"reg.example/weights@sha256:{'2' * 64}"
PIN = {"model.safetensors": "3" * 64, "config.json": "4" * 64}
FETCHED = f"/weights/models/Qwen--Qwen3-8B/{REVISION}"
SHARED = {"storage_class": "efs"}
JOB = {**SHARED, "download": "job"}


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def mounts(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["name"]: mount for mount in container["volumeMounts"]}


def volume(pod: dict[str, Any], name: str = "weights") -> dict[str, Any]:
    return next(item for item in pod["volumes"] if item["name"] == name)


def egress(made: dict[tuple[str, str], Any], name: str = "chat") -> list[Any]:
    """Destinations of a NetworkPolicy, DNS aside: (block or namespace, labels, ports)."""
    found = []
    for rule in made["NetworkPolicy", name]["spec"]["egress"]:
        (peer,), ports = rule["to"], tuple(port["port"] for port in rule["ports"])
        if ports == (53, 53):
            continue
        place = peer.get("ipBlock", {}).get("cidr") or peer["namespaceSelector"]["matchLabels"].popitem()[1]
        found.append((place, peer.get("podSelector", {}).get("matchLabels", {}), ports))
    return found


def jobs(made: dict[tuple[str, str], Any]) -> list[Any]:
    return [item for (kind, _), item in made.items() if kind == "Job"]


# The hub


def test_by_default_the_public_hub_is_reached_and_nothing_private() -> None:
    made = objects()
    assert egress(made) == [("0.0.0.0/0", {}, (443,))]
    assert not {"HF_ENDPOINT", "HTTPS_PROXY", "SSL_CERT_FILE", "HF_HUB_OFFLINE"} & env(server()).keys()


def test_mirror_token_certificates_and_proxy_reach_the_server_that_downloads() -> None:
    hub = {
        "endpoint": "https://hub.corp.example/hf/", "token": {"secret": "hub", "key": "token"},
        "ca": {"config_map": "corp-ca"}, "proxy": "http://10.1.2.3:3128", "no_proxy": [".corp.example"],
    }  # fmt: skip
    pod = model_pod(stack={"hub": hub})
    values = env(pod["containers"][0])
    assert values["HF_ENDPOINT"] == "https://hub.corp.example/hf" and values["HF_HUB_DISABLE_XET"] == "1"
    assert values["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "token"}}
    assert values["SSL_CERT_FILE"] == values["REQUESTS_CA_BUNDLE"] == "/etc/hub-ca/ca.crt"
    assert values["HTTPS_PROXY"] == values["HTTP_PROXY"] == "http://10.1.2.3:3128"
    assert values["NO_PROXY"] == "localhost,127.0.0.1,::1,.svc,.cluster.local,.corp.example"
    assert volume(pod, "hub-ca")["configMap"] == {"name": "corp-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert mounts(pod["containers"][0])["hub-ca"] == {"name": "hub-ca", "mountPath": "/etc/hub-ca", "readOnly": True}


def test_certificates_and_a_proxys_password_may_stand_in_secrets() -> None:
    hub = {
        "ca": {"secret": "corp-ca", "key": "bundle.pem"}, "proxy_secret": {"secret": "proxy", "key": "url"},
        "egress": [{"cidr": "10.9.0.0/28", "ports": [8080]}],
    }  # fmt: skip
    pod = model_pod(stack={"hub": hub})
    assert volume(pod, "hub-ca")["secret"]["secretName"] == "corp-ca"
    values = env(pod["containers"][0])
    assert values["HTTPS_PROXY"] == {"secretKeyRef": {"name": "proxy", "key": "url"}}
    assert values["SSL_CERT_FILE"] == "/etc/hub-ca/bundle.pem" and ".svc" in values["NO_PROXY"]


def test_a_models_own_keys_go_before_those_of_the_stack() -> None:
    stack = {"hub": {"endpoint": "https://one.example", "token": {"secret": "stack", "key": "t"}}}
    values = env(server(stack=stack, hub={"endpoint": "https://two.example"}))
    assert (values["HF_ENDPOINT"], values["HF_TOKEN"]["secretKeyRef"]["name"]) == ("https://two.example", "stack")
    assert env(server(stack=stack, token={"secret": "own", "key": "t"}))["HF_TOKEN"]["secretKeyRef"]["name"] == "own"


@pytest.mark.parametrize(
    ("hub", "reached"),
    [
        ({"endpoint": "https://10.1.2.3:8443/hf"}, ("10.1.2.3/32", {}, (8443,))),
        ({"endpoint": "http://[fd00::7]"}, ("fd00::7/128", {}, (80,))),
        ({"endpoint": "http://mirror.models.svc:8080"}, ("models", {}, (8080,))),
        ({"endpoint": "https://hub.corp.example"}, ("0.0.0.0/0", {}, (443,))),
        ({"endpoint": "https://hub.corp.example", "proxy": "http://10.1.2.3:3128"}, ("10.1.2.3/32", {}, (3128,))),
        ({"egress": [{"namespace": "models", "labels": {"a": "b"}, "ports": [80]}]}, ("models", {"a": "b"}, (80,))),
    ],
)
def test_the_network_leads_to_mirror_or_proxy_and_no_further(hub: dict[str, Any], reached: Any) -> None:
    assert egress(objects(stack={"hub": hub})) == [reached]


# Where weights are kept


def test_the_four_places_of_weights() -> None:
    assert volume(model_pod())["emptyDir"] == {"sizeLimit": "22Gi"}
    assert volume(model_pod(weights={"size": "80Gi"}))["emptyDir"] == {"sizeLimit": "80Gi"}
    assert volume(model_pod(weights=SHARED))["persistentVolumeClaim"] == {"claimName": "chat-weights"}
    own = volume(model_pod(weights={"volume": "replica", "storage_class": "gp3"}))["ephemeral"]["volumeClaimTemplate"]
    assert own["spec"]["accessModes"] == ["ReadWriteOnce"] and own["spec"]["storageClassName"] == "gp3"
    made = objects(weights={"claim": {"name": "models"}})
    assert not [kind for kind, _ in made if kind == "PersistentVolumeClaim"], "an existing claim is not made"
    assert volume(made["Deployment", "chat"]["spec"]["template"]["spec"])["persistentVolumeClaim"] == {
        "claimName": "models"
    }


def test_a_replicas_own_volume_takes_the_default_class_when_none_is_named() -> None:
    template = volume(model_pod(weights={"volume": "replica"}))["ephemeral"]["volumeClaimTemplate"]
    assert "storageClassName" not in template["spec"]


def test_a_claim_for_one_pod_is_given_up_before_it_is_taken() -> None:
    claim = {"claim": {"name": "disk", "access": "ReadWriteOnce"}}
    deployment = objects(weights=claim, replicas=1, stack={"gpu_pool": {
        "kind": "existing", "selector": {"gpu": "l4"}, "max_gpus": 4,
    }})["Deployment", "chat"]  # fmt: skip
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    with pytest.raises(UserFault, match="which one pod can use"):
        by_name_of(served(weights=claim, replicas=2))


def by_name_of(raw: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """The objects, after the checks that the command line makes."""
    from planner.plan import make_plan
    from planner.settings import parse

    make_plan(parse(raw, where="f"), stack="dev")
    return by_name(raw)


_CLASSES = st.sampled_from([None, "efs", "gp3"])
_CLAIMS = st.none() | st.fixed_dictionaries(
    {"name": st.just("disk")}, optional={"access": st.sampled_from(["ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce"])}
)
_WEIGHTS = st.fixed_dictionaries({}, optional={
    "volume": st.sampled_from(["node", "replica", "shared"]), "storage_class": _CLASSES, "claim": _CLAIMS,
    "size": st.just("50Gi"), "path": st.sampled_from([None, "models/qwen"]), "image": st.sampled_from([None, IMAGE]),
    "download": st.sampled_from(["server", "init", "job"]), "sha256": st.sampled_from([{}, PIN]),
})  # fmt: skip
_REPLICAS = st.one_of(
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda pair: {"min": min(pair), "max": max(pair)}),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(weights=_WEIGHTS, replicas=_REPLICAS, autoscaling=st.sampled_from(["fixed", "keda"]), spare=st.integers(0, 2))
def test_no_settings_let_two_pods_want_a_volume_of_one(
    weights: dict[str, Any], replicas: Any, autoscaling: str, spare: int
) -> None:
    most = replicas if isinstance(replicas, int) else replicas["max"]
    raw = served(weights=weights, replicas=replicas, autoscaling=autoscaling, stack={
        "observability": {"prometheus_url": "http://prometheus.monitoring:9090"},
        "gpu_pool": {"kind": "existing", "selector": {"gpu": "l4"}, "max_gpus": most + spare},
    })  # fmt: skip
    try:
        made = by_name_of(raw)
    except UserFault:
        return
    spec = made["Deployment", "chat"]["spec"]
    scaled = made.get(("ScaledObject", "chat"), {"spec": {"maxReplicaCount": 0}})["spec"]["maxReplicaCount"]
    surge = spec["strategy"].get("rollingUpdate", {}).get("maxSurge", 0)
    pods = max(spec["replicas"], scaled) + surge
    access = (weights.get("claim") or {}).get("access", "ReadWriteMany")
    own = made.get(("PersistentVolumeClaim", "chat-weights"))
    modes = own["spec"]["accessModes"] if own else [access]
    users = [spec["template"]["spec"], *(job["spec"]["template"]["spec"] for job in jobs(made))]
    mounted = [pod for pod in users if "persistentVolumeClaim" in volume(pod)]
    if mounted and modes == ["ReadWriteOnce"]:
        assert len(mounted) == 1 and pods == 1 and spec["strategy"]["type"] == "Recreate"
    for pod in users:
        names = {item["name"] for item in pod["volumes"]}
        containers = [*pod["containers"], *pod.get("initContainers", [])]
        assert names == {mount["name"] for container in containers for mount in container["volumeMounts"]}


# The verified download


def test_an_init_container_fetches_and_the_server_is_offline() -> None:
    hub = {"endpoint": "https://hub.example", "token": {"secret": "hub", "key": "t"}, "ca": {"config_map": "ca"}}
    made = objects(weights={"download": "init", "sha256": PIN}, stack={"hub": hub})
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    (first,), (main,) = pod["initContainers"], pod["containers"]
    assert f"--model={FETCHED}" in main["args"] and not any("revision" in arg for arg in main["args"])
    assert not any(arg.startswith("--download-dir") for arg in main["args"])
    offline = env(main)
    assert (offline["HF_HUB_OFFLINE"], offline["TRANSFORMERS_OFFLINE"]) == ("1", "1")
    assert offline["HF_HOME"] == "/cache/hub", "its own volume is read-only"
    assert not {"HF_TOKEN", "HF_ENDPOINT", "SSL_CERT_FILE"} & offline.keys(), "only the fetcher needs them"
    assert mounts(main)["weights"]["readOnly"] is True
    assert {"HF_TOKEN", "HF_ENDPOINT", "SSL_CERT_FILE"} <= env(first).keys()
    assert "readOnly" not in mounts(first)["weights"]
    assert first["securityContext"] == main["securityContext"] and first["image"] == main["image"]
    assert egress(made) == [("0.0.0.0/0", {}, (443,))], "one pod, one network: the init container's is the server's"


def test_the_order_names_what_is_fetched_by_revision_and_checksum() -> None:
    adapters = {"support": {"source": "org/lora", "revision": OTHER_REVISION, "rank": 16}}
    made = objects(weights={"download": "init", "sha256": PIN}, adapters=adapters)
    (script,) = [item for (kind, _), item in made.items() if kind == "ConfigMap"]
    assert script["immutable"] is True
    order = json.loads(script["data"]["order.json"])
    assert (order["folder"], order["endpoint"]) == ("/weights/models", "https://huggingface.co")
    assert order["artifacts"] == [
        {"source": "Qwen/Qwen3-8B", "revision": REVISION, "sha256": PIN},
        {"source": "org/lora", "revision": OTHER_REVISION, "sha256": {}, "rank": 16},
    ]
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    assert volume(pod, "fetch")["configMap"]["name"] == script["metadata"]["name"]
    command = pod["initContainers"][0]["command"]
    assert command[1].rpartition("/")[2] in script["data"] and command[3].rpartition("/")[2] in script["data"]


def test_another_revision_is_another_config_map_so_that_old_pods_keep_theirs() -> None:
    def name(revision: str) -> str:
        made = objects(weights={"download": "init"}, revision=revision)
        return next(name for kind, name in made if kind == "ConfigMap")

    assert name(REVISION) == name(REVISION) != name(OTHER_REVISION)
    urns = [
        [r.urn for r in synthesised(served(weights={"download": "init"}, revision=revision)).resources]
        for revision in (REVISION, OTHER_REVISION)
    ]
    assert urns[0] == urns[1], "Pulumi replaces it; it does not lose and make one"


def test_a_job_fetches_and_the_servers_network_leads_nowhere() -> None:
    made = objects(weights=JOB, stack={"hub": {"endpoint": "https://10.1.2.3"}})
    (job,) = jobs(made)
    pod = job["spec"]["template"]["spec"]
    (fetch,) = pod["containers"]
    assert fetch["command"][2] == "fetch" and pod["restartPolicy"] == "OnFailure"
    assert "nvidia.com/gpu" not in fetch["resources"]["limits"] and "nodeSelector" not in pod
    assert volume(pod)["persistentVolumeClaim"]["claimName"] == "chat-weights"
    assert egress(made, "chat-fetch") == [("10.1.2.3/32", {}, (443,))]
    assert made["NetworkPolicy", "chat"]["spec"]["egress"] == []
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert made["NetworkPolicy", "chat-fetch"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    service = made["Service", "chat"]["spec"]["selector"]
    assert not service.items() <= labels.items(), "no request may be sent to the Job's pods"
    (first,) = made["Deployment", "chat"]["spec"]["template"]["spec"]["initContainers"]
    assert first["command"][2] == "wait" and mounts(first)["weights"]["readOnly"] is True
    assert "HF_ENDPOINT" not in env(first)


def test_a_changed_job_is_another_job() -> None:
    names = {
        jobs(objects(weights={**JOB, **more}, stack={"hub": hub}, revision=revision))[0]["metadata"]["name"]
        for more, hub, revision in (
            ({}, {}, REVISION), ({}, {}, OTHER_REVISION), ({"sha256": PIN}, {}, REVISION),
            ({"download_image": IMAGE}, {}, REVISION), ({}, {"proxy": "http://10.0.0.1:3128"}, REVISION),
        )
    }  # fmt: skip
    assert len(names) == 5, "a Job cannot be changed in place"


def test_servers_wait_for_the_job_in_pulumi_too() -> None:
    program = synthesised(served(weights=JOB))
    (job,) = program.of_type("kubernetes:batch/v1:Job")
    (deployment,) = (r for r in program.of_type("kubernetes:apps/v1:Deployment") if r.name == "chat")
    assert job.urn in deployment.dependencies
    assert int(job.inputs["metadata"]["annotations"]["pulumi.com/timeoutSeconds"]) > 600


def test_the_quota_has_room_for_the_job() -> None:
    def hard(**changes: Any) -> dict[str, str]:
        return objects(**changes)["ResourceQuota", "stack"]["spec"]["hard"]

    assert int(hard(weights=JOB)["pods"]) == int(hard(weights=SHARED)["pods"]) + 1
    assert float(hard(weights=JOB)["requests.memory"][:-2]) > float(hard(weights=SHARED)["requests.memory"][:-2])


# Images


def test_weights_from_an_image_need_no_network() -> None:
    made = objects(weights={"image": IMAGE, "path": "models/qwen"})
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    assert volume(pod)["image"] == {"reference": IMAGE, "pullPolicy": "IfNotPresent"}
    (main,) = pod["containers"]
    assert "--model=/weights/models/qwen" in main["args"] and mounts(main)["weights"]["readOnly"] is True
    assert env(main)["HF_HUB_OFFLINE"] == "1"
    assert made["NetworkPolicy", "chat"]["spec"]["egress"] == []
    assert "--model=/weights" in server(weights={"image": IMAGE})["args"]


def test_an_image_of_the_stacks_registry_is_pulled_with_its_secret() -> None:
    stack = {"registry": {"server": "reg.example", "pull_secret": "regcred"}}
    assert model_pod(weights={"image": IMAGE}, stack=stack)["imagePullSecrets"] == [{"name": "regcred"}]
    assert "imagePullSecrets" not in model_pod(stack=stack)


def test_a_filled_claim_is_only_read() -> None:
    made = objects(weights={"claim": {"name": "models", "access": "ReadOnlyMany"}, "path": "qwen"})
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    assert volume(pod)["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    assert "--model=/weights/qwen" in pod["containers"][0]["args"]
    assert made["NetworkPolicy", "chat"]["spec"]["egress"] == []


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
