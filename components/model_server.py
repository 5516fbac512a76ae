"""ModelServer: one model behind an OpenAI-compatible API, vLLM on GPUs or llama.cpp on CPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components import _vllm
from components._base import Component, Identity, meta
from components._kubernetes import KubernetesObject
from components._metrics import pod_monitor_spec, service_annotations
from components._model_network import server_flows, way_in
from components._pod import container, env_list, http_probes, merge, patience, pod_spec, volume, writable
from planner.plan import ModelPlan, ScrapePlan

__all__ = ["ModelServer", "ModelServerArgs"]

_LLAMA_PORT = 8080
_INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@dataclass(frozen=True, kw_only=True)
class ModelServerArgs:
    """What a model server is given.

    Attributes:
        identity: stack and namespace.
        model: the plan's decisions: hardware, parallelism, precision, replicas.
        image: server image with digest.
        pull_secret: Secret that pods pull with; empty for none.
        node_selector: labels of the GPU pool's nodes; empty on CPUs.
        scrape: who collects its metrics; None for nobody.
    """

    identity: Identity
    model: ModelPlan
    image: pulumi.Input[str]
    pull_secret: str
    node_selector: dict[str, str]
    scrape: ScrapePlan | None = None


class ModelServer(Component):
    """Deployment and Service of one model, reachable from its applications only.

    Outputs:
        url: base of the OpenAI API for its applications, e.g. ``http://chat:8000``, or the gateway's.
        way_in: NetworkPolicy rule that lets an application out to it.
    """

    url: pulumi.Output[str]
    way_in: dict[str, Any]

    def __init__(self, name: str, args: ModelServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        model, identity = args.model, args.identity
        port = _vllm.PORT if model.engine == "vllm" else _LLAMA_PORT
        account = KubernetesObject(
            "v1", "ServiceAccount",
            name,
            metadata=meta(identity, name, "model-server"),
            automountServiceAccountToken=False,
            opts=self.child(),
        )
        claim, *volumes = self._weight_cache(name, args)
        policy = KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy",
            name,
            metadata=meta(identity, name, "model-server"),
            spec=server_flows(identity, model, port=port, scrape=self._scraped(args)),
            opts=self.child(),
        )
        deployment = KubernetesObject(
            "apps/v1", "Deployment",
            name,
            metadata=meta(identity, name, "model-server", annotations=patience(model.rollout_timeout_seconds)),
            spec=_deployment_spec(name, args, claim=claim, port=port),
            opts=self.child(
                depends_on=[account, policy, *volumes],
                protect=identity.guarded("Deployment", name),
                ignore_changes=["spec.replicas"] if model.replicas_max > model.replicas_min else None,
            ),
        )
        self._service(name, args, port=port, deployment=deployment)
        self.url = pulumi.Output.from_input(model.gateway.url if model.gateway else f"http://{name}:{port}")
        self.way_in = way_in(identity, model, port=port)
        self.register_outputs({"url": self.url})

    def _service(self, name: str, args: ModelServerArgs, *, port: int, deployment: pulumi.Resource) -> None:
        identity, scrape = args.identity, self._scraped(args)
        annotations = service_annotations(scrape, port=port)
        if args.model.replicas_min == 0:
            # A Service is patience until a pod is ready behind it, and at zero there is none.
            annotations["pulumi.com/skipAwait"] = "true"
        KubernetesObject(
            "v1", "Service",
            name,
            metadata=meta(
                identity, name, "model-server", **({"annotations": annotations} if annotations else {})
            ),
            spec={
                "type": "ClusterIP",
                "selector": identity.selector(name),
                "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}],
            },
            # Awaiting a Service without ready pods ends after 10 minutes; the Deployment's own wait is longer.
            opts=self.child(depends_on=[deployment]),
        )
        if scrape and scrape.by == "pod-monitor":
            KubernetesObject(
                "monitoring.coreos.com/v1", "PodMonitor",
                f"{name}-metrics",
                metadata=meta(identity, name, "model-server"),
                spec=pod_monitor_spec(scrape, selector=identity.selector(name)),
                opts=self.child(),
            )

    @staticmethod
    def _scraped(args: ModelServerArgs) -> ScrapePlan | None:
        """The tiny model's server on CPUs has no metrics to collect."""
        return args.scrape if args.model.engine == "vllm" else None

    def _weight_cache(self, name: str, args: ModelServerArgs) -> tuple[Any, ...]:
        """The volume that all replicas share, where the cluster has a class for it: its name and claim, or "" alone."""
        model = args.model
        if not model.storage_class:
            return ("",)
        claim = f"{name}-weights"
        guarded = args.identity.guarded("PersistentVolumeClaim", claim)
        made = KubernetesObject(
            "v1", "PersistentVolumeClaim",
            claim,
            # Its pods wait for it anyway, and some classes bind a volume only once a pod wants it: a claim that is
            # awaited before the pods would then never be ready.
            metadata=meta(args.identity, claim, "weights", annotations={"pulumi.com/skipAwait": "true"}),
            spec={
                "accessModes": ["ReadWriteMany"],
                "storageClassName": model.storage_class,
                "resources": {"requests": {"storage": f"{-(-model.weights_gib * 4 // 3) or 200:.0f}Gi"}},
            },
            opts=self.child(protect=guarded, retain_on_delete=guarded),
        )
        return claim, made


