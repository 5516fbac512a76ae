"""Cases of the rules on model servers, GPUs and budgets."""

from __future__ import annotations

from tests.policies.support import DELETE

CHAT = "Deployment/chat"
POD = "spec.template.spec"
C = f"{POD}.containers[0]"
_ENV = f"{C}.env[2]"
_IMAGE = "vllm/vllm-openai:{}@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


def _set(name: str, value: str = "1") -> list:
    return [(CHAT, _ENV, {"name": name, "value": value})]


def _arg(*words: str) -> list:
    return [(CHAT, f"{C}.args[{7 + number}]", word) for number, word in enumerate(words)]


def _hub(*words: str) -> list:
    return [(CHAT, f"{C}.args[0]", "--model=Qwen/Qwen3-8B"), *_arg(*words)]


_COMMIT = "b968826d9c46dd6066d109eabc6255188de91218"
_PORTS = "spec.ports[0]"
STACK = {
    "type": "llmagentos:components:LlmStack",
    "name": "dev",
    "properties": {
        "environment": "dev",
        "budget": {"usdPerMonth": 100, "gpus": 2, "memoryGib": 8, "file": "Pulumi.dev.yaml"},
    },
}

# (rule, edits, path of the finding, settings)
FAIL = [
    ("trust-remote-code", _arg("--trust-remote-code"), f"{C}.args[7]", {}),
    ("trust-remote-code", _arg("--trust_remote_code=true"), f"{C}.args[7]", {}),
    ("trust-remote-code", _set("HF_TRUST_REMOTE_CODE", "True"), f"{_ENV}.value", {}),
    (
        "trust-remote-code",
        [(CHAT, f"{C}.command", ["sh", "-c", "vllm serve /m --trust-remote-code"])],
        f"{C}.command[2]",
        {},
    ),
    ("vllm-version", [(CHAT, f"{C}.image", _IMAGE.format("v0.17.1"))], f"{C}.image", {}),
    ("vllm-version", [(CHAT, f"{C}.image", _IMAGE.format("latest"))], f"{C}.image", {}),
    ("vllm-version", [(CHAT, f"{C}.image", _IMAGE.format("v0.28.0"))], f"{C}.image", {"minimum": "0.30"}),
    ("dev-mode", _set("VLLM_SERVER_DEV_MODE"), f"{_ENV}.value", {}),
    ("dev-mode", _set("VLLM_TORCH_PROFILER_DIR", "/tmp"), f"{_ENV}.value", {}),
    ("dev-mode", _arg("--profiler-config", "{}"), f"{C}.args[7]", {}),
    ("runtime-lora", _set("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "true"), f"{_ENV}.value", {}),
    ("prompt-logging", _arg("--enable-log-requests"), f"{C}.args[7]", {}),
    ("prompt-logging", _set("VLLM_LOGGING_LEVEL", "debug"), f"{_ENV}.value", {}),
    ("prompt-logging", _set("VLLM_DEBUG_LOG_API_SERVER_RESPONSE", "True"), f"{_ENV}.value", {}),
    ("media-domains", _arg('--limit-mm-per-prompt={"image": 2}'), f"{C}.args[7]", {}),
    ("media-domains", [(CHAT, f"{C}.args[0]", "--model=/weights/Qwen2.5-VL-7B-Instruct")], f"{C}.args[0]", {}),
    ("media-domains", [(CHAT, f"{C}.args[0]", "--model=openai/whisper-large-v3")], f"{C}.args[0]", {}),
    ("visible-arguments", _arg("--config", "/etc/vllm.yaml"), f"{C}.args[7]", {}),
    ("visible-arguments", _arg("$(EXTRA_ARGS)"), f"{C}.args[7]", {}),
    ("context-cap", [(CHAT, f"{C}.args[2]", "--seed=1")], f"{C}.args", {}),
    ("context-cap", [(CHAT, f"{C}.args[2]", "--max-model-len=16K")], f"{C}.args[2]", {"maximum": 16383}),
    ("sequence-cap", [(CHAT, f"{C}.args[3]", "--seed=1")], f"{C}.args", {}),
    ("model-revision", _hub(), f"{C}.args[0]", {}),
    ("model-revision", _hub("--revision=main"), f"{C}.args[7]", {}),
    ("model-revision", _hub("--revision", _COMMIT, "--tokenizer-revision=v1"), f"{C}.args[9]", {}),
    ("model-hub", _hub(), f"{C}.args[0]", {}),
    (
        "model-hub",
        [(CHAT, f"{C}.command", ["vllm", "serve", "Qwen/Qwen3-8B"]), (CHAT, f"{C}.args[0]", "--port=1")],
        f"{C}.command[2]",
        {},
    ),
    ("model-safetensors", [(CHAT, f"{C}.args[1]", "--load-format=auto")], f"{C}.args[1]", {}),
    ("model-safetensors", [(CHAT, f"{C}.args[1]", "--port=8000")], f"{C}.args", {}),
    ("gpu-parallelism", [(CHAT, f"{C}.args[4]", "--tensor-parallel-size=4")], f"{C}.args[4]", {}),
    ("gpu-parallelism", [(CHAT, f"{C}.args[6]", "1")], f"{C}.args[4]", {}),
    ("gpu-parallelism", [(CHAT, f"{C}.resources", {})], f"{C}.args[4]", {}),
    ("gpu-parallelism", _arg("--data-parallel-size=2"), f"{C}.args[4]", {}),
    (
        "gpu-request",
        [(CHAT, f'{C}.resources.requests["nvidia.com/gpu"]', "2")],
        f'{C}.resources.requests["nvidia.com/gpu"]',
        {},
    ),
    ("gpu-override", _set("NVIDIA_VISIBLE_DEVICES", "all"), _ENV, {}),
    ("gpu-override", _set("LD_PRELOAD", "/tmp/x.so"), _ENV, {}),
    ("gpu-rollout", [(CHAT, "spec.strategy.rollingUpdate", {"maxSurge": 1, "maxUnavailable": 0})], "spec.strategy", {}),
    (
        "gpu-rollout",
        [(CHAT, "spec.strategy.rollingUpdate", {"maxSurge": "25%", "maxUnavailable": 0})],
        "spec.strategy",
        {},
    ),
    ("model-server-private", [("NetworkPolicy/chat", "spec.ingress[0].from", [])], "", {}),
    ("model-server-private", [("NetworkPolicy/chat", "spec.ingress[0].from[0]", {"namespaceSelector": {}})], "", {}),
    ("model-server-private", [("NetworkPolicy/chat", "", DELETE), ("NetworkPolicy/default-deny", "", DELETE)], "", {}),
    ("model-server-private", [("Service/chat", "spec.type", "NodePort")], "", {}),
    (
        "model-server-peers",
        [("NetworkPolicy/chat", "spec.ingress[0].ports[0]", {"port": 29000, "endPort": 30000})],
        "",
        {},
    ),
    ("model-server-peers", [("NetworkPolicy/chat", "spec.ingress[0].ports", DELETE)], "", {}),
    ("internal-port-service", [("Service/chat", f"{_PORTS}.port", 8265)], _PORTS, {}),
    ("internal-port-service", [("Service/chat", f"{_PORTS}.targetPort", "gcs-server")], _PORTS, {}),
    ("internal-port-service", [("Service/chat", f"{_PORTS}.port", 29500)], _PORTS, {}),
    ("model-server-egress", [("NetworkPolicy/chat", "spec.egress[1].to", [])], "", {}),
    ("model-server-egress", [("NetworkPolicy/chat", "spec.egress[1].ports", DELETE)], "", {}),
    ("model-server-egress", [("NetworkPolicy/chat", "spec.egress[1].to[0].ipBlock.except", ["10.0.0.0/8"])], "", {}),
    ("model-server-egress", [("NetworkPolicy/chat", "spec.egress[1].ports[0].port", 25)], "", {}),
    # The port of the pod identity agent, at an address that is not its own.
    ("model-server-egress", [("NetworkPolicy/chat", "spec.egress[1]", {
        "to": [{"ipBlock": {"cidr": "169.254.170.0/24"}}], "ports": [{"port": 80}]})], "", {}),
    ("model-server-egress", [("NetworkPolicy/chat", "spec.egress[1]", {
        "to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}], "ports": [{"port": 8080}]})], "", {}),
    ("monthly-cost", [], "", {"usd_per_month": 1000}),
    ("monthly-cost", [], "", {"namespaces": {"assistant": {"usd_per_month": 1000}}}),
    ("monthly-cost", [("LlmStack", "", STACK)], "", {"usd_per_month": 100000}),
    (
        "monthly-cost",
        [(CHAT, f"{POD}.nodeSelector", {"node.kubernetes.io/instance-type": "x9.mega"})],
        f'{POD}.nodeSelector["node.kubernetes.io/instance-type"]',
        {"usd_per_month": 100000},
    ),
    (
        "monthly-cost",
        [(CHAT, f"{POD}.nodeSelector", DELETE), ("NodePool/gpu", "", DELETE)],
        f"{POD}.nodeSelector",
        {"usd_per_month": 100000},
    ),
    ("gpu-count", [], "", {"gpus": 7}),
    ("gpu-count", [("NodePool/gpu", "spec.limits", {"nvidia.com/gpu": "9"})], "", {"gpus": 8}),
    ("gpu-count", [("NodePool/gpu", "spec.limits", {})], "", {"gpus": 100}),
    ("memory-total", [], "", {"memory_gib": 130}),
    ("replica-count", [], "", {"replicas": 11}),
    ("replica-count", [("HorizontalPodAutoscaler/app", "spec.maxReplicas", 30)], "", {"replicas": 20}),
    ("budget-warning", [], "", {"gpus": 9}),
    ("budget-warning", [], "", {"replicas": 24, "share": 0.5}),
]

PASS = [
    ("model-server-egress", [("NetworkPolicy/chat", "spec.egress[1]", {
        "to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}], "ports": [{"port": 80}]})], {}),
    ("trust-remote-code", _arg("--no-trust-remote-code"), {}),
    ("trust-remote-code", _arg("--trust-remote-code=false"), {}),
    ("dev-mode", _set("VLLM_SERVER_DEV_MODE", "0"), {}),
    ("media-domains", _arg('--limit-mm-per-prompt={"image": 2}', "--allowed-media-domains", "media.example.com"), {}),
    ("media-domains", _arg('--limit-mm-per-prompt={"image": 0, "video": 0}'), {}),
    ("model-revision", _hub("--revision", _COMMIT), {}),
    ("model-hub", [*_hub(), *_set("HF_HUB_OFFLINE")], {}),
    ("model-hub", [*_hub(), *_set("HF_ENDPOINT", "https://hub.example.com")], {}),
    ("model-safetensors", [(CHAT, f"{C}.args[1]", "--load-format=gguf")], {"formats": ["gguf"]}),
    ("gpu-parallelism", [*_arg("--distributed-executor-backend=ray"), (CHAT, f"{C}.args[6]", "8")], {}),
    ("gpu-override", _set("NVIDIA_VISIBLE_DEVICES", "void"), {}),
    ("gpu-rollout", [(CHAT, "spec.strategy", {"type": "Recreate"})], {}),
    ("model-server-private", [("Service/app", "spec.type", "LoadBalancer")], {}),
    ("monthly-cost", [], {"usd_per_month": 100000}),
    ("monthly-cost", [(CHAT, f"{POD}.nodeSelector", {"pool": "gpu"})], {"usd_per_month": 100000}),
    ("gpu-count", [], {"gpus": 8}),
    ("memory-total", [], {"memory_gib": 133.1}),
    ("replica-count", [], {"replicas": 12}),
    ("budget-warning", [], {"gpus": 11}),
]

_FETCH = ["python3", "/etc/fetch/fetch_weights.py", "fetch"]


def _job(command: list[str]) -> list:
    """A Job with the server's image: a program that prepares weights is none, vLLM itself is one wherever it runs."""
    container = {"name": "fetch", "image": _IMAGE.format("v0.17.0"), **({"command": command} if command else {})}
    spec = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "fetch", "namespace": "assistant"}}
    return [("Job/fetch", "", {**job, "spec": spec})]


_JOB_IMAGE = f"{C}.image"
FAIL += [
    ("visible-arguments", _arg(word), f"{C}.args[7]", {})
    for word in ("--trust-rem", "--trust_remote", "--max-model=1000000", "--hf-over.trust_remote_code=1", "--load=pt")
]
FAIL += [
    ("vllm-version", _job([]), _JOB_IMAGE, {}),
    ("vllm-version", _job(["python3", "-m", "vllm.entrypoints.openai.api_server"]), _JOB_IMAGE, {}),
    ("vllm-version", _job(["bash", "-c", "exec vllm run-batch"]), _JOB_IMAGE, {}),
    # Regular containers of a workload that serves cannot hide behind a command.
    ("context-cap", [(CHAT, f"{C}.command", _FETCH), (CHAT, f"{C}.args", [])], f"{C}.args", {}),
]
PASS += [
    ("visible-arguments", _arg("--tokenizer=Qwen/Qwen3-8B", "--model-impl=vllm"), {}),
    ("vllm-version", _job(_FETCH), {}),
    ("context-cap", [(CHAT, f"{POD}.initContainers[0].image", _IMAGE.format("v0.28.0"))], {}),
]

# (rule, resource, path, settings)
UNKNOWN_AT = [
    *(
        (rule, CHAT, f"{C}.args", {})
        for rule in (
            "trust-remote-code",
            "dev-mode",
            "prompt-logging",
            "media-domains",
            "visible-arguments",
            "context-cap",
            "sequence-cap",
            "model-revision",
            "model-hub",
            "model-safetensors",
            "gpu-parallelism",
        )
    ),
    ("vllm-version", CHAT, f"{C}.image", {}),
    ("volume-sharing", CHAT, f"{POD}.volumes", {}),
    ("runtime-lora", CHAT, f"{C}.env", {}),
    ("gpu-request", CHAT, f'{C}.resources.requests["nvidia.com/gpu"]', {}),
    ("gpu-override", CHAT, f"{C}.env", {}),
    ("gpu-rollout", CHAT, "spec.replicas", {}),
    ("model-server-private", "NetworkPolicy/chat", "spec.ingress", {}),
    ("model-server-peers", "NetworkPolicy/chat", "spec.ingress", {}),
    ("model-server-egress", "NetworkPolicy/chat", "spec.egress", {}),
    ("internal-port-service", "Service/chat", f"{_PORTS}.port", {}),
    ("monthly-cost", CHAT, "spec.replicas", {"usd_per_month": 100000}),
    ("gpu-count", CHAT, f'{C}.resources.limits["nvidia.com/gpu"]', {"gpus": 100}),
    ("memory-total", CHAT, f"{C}.resources.limits.memory", {"memory_gib": 10000}),
    ("replica-count", "HorizontalPodAutoscaler/app", "spec.maxReplicas", {"replicas": 1000}),
]
