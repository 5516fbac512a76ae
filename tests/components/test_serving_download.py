"""The verified download: an init container or a Job fetches, and servers are offline."""

from __future__ import annotations

import json
from typing import Any

from tests.components.serving import (
    IMAGE,
    JOB,
    OTHER_REVISION,
    PIN,
    REVISION,
    SHARED,
    egress,
    env,
    jobs,
    mounts,
    objects,
    served,
    volume,
)
from tests.support import synthesised

FETCHED = f"/weights/models/Qwen--Qwen3-8B/{REVISION}"


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
