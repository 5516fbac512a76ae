"""A canary on the kubectl engine: the new version beside the old one, then the rollout or the way back.

Until the verdict nothing that exists is changed: what the new version needs and does not exist yet is created, and so
is the canary. All of it belongs to the stack's ApplySet, so the next `up` or `destroy` after a killed one removes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmos.canary.verdict import Verdict
from llmos.canary.watch import Pods, watch
from llmos.engines.admit import admit_pods
from llmos.engines.applyset import ApplySet, delete_objects
from llmos.engines.base import EngineRun
from llmos.engines.planned import answers_of
from llmos.engines.rollout import wait_available
from llmos.kube import Kube, KubeObject, identity
from llmos.objects import kubernetes_objects
from llmos.synth import Program
from planner.faults import Fault, UserFault
from planner.plan import ApplicationPlan, canary_objects

__all__ = ["KEPT", "Canaries", "announce", "refuse_bad", "serves", "try_out"]

_NAME = "kubectl"
KEPT = ("PersistentVolumeClaim", "Secret")
"""What stays of a canary that is stopped, not to be made twice: filled caches, and keys that callers may have."""


@dataclass(frozen=True, kw_only=True)
class Canaries:
    """What could be tried first.

    Attributes:
        program: the stack with a canary of every application that asks for one.
        applications: these applications.
        stack_file: name of the file that asks for them.
    """

    program: Program
    applications: tuple[ApplicationPlan, ...]
    stack_file: str


def try_out(
    kube: Kube, run: EngineRun, program: Program, canaries: Canaries, *, applyset: ApplySet, timeout_seconds: float
) -> None:
    """Run canaries of the applications whose pods would change, and come back when all of them are good.

    They go with the ``apply`` that follows, which prunes them.

    Raises:
        UserFault: one is stopped; it is gone, and what served before goes on.
        EnvironmentFault: its pods do not become ready; likewise.
    """
    tried = _changed(kube, run, program, canaries.applications)
    if not tried or applyset.parent() is None:
        return
    made = _made(kube, program, canaries.program, tried)
    admit_pods(kube, made)
    announce(run, tried)
    try:
        applyset.add(made, force=run.force_conflicts)
        wait_available(
            kube, namespace=run.namespace, stack=run.stack, progress=run.progress, timeout_seconds=timeout_seconds,
            names=[item["metadata"]["name"] for item in made if item["kind"] == "Deployment"],
        )
        refuse_bad(kube, run, tried, canaries.stack_file)
    except BaseException:
        # Also on Ctrl-C: nobody would watch it any more.
        delete_objects(kube, [item for item in made if item["kind"] not in KEPT])
        raise


def serves(run: EngineRun, application: ApplicationPlan, deployment: KubeObject) -> bool:
    """Whether there is an old version that a new one could be tried beside; else that is said."""
    if deployment.get("status", {}).get("availableReplicas", 0):
        return True
    run.progress(f"no canary of {application.name}: of the old version nothing serves")
    return False


def announce(run: EngineRun, tried: Iterable[ApplicationPlan]) -> None:
    """Say what begins."""
    for application in tried:
        assert application.canary
        run.progress(
            f"canary of {application.name}: {application.canary.replicas} pods of the new version beside the others, "
            f"watched for {application.canary.watch_seconds} s"
        )


def refuse_bad(kube: Kube, run: EngineRun, tried: Iterable[ApplicationPlan], stack_file: str) -> None:
    """Watch the canaries, all at the same time, until one is stopped or all are good.

    Raises:
        UserFault: one fault for each that is stopped.
    """
    watched = [Pods(kube=kube, namespace=run.namespace, stack=run.stack, application=one) for one in tried]
    for pods in watched:
        pods.read(canary=False)
    said = list(zip(watched, watch(watched), strict=True))
    faults = [fault for pods, found in said if (fault := _fault(run, pods, found, stack_file))]
    if faults:
        raise UserFault(faults)


def _changed(
    kube: Kube, run: EngineRun, program: Program, applications: Iterable[ApplicationPlan]
) -> list[ApplicationPlan]:
    """Those whose old version serves and whose pods would be other ones, as the server sees it."""
    names = {application.name for application in applications}
    wanted = [
        item for item in kubernetes_objects(program, engine=_NAME)
        if item["kind"] == "Deployment" and item["metadata"]["name"] in names
    ]  # fmt: skip
    live = kube.live(wanted)
    there = [item for item in wanted if identity(item) in live]
    stored = answers_of(run, kube, there, program, namespace_exists=True).stored if there else {}
    found = []
    for application in applications:
        key = ("Deployment", run.namespace, application.name)
        if key not in stored or stored[key]["spec"]["template"] == live[key]["spec"]["template"]:
            continue
        if serves(run, application, live[key]):
            found.append(application)
    return found


def _made(kube: Kube, program: Program, beside: Program, tried: Sequence[ApplicationPlan]) -> list[KubeObject]:
    """The canaries, and what else of the new version does not exist yet."""
    usual = kubernetes_objects(program, engine=_NAME)
    live, known = kube.live(usual), {identity(item) for item in usual}
    own = canary_objects(application.name for application in tried)
    return [
        item for item in kubernetes_objects(beside, engine=_NAME)
        if item["kind"] != "Namespace" and identity(item) not in live
        and (identity(item) in known or item["metadata"]["name"] in own)
    ]  # fmt: skip


def _fault(run: EngineRun, pods: Pods, found: Verdict, stack_file: str) -> Fault | None:
    name = pods.application.name
    pods.read(canary=False)
    others = pods.seen(canary=False)
    beside = f"the version that serves: error rate {others.error_rate:.3g} over {others.requests} requests"
    if found.says == "go":
        run.progress(f"canary of {name} is good{' enough' if found.few else ''}: {found.why}; {beside}")
    if found.says != "stop":
        return None
    few = "send it more requests, watch longer (watch_seconds), lower min_requests, or set when_too_few: proceed; "
    return Fault(
        what=f"canary of `{name}` stopped: {found.why}", where=f"{stack_file}: applications.{name}.canary",
        nearest=f"{beside}, and goes on",
        fix=f"{few if found.few else 'mend the new version; '}`up --no-canary` rolls out without a canary",
    )
