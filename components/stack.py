"""LlmStack: the only wiring. It turns a plan into components and decides nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pulumi

from components._base import Component, Identity, awaited
from components._docker import registries_provider
from components._kserve import target
from components._machine import Machine
from components._model_network import picker_name
from components._providers import local_providers
from components._stated import stated
from components.app_image import AppImage, AppImageArgs
from components.application import Application, ApplicationArgs, Backend
from components.autoscaler import Autoscaler, AutoscalerArgs
from components.endpoint import Endpoint, EndpointArgs
from components.endpoint_picker import EndpointPicker, EndpointPickerArgs
from components.gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from components.model_server import ModelServer, ModelServerArgs
from components.namespace import Namespace, NamespaceArgs
from components.registry import Registry, RegistryArgs
from components.registry_image import RegistryImage, RegistryImageArgs
from planner.plan import ApplicationPlan, ModelPlan, Plan

if TYPE_CHECKING:
    from components.aws.aws_endpoint import AwsEndpoint
    from components.aws.cluster_stack import ClusterStack
    from components.aws.ecr_registry import EcrRegistry
    from components.aws.workload import GpuPool

__all__ = ["LlmStack", "LlmStackArgs", "Machine", "make_stack"]


@dataclass(frozen=True, kw_only=True)
class LlmStackArgs:
    """What a stack is given: the plan, and the machine."""

    plan: Plan
    machine: Machine = field(default_factory=Machine)

    @property
    def allow_replace(self) -> tuple[str, ...]:
        """Objects that may be deleted and created again: those that the stack file names, and those of this run."""
        return (*self.plan.allow_replace, *self.machine.allow_replace)


class LlmStack(Component):
    """Everything of one stack file.

    Its inputs ``environment``, ``budget``, ``release`` and ``allowReplace`` are registered with the engine, so that
    policies can hold the stack to the budget it states for itself, its images to the signatures they were promoted
    with, and everything else to its protection.

    Outputs:
        summary: namespace, image digests, endpoints and list price, for ``pulumi stack output`` and promotion.
    """

    summary: dict[str, Any]

    def __init__(self, name: str, args: LlmStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        plan = args.plan
        claims = stated(plan, allow_replace=args.allow_replace)
        super().__init__(name, props=claims, opts=_with_providers(plan, args.machine, opts))
        self._plan, self._machine = plan, args.machine
        self._identity = Identity(
            stack=plan.stack, namespace=plan.namespace.name, durable=plan.environment != "dev",
            allow_replace=args.allow_replace,
        )
        self._namespace = Namespace(
            "namespace", NamespaceArgs(identity=self._identity, space=plan.namespace), self.child()
        )
        self._registry = self._make_registry()
        self._images = self._build_images()
        self._pool = self._gpu_pool()
        self._bucket = aws_workload().weights(self, plan.aws, self._identity, [self._namespace]) if plan.aws else None
        servers = {model.name: self._model_server(model) for model in plan.models}
        if plan.aws:
            aws_workload().beside(self, plan, self._identity, [self._namespace])
        endpoints = {app.name: self._application(app, servers.get(app.model)) for app in plan.applications}
        self.summary = {
            "namespace": plan.namespace.name,
            "images": {app.name: self._images[app.image] for app in plan.applications},
            "model_images": {model.name: self._images[model.image] for model in plan.models},
            "revisions": {model.name: model.revision for model in plan.models},
            "endpoints": {key: pulumi.Output.concat(e.host, ":", str(e.port)) for key, e in endpoints.items()},
            "usd_per_month": plan.usd_per_month,
            "source_commit": plan.source_commit or args.machine.source_commit,
        }
        # The engine shows policies about the whole stack its outputs only, so what the stack states is repeated there.
        self.register_outputs({**claims, **self.summary})

    def _make_registry(self) -> Registry | EcrRegistry:
        plan = self._plan
        if plan.aws and plan.aws.repositories:
            return aws_workload().registry(self, plan.aws, self._identity)
        server = self._machine.registry or plan.registry.server
        args = RegistryArgs(server=server, pull_secret=plan.registry.pull_secret, stack=plan.stack)
        return Registry("registry", args, self.child())

    def _build_images(self) -> dict[str, pulumi.Input[str]]:
        """References of all images by name: given ones as they are, built ones as outputs."""
        refs: dict[str, pulumi.Input[str]] = {}
        for image in self._plan.images:
            if image.tag:
                refs[image.name] = RegistryImage(image.name, RegistryImageArgs(tag=image.tag), self.child()).ref
                continue
            if not image.build:
                refs[image.name] = image.ref or awaited()
                continue
            refs[image.name] = AppImage(
                image.name,
                AppImageArgs(
                    context=image.build,
                    repository=self._registry.repository(image.name),
                    platforms=image.platforms,
                    base_image=image.base_image or self._machine.base_of(image.build),
                    ca_bundle=self._machine.ca_bundle,
                    pip_config=self._machine.pip_config,
                    builds=self._plan.builds,
                    commit_epoch=self._machine.commit_epochs.get(image.build),
                    tag=self._machine.content_tags.get(image.build, "latest"),
                ),
                self.child(depends_on=[self._registry]),
            ).ref
        return refs

    def _gpu_pool(self) -> GpuNodePool | GpuPool | None:
        pool = self._plan.gpu_pool
        if pool is None:
            return None
        if self._plan.aws and (made := aws_workload().gpu_pool(self, self._plan, pool, self._identity)):
            return made
        return GpuNodePool("gpu-pool", GpuNodePoolArgs(identity=self._identity, pool=pool), self.child())

    def _model_server(self, model: ModelPlan) -> ModelServer:
        pool = self._pool if model.gpus else None
        volumes = (model.weights.image, *(adapter.image for adapter in model.adapters))
        pull_secret = self._pull_secret(model.image, *volumes, model.picker.image if model.picker else "")
        server = ModelServer(
            model.name,
            ModelServerArgs(
                identity=self._identity,
                model=model,
                image=self._images[model.image],
                pull_secret=pull_secret,
                node_selector=pool.node_selector if pool else {},
                scrape=self._plan.scrape,
            ),
            # The pool outlives the servers when a stack goes: Karpenter can then drain and remove its nodes.
            self.child(depends_on=[self._namespace, *([pool] if pool else []), *self._filled(model, pull_secret)]),
        )
        for part in model.parts:
            scaled = model.autoscaling == "keda" and not (part.on_demand and model.kept)
            Autoscaler(
                f"{part.name}-scaling",
                AutoscalerArgs(
                    identity=self._identity, workload=part.name, model=model.name, kept=model.kept,
                    replicas_min=part.replicas_min, replicas_max=part.replicas_max, gateway=model.gateway,
                    prometheus_url=self._plan.prometheus_url if scaled else "", schedule=model.schedule,
                    start_seconds=model.load_timeout_seconds, target=target(model, part),
                ),
                self.child(depends_on=[self._namespace]),
            )
        if model.picker:
            picker = EndpointPickerArgs(
                identity=self._identity, model=model, port=server.port, scrape=self._plan.scrape,
                pull_secret=pull_secret,
            )
            EndpointPicker(picker_name(model), picker, self.child(depends_on=[self._namespace, server]))
        return server

    def _filled(self, model: ModelPlan, pull_secret: str) -> list[pulumi.Resource]:
        """What puts the model's weights into the stack's bucket, where it has one."""
        if self._bucket is None or self._plan.aws is None:
            return []
        image = self._images[model.image]
        return aws_workload().filled(
            self, self._plan.aws, model.name, self._identity, self._bucket, image, pull_secret
        )

    def _application(self, plan: ApplicationPlan, server: ModelServer | None) -> Endpoint | AwsEndpoint:
        called = f"{plan.model}/{plan.adapter}" if plan.adapter else plan.model
        backend = Backend(url=server.url, model=called, way=server.way_in) if server else None
        application = Application(
            plan.name,
            ApplicationArgs(
                identity=self._identity, application=plan, image=self._images[plan.image],
                pull_secret=self._pull_secret(plan.image), backend=backend,
                canary=plan.name in self._machine.canaries, scrape=self._plan.scraped(plan),
            ),
            self.child(depends_on=[self._namespace]),
        )
        Autoscaler(
            f"{plan.name}-scaling",
            AutoscalerArgs(
                identity=self._identity, workload=plan.name, replicas_min=plan.replicas_min, queue=plan.queue,
                replicas_max=plan.replicas_max, cpu_percent=plan.autoscale_cpu_percent, schedule=plan.schedule,
            ),
            self.child(depends_on=[self._namespace]),
        )
        if self._plan.aws:
            ready = [self._namespace, application]
            return aws_workload().endpoint(self, self._plan, plan, self._identity, ready)
        return Endpoint(
            f"{plan.name}-endpoint",
            EndpointArgs(
                identity=self._identity, application=plan.name, type=plan.endpoint_type, port=plan.endpoint_port,
                target_port=plan.port, auth=plan.endpoint_auth, create=plan.endpoint_create,
                scrape=self._plan.scraped(plan),
            ),
            self.child(depends_on=[self._namespace, application]),
        )

    def _pull_secret(self, image: str, *volumes: str) -> str:
        """The registry's Secret, for images that come from it, those that are mounted as volumes included."""
        found, server = self._plan.image(image), f"{self._plan.registry.server}/"
        given = (found.ref, found.tag, *volumes)
        own = bool(found.build) or found.awaited or any(reference.startswith(server) for reference in given)
        return self._registry.pull_secret if own else ""


def make_stack(plan: Plan, machine: Machine) -> LlmStack | ClusterStack:
    """The component of a stack file: applications and models, or a cluster for other stacks."""
    if plan.cluster is None:
        return LlmStack("llm-stack", LlmStackArgs(plan=plan, machine=machine))
    from components.aws.cluster_stack import ClusterStack, ClusterStackArgs

    return ClusterStack("cluster-stack", ClusterStackArgs(plan=plan))


def aws_workload() -> ModuleType:
    """The wiring of target aws, imported for that target only: the provider costs the others nothing."""
    from components.aws import workload

    return workload


def _with_providers(plan: Plan, machine: Machine, opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """Explicit providers: a default one follows whatever context the user's kubectl is switched to."""
    providers = aws_workload().providers(plan.aws) if plan.aws else local_providers(plan, machine)
    tags = [image.tag for image in plan.images if image.tag]
    if tags:
        providers.append(registries_provider(tags, machine.registry_logins))
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=providers))
