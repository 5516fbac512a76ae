"""Application: the program that users talk to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import pulumi

from components._base import Component, Identity, meta
from components._canary import canary_flows, canary_spec
from components._kubernetes import KubernetesObject
from components._metrics import pod_monitor
from components._network import to_dns
from components._pod import container, env_list, http_probes, merge, patience, pod_spec, volume, writable
from planner.plan import APPLICATION_START_SECONDS, TRACK, ApplicationPlan, ScrapePlan, canary_egress, canary_name

__all__ = ["Application", "ApplicationArgs", "Backend"]

# The sample application's own default of DRAIN_DELAY_SECONDS.
_DRAIN_DELAY_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The model server that answers: base URL, name of the model, and the NetworkPolicy rule that leads there."""

    url: pulumi.Input[str]
    model: str
    way: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ApplicationArgs:
    """What an application is given.

    Attributes:
        identity: stack and namespace.
        application: the plan's decisions.
        image: image with digest.
        pull_secret: Secret that pods pull with; empty for none.
        backend: the model server; None lets the sample application answer by its in-process tiny model.
        canary: make the plan's canary of this version as well, for an engine that leaves the Deployment as it is.
        scrape: who collects its metrics; None for nobody.
    """

    identity: Identity
    application: ApplicationPlan
    image: pulumi.Input[str]
    pull_secret: str
    backend: Backend | None
    canary: bool = False
    scrape: ScrapePlan | None = None


class Application(Component):
    """Deployment of one application with its own ServiceAccount, NetworkPolicy and, where none is named, API keys.

    Outputs:
        key_secret: name of the Secret with the callers' API keys; empty when the endpoint asks for none.
    """

    key_secret: pulumi.Output[str]

    def __init__(self, name: str, args: ApplicationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        application, identity = args.application, args.identity
        account = KubernetesObject(
            "v1", "ServiceAccount",
            name,
            metadata=meta(identity, name, "application"),
            automountServiceAccountToken=False,
            opts=self.child(),
        )
        policy = KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy",
            f"{name}-egress",
            metadata=meta(identity, f"{name}-egress", "application"),
            spec=_egress(name, args),
            opts=self.child(),
        )
        autoscaled = application.autoscale_cpu_percent > 0
        KubernetesObject(
            "apps/v1", "Deployment",
            name,
            metadata=meta(
                identity, name, "application", annotations=patience(application.rollout_timeout_seconds)
            ),
            spec=_deployment_spec(name, args),
            opts=self.child(
                depends_on=[account, policy, *self._generated_keys(args)],
                protect=identity.guarded("Deployment", name),
                # The autoscaler owns the count: without this every update would go back to the minimum.
                ignore_changes=["spec.replicas"] if autoscaled else None,
            ),
        )
        if args.canary and application.canary:
            self._canary(name, args, replicas=application.canary.replicas, after=[account])
        pod_monitor(self, identity, name, args.scrape, part="application", selector=identity.selector(name))
        self.key_secret = pulumi.Output.from_input(application.secrets.get("API_KEYS", ("", ""))[0])
        self.register_outputs({"key_secret": self.key_secret})

    def _canary(
        self, name: str, args: ApplicationArgs, *, replicas: int, after: list[pulumi.Resource]
    ) -> None:
        identity, canary, egress = args.identity, canary_name(name), canary_egress(name)
        labels = {"labels": {**identity.labels(name, "canary"), TRACK[0]: TRACK[1]}}
        policy = KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy",
            egress,
            metadata=meta(identity, egress, "canary") | labels,
            spec=canary_flows(_egress(name, args)),
            opts=self.child(),
        )
        KubernetesObject(
            "apps/v1", "Deployment",
            canary,
            metadata=meta(
                identity, canary, "canary", annotations=patience(args.application.rollout_timeout_seconds)
            ) | labels,
            spec=canary_spec(_deployment_spec(name, args), replicas=replicas),
            opts=self.child(depends_on=[*after, policy]),
        )

    def _generated_keys(self, args: ApplicationArgs) -> list[pulumi.Resource]:
        """A Secret with one random API key, made once and kept: later runs ignore the new random value."""
        secret = args.application.generated_key_secret
        if not secret:
            return []
        made = KubernetesObject(
            "v1", "Secret",
            secret,
            metadata=meta(args.identity, secret, "api-keys"),
            stringData={"keys": pulumi.Output.secret(secrets.token_urlsafe(32))},
            opts=self.child(ignore_changes=["stringData", "data"]),
        )
        return [made]


def _egress(name: str, args: ApplicationArgs) -> dict[str, Any]:
    """To DNS and the model server; the endpoint opens the way in."""
    backend = args.backend
    flows = [to_dns(), backend.way] if backend else []
    return {
        "podSelector": {"matchLabels": args.identity.selector(name)},
        "policyTypes": ["Egress"],
        "egress": flows,
    }


def _deployment_spec(name: str, args: ApplicationArgs) -> dict[str, Any]:
    application, selector = args.application, args.identity.selector(name)
    pod = pod_spec(
        service_account=name,
        selector=selector,
        containers=[_container(args)],
        volumes=[volume("tmp", "256Mi")],
        stream_seconds=application.stream_seconds,
        pull_secret=args.pull_secret,
    )
    return {
        "replicas": application.replicas_min,
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": selector},
        # A new pod must be ready before an old one goes, so that no request meets fewer replicas than promised.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": args.identity.labels(name, "application")},
            "spec": merge(pod, application.pod_overrides),
        },
    }


def _container(args: ApplicationArgs) -> dict[str, Any]:
    application = args.application
    # A stream may begin as late as the delay ends, and is to end whole too.
    drain_seconds = _DRAIN_DELAY_SECONDS + application.stream_seconds
    values: dict[str, Any] = {"PORT": str(application.port), "DRAIN_SECONDS": str(drain_seconds)}
    if application.preset:
        values["PRESET"] = application.preset
    if args.backend:
        values |= {"BACKEND_URL": args.backend.url, "BACKEND_MODEL": args.backend.model}
    if application.endpoint_auth == "none":
        values["ALLOW_ANONYMOUS"] = "true"
    memory = f"{round(application.memory_gib * 1024)}Mi"
    cpu_millis = round(application.cpu_cores * 1000)
    command = {"command": list(application.command)} if application.command else {}
    return container(
        name="application",
        image=args.image,
        port=application.port,
        env=env_list({**values, **application.env}, application.secrets),
        resources={
            "requests": {"cpu": f"{cpu_millis}m", "memory": memory},
            "limits": {"cpu": f"{4 * cpu_millis}m", "memory": memory},
        },
        volumeMounts=[writable("tmp", "/tmp")],
        **http_probes(startup="/healthz", ready="/readyz", alive="/healthz", start_seconds=APPLICATION_START_SECONDS),
        **command,
    )
