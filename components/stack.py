"""LlmStack: the only wiring. It turns a plan into components and decides nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_docker_build as docker_build
import pulumi_kubernetes as k8s

from components._base import Component, Identity, awaited
from components._docker import registries_provider
from components.app_image import AppImage, AppImageArgs
from components.application import Application, ApplicationArgs, Backend
from components.autoscaler import Autoscaler, AutoscalerArgs
from components.endpoint import Endpoint, EndpointArgs
from components.gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from components.model_server import ModelServer, ModelServerArgs
from components.namespace import Namespace, NamespaceArgs
from components.registry import Registry, RegistryArgs
from components.registry_image import RegistryImage, RegistryImageArgs
from planner.plan import ApplicationPlan, ModelPlan, Plan

__all__ = ["LlmStack", "LlmStackArgs", "Machine"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the program is told about the machine it runs on; none of it enters the plan.

    Attributes:
        kubeconfig: file that describes the cluster; empty for the usual places of kubectl.
        registry: address of the local registry where it differs from the plan's; empty otherwise.
        base_image: base image for builds where the Dockerfile's own cannot be pulled; empty otherwise.
        ca_bundle: PEM text of a company's certificates for downloads during builds; empty for none.
        pip_config: a pip.conf that names a company's package index for builds; empty for none.
        source_commit: commit that the stack is deployed from; empty where it is not known.
        registry_logins: registries that the Docker client is logged in to; names only.
        commit_epochs: when build folders were last committed, in seconds since 1970, by folder as in the plan.
    """

    kubeconfig: str = ""
    registry: str = ""
    base_image: str = ""
    ca_bundle: str = ""
    pip_config: str = ""
    source_commit: str = ""
    registry_logins: tuple[str, ...] = ()
    commit_epochs: Mapping[str, int] = field(default_factory=dict)
    allow_replace: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LlmStackArgs:
    """What a stack is given: the plan, and the machine."""

    plan: Plan
    machine: Machine = Machine()


class LlmStack(Component):
    """Everything of one stack file.

    Its inputs ``environment``, ``budget`` and ``release`` are registered with the engine, so that policies can hold the
    stack to the budget it states for itself, and its images to the signatures they were promoted with.

    Outputs:
        summary: namespace, image digests, endpoints and list price, for ``pulumi stack output`` and promotion.
    """

    summary: dict[str, Any]

    def __init__(self, name: str, args: LlmStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        plan = args.plan
        super().__init__(name, props=_stated(plan), opts=_with_providers(plan, args.machine, opts))
        self._plan, self._machine = plan, args.machine
        self._identity = Identity(
            stack=plan.stack, namespace=plan.namespace.name, durable=plan.environment != "dev",
            allow_replace=(*plan.allow_replace, *args.machine.allow_replace),
        )
        self._namespace = Namespace(
            "namespace", NamespaceArgs(identity=self._identity, space=plan.namespace), self.child()
        )
        self._registry = Registry(
            "registry",
            RegistryArgs(
                server=self._machine.registry or plan.registry.server,
                pull_secret=plan.registry.pull_secret,
                stack=plan.stack,
            ),
            self.child(),
        )
        self._images = self._build_images()
        self._pool = self._gpu_pool()
        servers = {model.name: self._model_server(model) for model in plan.models}
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
        self.register_outputs({**_stated(plan), **self.summary})

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
                    base_image=image.base_image or self._machine.base_image,
                    ca_bundle=self._machine.ca_bundle,
                    pip_config=self._machine.pip_config,
                    builds=self._plan.builds,
                    commit_epoch=self._machine.commit_epochs.get(image.build),
                ),
                self.child(),
            ).ref
        return refs

    def _gpu_pool(self) -> GpuNodePool | None:
        pool = self._plan.gpu_pool
        if pool is None:
            return None
        return GpuNodePool("gpu-pool", GpuNodePoolArgs(identity=self._identity, pool=pool), self.child())

    def _model_server(self, model: ModelPlan) -> ModelServer:
        pool = self._pool if model.gpus else None
        server = ModelServer(
            model.name,
            ModelServerArgs(
                identity=self._identity,
                model=model,
                image=self._images[model.image],
                pull_secret=self._pull_secret(model.image),
                node_selector=pool.node_selector if pool else {},
                scrape=self._plan.scrape,
            ),
            # The pool outlives the servers when a stack goes: Karpenter can then drain and remove its nodes.
            self.child(depends_on=[self._namespace, *([pool] if pool else [])]),
        )
        Autoscaler(
            f"{model.name}-scaling",
            AutoscalerArgs(
                identity=self._identity, workload=model.name,
                replicas_min=model.replicas_min, replicas_max=model.replicas_max,
                prometheus_url=self._plan.prometheus_url if model.autoscaling == "keda" else "",
                gateway=model.gateway, start_seconds=model.load_timeout_seconds, schedule=model.schedule,
            ),
            self.child(depends_on=[self._namespace]),
        )
        return server

    def _application(self, plan: ApplicationPlan, server: ModelServer | None) -> Endpoint:
        backend = Backend(url=server.url, model=plan.model, way=server.way_in) if server else None
        application = Application(
            plan.name,
            ApplicationArgs(
                identity=self._identity,
                application=plan,
                image=self._images[plan.image],
                pull_secret=self._pull_secret(plan.image),
                backend=backend,
            ),
            self.child(depends_on=[self._namespace]),
        )
        Autoscaler(
            f"{plan.name}-scaling",
            AutoscalerArgs(
                identity=self._identity, workload=plan.name, replicas_min=plan.replicas_min,
                replicas_max=plan.replicas_max, cpu_percent=plan.autoscale_cpu_percent, schedule=plan.schedule,
            ),
            self.child(depends_on=[self._namespace]),
        )
        return Endpoint(
            f"{plan.name}-endpoint",
            EndpointArgs(
                identity=self._identity, application=plan.name, type=plan.endpoint_type, port=plan.endpoint_port,
                target_port=plan.port, auth=plan.endpoint_auth,
            ),
            self.child(depends_on=[self._namespace, application]),
        )

    def _pull_secret(self, image: str) -> str:
        """The registry's Secret, for images that come from it."""
        found = self._plan.image(image)
        given = found.ref or found.tag
        own = bool(found.build) or found.awaited or given.startswith(f"{self._plan.registry.server}/")
        return self._registry.pull_secret if own else ""


def _stated(plan: Plan) -> dict[str, Any]:
    names = {"usd_per_month": "usdPerMonth", "gpus": "gpus", "memory_gib": "memoryGib"}
    budget = {names[key]: value for key, value in plan.budget.items()}
    signatures = [{"payload": payload, "signature": signature} for payload, signature in plan.signatures]
    release = {"release": {"sourceCommit": plan.source_commit, "signatures": signatures}} if plan.released else {}
    return {
        "stack": plan.stack,
        "environment": plan.environment,
        "budget": {**budget, "file": plan.stack_file} if budget else {},
        **release,
    }


def _with_providers(plan: Plan, machine: Machine, opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """Explicit providers: a default one follows whatever context the user's kubectl is switched to."""
    cluster = k8s.Provider(
        "cluster",
        kubeconfig=machine.kubeconfig or None,
        context=plan.context or None,
        # Without it, any edit of the kubeconfig looks like another cluster, and everything is replaced.
        cluster_identifier=f"llmagentos-{plan.target}-{plan.context or 'embedded'}",
        enable_server_side_apply=True,
    )
    providers = [cluster, docker_build.Provider("images")]
    tags = [image.tag for image in plan.images if image.tag]
    if tags:
        providers.append(registries_provider(tags, machine.registry_logins))
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=providers))
