"""What each application is given."""

from __future__ import annotations

import math
from dataclasses import replace

from planner.plan.canary import plan_canary
from planner.plan.rollout import APPLICATION_START_SECONDS, rollout_seconds
from planner.plan.schedules import lead_minutes, plan_schedule
from planner.plan.types import ApplicationPlan, ImagePlan, QueuePlan
from planner.settings import Application, StackSettings, cpu_cores, memory_gib
from planner.settings.models import Model
from planner.sizing import Sizing

__all__ = ["plan_applications", "stream_seconds"]

# Longest and shortest time that an open stream is given to end. 600 s is what cloud load balancers allow at most for
# draining in their defaults; 30 s is Kubernetes' own default for any pod.
_STREAM_SECONDS = (30, 600)


def stream_seconds(model: Model | None) -> int:
    """The longest that one answer can take: a whole context of output at the promised time per token, within bounds."""
    if model is None:
        return _STREAM_SECONDS[0]
    seconds = math.ceil(model.context_tokens * model.slo.tpot_ms / 1000)
    return max(_STREAM_SECONDS[0], min(_STREAM_SECONDS[1], seconds))


def plan_applications(
    settings: StackSettings, *, images: dict[str, ImagePlan], namespace: str, sizing: Sizing | None = None,
    lock_file: str = "",
) -> tuple[ApplicationPlan, ...]:
    """One plan per application, by name; ``namespace`` is where they run, ``sizing`` holds schedules."""
    plans = (
        replace(
            _plan(name, application, image=images[name], model=settings.models.get(application.model_key)),
            queue=_queue(name, settings, namespace=namespace),
        )
        for name, application in sorted(settings.applications.items())
    )
    return tuple(_scheduled(plan, settings, sizing, lock_file) for plan in plans)


def _queue(name: str, settings: StackSettings, *, namespace: str) -> QueuePlan | None:
    replicas, url = settings.applications[name].replicas, settings.observability.prometheus_url
    stated = None if isinstance(replicas, int) else replicas.queue
    if stated is None or url is None:
        return None
    # By the pods' names, which every way of collecting metrics keeps. A Deployment's pods have two more parts without a
    # dash in them, so that those of `web-large` and of a canary of `web` are not taken for those of `web`.
    pods = f"{name}-[a-z0-9]+-[a-z0-9]{{5}}"
    query = f'sum({stated.metric}{{namespace="{namespace}",pod=~"{pods}"}})'
    return QueuePlan(prometheus_url=url, query=query, per_replica=stated.per_replica)


def _scheduled(
    plan: ApplicationPlan, settings: StackSettings, sizing: Sizing | None, lock_file: str
) -> ApplicationPlan:
    replicas = settings.applications[plan.name].replicas
    path = f"applications.{plan.name}"
    if isinstance(replicas, int) or replicas.history is None or sizing is None or path not in sizing.schedules:
        return plan
    lead = lead_minutes(0, on_gpu=False)
    return replace(
        plan,
        replicas_min=sizing.schedules[path].otherwise,
        schedule=plan_schedule(path, sizing, lead=lead, where=lock_file),
    )


def _plan(name: str, application: Application, *, image: ImagePlan, model: Model | None) -> ApplicationPlan:
    replicas = application.replicas
    fixed = isinstance(replicas, int)
    wants_key = application.endpoint.auth == "api-key" and "API_KEYS" not in application.secrets
    generated = f"{name}-api-keys" if wants_key else ""
    secrets = {key: (ref.secret, ref.key) for key, ref in sorted(application.secrets.items())}
    if generated:
        secrets["API_KEYS"] = (generated, "keys")
    return ApplicationPlan(
        name=name,
        image=image.name,
        preset=application.preset or "",
        command=application.command or (),
        model=application.model_key,
        adapter=application.adapter,
        replicas_min=replicas if fixed else replicas.min,
        replicas_max=replicas if fixed else replicas.max,
        autoscale_cpu_percent=0 if fixed else replicas.cpu_percent,
        port=application.port,
        cpu_cores=cpu_cores(application.resources.cpu),
        memory_gib=memory_gib(application.resources.memory),
        env=dict(sorted(application.env.items())),
        secrets=secrets,
        generated_key_secret=generated,
        endpoint_port=application.endpoint.port,
        endpoint_type=application.endpoint.type,
        endpoint_auth=application.endpoint.auth,
        endpoint_create=application.endpoint.create,
        stream_seconds=stream_seconds(model),
        rollout_timeout_seconds=rollout_seconds(
            replicas=replicas if fixed else replicas.max, start_seconds=APPLICATION_START_SECONDS,
            stream_seconds=stream_seconds(model),
        ),
        pod_overrides=application.pod_overrides,
        canary=plan_canary(application.canary, replicas=replicas if fixed else replicas.min),
    )