def _deployment_spec(name: str, args: ModelServerArgs, *, claim: str, port: int) -> dict[str, Any]:
    model, selector = args.model, args.identity.selector(name)
    pod = _vllm_pod(name, args, claim) if model.engine == "vllm" else _llama_pod(name, args, port)
    return {
        "replicas": model.replicas_min,
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": model.load_timeout_seconds,
        "selector": {"matchLabels": selector},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": model.surge, "maxUnavailable": 0 if model.surge else 1},
        },
        "template": {
            "metadata": {"labels": args.identity.labels(name, "model-server")},
            "spec": merge(pod, model.pod_overrides),
        },
    }


def _resources(model: ModelPlan) -> dict[str, Any]:
    memory = {"memory": f"{round(model.memory_gib * 1024)}Mi"}
    gpus = {"nvidia.com/gpu": str(model.gpus)} if model.gpus else {}
    cpu = f"{round(model.cpu_cores * 1000)}m"
    limit = f"{round(model.cpu_cores * (1000 if model.gpus else 4000))}m"
    return {"requests": {"cpu": cpu, **memory, **gpus}, "limits": {"cpu": limit, **memory, **gpus}}


def _vllm_pod(name: str, args: ModelServerArgs, claim: str) -> dict[str, Any]:
    model = args.model
    made, mounts = _vllm.volumes(model, claim=claim)
    secrets = {"HF_TOKEN": model.token_secret} if model.token_secret[0] else {}
    server = container(
        name="server",
        image=args.image,
        port=_vllm.PORT,
        args=_vllm.arguments(model),
        env=env_list(_vllm.environment(), secrets),
        resources=_resources(model),
        volumeMounts=mounts,
        **http_probes(
            startup="/v1/models", ready="/health", alive="/health", start_seconds=model.load_timeout_seconds
        ),
    )
    return pod_spec(
        service_account=name,
        selector=args.identity.selector(name),
        containers=[server],
        volumes=made,
        stream_seconds=model.stream_seconds,
        pull_secret=args.pull_secret,
        tolerations=[_GPU_TOLERATION],
        **_machines(args),
    )


def _machines(args: ModelServerArgs) -> dict[str, Any]:
    """The pool's nodes of the model's instance type; of any that may stand in for it, which takes an affinity."""
    model = args.model
    if not model.fallbacks:
        return {"nodeSelector": {**args.node_selector, _INSTANCE_TYPE: model.instance_type}}
    types = {"key": _INSTANCE_TYPE, "operator": "In", "values": [model.instance_type, *model.fallbacks]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [types]}]}
    return {
        "nodeSelector": args.node_selector,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
    }


def _llama_pod(name: str, args: ModelServerArgs, port: int) -> dict[str, Any]:
    model = args.model
    server = container(
        name="server",
        image=args.image,
        port=port,
        command=["python3", "-m", "assistant.model_server"],
        args=[f"--port={port}", f"--served-model-name={name}", f"--context-tokens={model.context_tokens}"],
        env=env_list({"DRAIN_SECONDS": str(model.stream_seconds)}, {}),
        resources=_resources(model),
        volumeMounts=[writable("tmp", "/tmp")],
        **http_probes(startup="/health", ready="/health", alive="/health", start_seconds=model.load_timeout_seconds),
    )
    return pod_spec(
        service_account=name,
        selector=args.identity.selector(name),
        containers=[server],
        volumes=[volume("tmp", "256Mi")],
        stream_seconds=model.stream_seconds,
        pull_secret=args.pull_secret,
    )
