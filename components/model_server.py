"""ModelServer: one model behind an OpenAI-compatible API, vLLM on GPUs or llama.cpp on CPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components import _kserve
from components._base import Component, Identity, meta
from components._fetch import files, files_name, job_name, job_spec
from components._kubernetes import KubernetesObject
from components._metrics import pod_monitor, service_annotations
from components._model_network import fetch_flows, server_flows, way_in
from components._model_pod import deployment_spec, server_port
from components._placement import model_selector
from components._pod import patience
from components._weights import claim_name, claim_spec
from planner.plan import ModelPlan, ScrapePlan, ServerPart

__all__ = ["ModelServer", "ModelServerArgs"]


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
    """Deployment and Service of one model, reachable from its applications only; two Deployments where a floor of its
    replicas stays off spot.

    Outputs:
        url: base of the OpenAI API for its applications, e.g. ``http://chat:8000``, or the gateway's.
        way_in: NetworkPolicy rule that lets an application out to it.
        port: of its pods.
    """

    url: pulumi.Output[str]
    way_in: dict[str, Any]
    port: int

    def __init__(self, name: str, args: ModelServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        model, identity = args.model, args.identity
        self.port = port = server_port(model)
        account = KubernetesObject(
            "v1", "ServiceAccount",
            name,
            metadata=meta(identity, name, "model-server"),
            automountServiceAccountToken=False,
            opts=self.child(),
        )
        policy = KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy",
            name,
            metadata=meta(identity, name, "model-server"),
            spec=server_flows(identity, model, port=port, scrape=self._scraped(args)),
            opts=self.child(),
        )
        weights = self._weights(name, args, account)
        run = self._inference_service if model.serving == "kserve" else self._deployment
        running = [run(part, args, [account, policy, *weights]) for part in model.parts]
        self._service(name, args, port=port, running=running)
        self.url = pulumi.Output.from_input(model.gateway.url if model.gateway else f"http://{name}:{port}")
        self.way_in = way_in(identity, model, port=port)
        self.register_outputs({"url": self.url})

    def _deployment(self, part: ServerPart, args: ModelServerArgs, after: list[pulumi.Resource]) -> pulumi.Resource:
        identity, model = args.identity, args.model
        return KubernetesObject(
            "apps/v1", "Deployment",
            part.name,
            metadata=meta(identity, part.name, "model-server", annotations=patience(model.rollout_timeout_seconds)),
            spec=self._spec(part, args),
            opts=self.child(
                depends_on=after,
                protect=identity.guarded("Deployment", part.name),
                ignore_changes=["spec.replicas"] if part.replicas_max > part.replicas_min else None,
            ),
        )

    def _inference_service(
        self, part: ServerPart, args: ModelServerArgs, after: list[pulumi.Resource]
    ) -> pulumi.Resource:
        model, described = args.model, meta(args.identity, part.name, "model-server")
        notes = {**patience(model.rollout_timeout_seconds), **_kserve.annotations(model)}
        return KubernetesObject(
            _kserve.API_VERSION, "InferenceService",
            part.name,
            metadata={**described, "labels": {**described["labels"], **_kserve.LABELS}, "annotations": notes},
            spec=_kserve.inference_service_spec(part, self._spec(part, args)),
            opts=self.child(depends_on=after, protect=args.identity.guarded("InferenceService", part.name)),
        )

    @staticmethod
    def _spec(part: ServerPart, args: ModelServerArgs) -> dict[str, Any]:
        return deployment_spec(
            args.identity, args.model, part,
            image=args.image, pull_secret=args.pull_secret, node_selector=args.node_selector,
        )  # fmt: skip

    def _service(self, name: str, args: ModelServerArgs, *, port: int, running: list[pulumi.Resource]) -> None:
        identity, scrape = args.identity, self._scraped(args)
        annotations = service_annotations(scrape, port=port)
        if args.model.replicas_min == 0:
            # A Service is awaited until a pod is ready behind it, and at zero there is none.
            annotations["pulumi.com/skipAwait"] = "true"
        KubernetesObject(
            "v1", "Service",
            name,
            metadata=meta(
                identity, name, "model-server", **({"annotations": annotations} if annotations else {})
            ),
            spec={
                "type": "ClusterIP",
                "selector": model_selector(identity, args.model),
                "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}],
            },
            # Awaiting a Service without ready pods ends after 10 minutes; the Deployment's own wait is longer.
            opts=self.child(depends_on=running),
        )
        selector = model_selector(identity, args.model)
        pod_monitor(self, identity, name, scrape, part="model-server", selector=selector)

    @staticmethod
    def _scraped(args: ModelServerArgs) -> ScrapePlan | None:
        """The tiny model's server on CPUs has no metrics to collect."""
        return args.scrape if args.model.engine == "vllm" else None

    def _weights(self, name: str, args: ModelServerArgs, account: pulumi.Resource) -> list[pulumi.Resource]:
        """What has to be there before the server starts: its volume, and what fills it."""
        model, made = args.model, []
        if model.weights.kept_in == "shared":
            claim = claim_name(model)
            guarded = args.identity.guarded("PersistentVolumeClaim", claim)
            made.append(
                KubernetesObject(
                    "v1", "PersistentVolumeClaim",
                    claim,
                    # Its pods wait for it anyway, and some classes bind a volume only once a pod wants it: a claim that
                    # is awaited before the pods would then never be ready.
                    metadata=meta(args.identity, claim, "weights", annotations={"pulumi.com/skipAwait": "true"}),
                    spec=claim_spec(model),
                    opts=self.child(protect=guarded, retain_on_delete=guarded),
                )
            )
        if model.weights.download in ("init", "job"):
            made.append(
                KubernetesObject(
                    "v1", "ConfigMap",
                    f"{name}-fetch",
                    metadata=meta(args.identity, files_name(model), "weights"),
                    data=files(model),
                    immutable=True,
                    opts=self.child(),
                )
            )
        if model.weights.download == "job":
            made.append(self._fetch_job(f"{name}-fetch", args, [account, *made]))
        return made

    def _fetch_job(self, name: str, args: ModelServerArgs, after: list[pulumi.Resource]) -> pulumi.Resource:
        identity, model = args.identity, args.model
        policy = KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy",
            name,
            metadata=meta(identity, name, "weights"),
            spec=fetch_flows(identity, model, name=name),
            opts=self.child(),
        )
        spec = job_spec(identity, model, name=name, image=args.image, pull_secret=args.pull_secret)
        wait = patience(2 * model.load_timeout_seconds + 60)
        return KubernetesObject(
            "batch/v1", "Job",
            name,
            metadata={**meta(identity, name, "weights", annotations=wait), "name": job_name(model, spec)},
            spec=spec,
            opts=self.child(depends_on=[*after, policy]),
        )
