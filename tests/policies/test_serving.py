"""How models are served, before the whole pack: every variant of the program passes, and what an override breaks is
caught."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmos.packs import Finding, Pack, PackResource
from tests.components.serving import OTHER_REVISION, served
from tests.components.test_serving_handed_on import KSERVE, LLM_D
from tests.components.test_serving_scaling import SCALED, TO_ZERO
from tests.policies.support import ask
from tests.support import synthesised

IMAGE = f"reg.example/weights@sha256:{'2' * 64}"
ADAPTER = {"support": {"source": "org/lora", "revision": OTHER_REVISION, "rank": 8}}
_ASIDE = ("monthly-cost", "gpu-count", "memory-total", "replica-count", "gpu-instance-types", "image-registry")
_INTERNAL = {"endpoint": {"type": "ClusterIP"}}

# Name -> what is changed in the model. Those with ! read the public hub at run time, which prod refuses.
VARIANTS: dict[str, dict[str, Any]] = {
    "server downloads!": {},
    "scaled!": SCALED,
    "scaled to zero!": TO_ZERO,
    "mirror": {"hub": {"endpoint": "https://hub.corp.example", "ca": {"config_map": "ca"}}},
    "init": {"weights": {"download": "init"}},
    "init, mirror in the cluster": {"weights": {"download": "init"}, "hub": {"endpoint": "http://hub.models.svc:80"}},
    "job": {"weights": {"storage_class": "efs", "download": "job"}},
    "a volume per replica": {"weights": {"volume": "replica", "download": "init"}},
    "existing claim": {"weights": {"claim": {"name": "models"}, "path": "qwen"}},
    "image": {"weights": {"image": IMAGE}},
    "adapters": {"weights": {"download": "init"}, "adapters": ADAPTER, "application": {"model": "chat/support"}},
    "MIG slice": {
        "hardware": {"instance_type": "p4d.24xlarge", "gpus": 1, "sharing": {"mig": "7g.40gb"}},
        "weights": {"image": IMAGE},
    },
    "time slice": {
        "hardware": {"instance_type": "p4d.24xlarge", "gpus": 1, "sharing": {"time_slices": 2}},
        "weights": {"image": IMAGE}, "context_tokens": 4096,
    },
    "kserve": {**KSERVE, "weights": {"image": IMAGE}},
    "kserve scaled!": {**KSERVE, **SCALED},
    "pod monitor!": {"stack": {"observability": {"scrape": {"by": "pod-monitor"}}}},
}


@pytest.fixture(scope="module", params=["dev", "prod"])
def pack(request: pytest.FixtureRequest) -> Iterator[tuple[str, Pack]]:
    with Pack(environment=request.param, preview=False, config=dict.fromkeys(_ASIDE, "disabled")) as made:
        yield request.param, made


@pytest.fixture(scope="module")
def dev() -> Iterator[Pack]:
    with Pack(environment="dev", preview=False, config=dict.fromkeys(_ASIDE, "disabled")) as made:
        yield made


def mandatory(pack: Pack, environment: str, **changes: Any) -> dict[str, Finding]:
    application = {**_INTERNAL, **changes.pop("application", {})}
    program = synthesised({**served(application=application, **changes), "environment": environment})
    found = pack.evaluate([
        PackResource(
            type=r.type, name=r.name, urn=r.urn, properties=r.properties, parent=r.parent,
            protect=bool(r.options.get("protect")),
        )
        for r in program.resources
    ])
    return {finding.rule: finding for finding in found if finding.level == "mandatory"}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_way_of_serving_passes(pack: tuple[str, Pack], name: str) -> None:
    environment, made = pack
    found = mandatory(made, environment, **VARIANTS[name])
    assert set(found) == ({"model-hub"} if environment == "prod" and name.endswith("!") else set()), found


_ROUTE_RULES = ("model-server-private", "public-authentication", "public-tls", "public-rate")


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_llm_d_passes_behind_a_gateway_that_the_environment_calls_internal(environment: str) -> None:
    model = {**LLM_D, "weights": {"image": IMAGE}}
    aside = dict.fromkeys(_ASIDE, "disabled")
    with Pack(environment=environment, preview=False, config=aside) as pack:
        found = mandatory(pack, environment, **model)
        assert "model-server-private" in found and set(found) <= set(_ROUTE_RULES), "the gateway may face the internet"
        assert "internal_gateways" in found["model-server-private"].fix
    internal = {rule: {"internal_gateways": ["ingress/inf*"]} for rule in _ROUTE_RULES}
    with Pack(environment=environment, preview=False, config={**aside, **internal}) as pack:
        assert mandatory(pack, environment, **model) == {}


def test_a_pool_of_another_name_hides_nothing(dev: Pack) -> None:
    def renamed(resource: Any) -> PackResource:
        properties = {**resource.properties}
        if properties.get("kind") == "InferencePool":
            properties["metadata"] = {**properties["metadata"], "name": "other"}
        if properties.get("kind") == "HTTPRoute":
            (rule,) = properties["spec"]["rules"]
            backend = {**rule["backendRefs"][0], "name": "other"}
            properties["spec"] = {**properties["spec"], "rules": [{**rule, "backendRefs": [backend]}]}
        return PackResource(
            type=resource.type, name=resource.name, urn=resource.urn, properties=properties, parent=resource.parent
        )

    program = synthesised(served(application={**_INTERNAL}, **LLM_D))
    found = dev.evaluate([renamed(resource) for resource in program.resources])
    assert "model-server-private" in {finding.rule for finding in found}


def test_a_proxys_port_is_for_the_environment_to_allow(dev: Pack) -> None:
    proxied = {"hub": {"proxy": "http://10.1.2.3:3128"}}
    found = mandatory(dev, "dev", **proxied)
    assert set(found) == {"model-server-egress"} and "`ports` of this rule" in found["model-server-egress"].fix
    config = {**dict.fromkeys(_ASIDE, "disabled"), "model-server-egress": {"ports": [53, 443, 3128]}}
    with Pack(environment="dev", preview=False, config=config) as allowing:
        assert mandatory(allowing, "dev", **proxied) == {}


def _server(**keys: Any) -> dict[str, Any]:
    return {"containers": [{"name": "server", **keys}]}


_SHELL = _server(command=["bash", "-c"], args=["vllm serve Qwen/Qwen3-8B --trust-remote-code"])


@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        ({"hostNetwork": True}, "pod-security-baseline"),
        ({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}, "pod-security-baseline"),
        (_server(securityContext={"privileged": True}), "pod-security-baseline"),
        (_server(securityContext={"runAsNonRoot": False}), "pod-security-restricted"),
        (_server(securityContext={"readOnlyRootFilesystem": False}), "read-only-root"),
        (_server(image="vllm/vllm-openai:v0.28.0"), "image-digest"),
        (_server(image=f"vllm/vllm-openai:v0.17.0@sha256:{'1' * 64}"), "vllm-version"),
        ({"volumes": [{"name": "weights", "emptyDir": None, "image": {"reference": "reg/w:v1"}}]}, "image-digest"),
        (_server(args=["--model=Qwen/Qwen3-8B", "--trust-remote-code"]), "trust-remote-code"),
        (_SHELL, "trust-remote-code"),
        (_server(env=[{"name": "HF_TOKEN", "value": "hf_0123456789abcdef0123"}]), "literal-secret"),
        (_server(env=[{"name": "VLLM_SERVER_DEV_MODE", "value": "1"}]), "dev-mode"),
        (_server(env=[{"name": "LD_PRELOAD", "value": "/tmp/x.so"}]), "gpu-override"),
        (_server(resources={kind: {"nvidia.com/gpu": "2"} for kind in ("limits", "requests")}), "gpu-parallelism"),
        (_server(livenessProbe=None), "liveness-probe"),
        ({"automountServiceAccountToken": True}, "service-account-token"),
        ({"serviceAccountName": "default"}, "service-account"),
        ({"initContainers": [{"name": "x", "image": "busybox"}]}, "image-digest"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_override_that_breaks_a_policy_is_caught(dev: Pack, overrides: dict[str, Any], rule: str) -> None:
    assert rule in mandatory(dev, "dev", pod_overrides=overrides)


@pytest.mark.parametrize(
    ("args", "rule"),
    [
        (["--trust-remote-code"], "trust-remote-code"), (["--trust_remote_code"], "trust-remote-code"),
        (["--hf-overrides.trust_remote_code=true"], "trust-remote-code"), (["--profiler-config={}"], "dev-mode"),
        (["--enable-log-requests"], "prompt-logging"), (["--config=/tmp/x.yaml"], "visible-arguments"),
        (["--data-parallel-size=2"], "gpu-parallelism"),
        (["--limit-mm-per-prompt={\"image\": 3}"], "media-domains"),
    ],
)  # fmt: skip
def test_extra_arguments_that_break_a_policy_are_caught(dev: Pack, args: list[str], rule: str) -> None:
    assert rule in mandatory(dev, "dev", extra_args=args)


def test_an_inference_service_is_counted_by_its_own_maximum_and_by_that_of_its_autoscaler() -> None:
    def gpus(**changes: Any) -> str:
        program = synthesised(served(**changes, serving="kserve"))
        stack = {r.name: {**r.inputs} for r in program.resources if r.type.startswith("kubernetes:")}
        return ask("gpu-count", stack, {"gpus": 0}).rows[0][2]

    assert "takes 2 GPUs" in gpus(replicas=2)
    assert "takes 3 GPUs" in gpus(**SCALED)
