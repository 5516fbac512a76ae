"""``up`` on the kubectl engine: under the stack's lock, in an order in which a run killed anywhere can be repeated.

What a run leaves is always found again: the namespace carries the engine's name from its creation, kubectl lists an
ApplySet's kinds in its parent before it writes the first object of them, and every object is labelled as it is written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence

from llmos.engines.admit import admit_pods
from llmos.engines.applyset import FIELD_MANAGER, ApplySet, delete_objects, raise_refusal
from llmos.engines.base import ENGINE_LABEL, EngineResult, EngineRun
from llmos.engines.canary import Canaries, try_out
from llmos.engines.counts import release
from llmos.engines.gates import refuse
from llmos.engines.kubectl import NAME, kube_of, namespace_of, preview, wanted_objects
from llmos.engines.lock import hold
from llmos.engines.planned import claims_of, delete_replaced
from llmos.engines.rollout import has_failed, wait_available
from llmos.engines.shapes import going
from llmos.engines.teardown import await_deleted, settled_namespace
from llmos.kube import Kube, KubeObject, as_list
from llmos.objects import kubernetes_objects
from llmos.synth import Program
from planner.faults import Fault, UserFault

__all__ = ["up"]


def up(
    run: EngineRun, program: Program, *, timeout_seconds: float, canaries: Canaries | None = None
) -> EngineResult:
    """Apply the program, prune what it no longer has, and wait until its Deployments are available.

    Args:
        run: stack and cluster.
        program: synthesised with real digests.
        timeout_seconds: longest wait for the Deployments.
        canaries: of applications whose new version is tried first; None for none.

    Raises:
        As ``kubectl.preview``; ``UserFault`` for what is not allowed by name, and for a canary that is stopped; and
        ``EnvironmentFault`` when another run holds the stack or takes it away, and with the reason of every Deployment
        that does not come up.
    """
    started = time.monotonic()
    kube, objects = kube_of(run), kubernetes_objects(program, engine=NAME)
    actions = None
    if settled_namespace(kube, run) is None:
        # The lock lives in the namespace. Everything is asked of the server before the first thing is created.
        actions = preview(run, program)
        _create_namespace(kube, run, objects)
    with hold(
        kube, stack=run.stack, namespace=run.namespace, command=run.command, progress=run.progress
    ) as held:
        applyset = ApplySet(kube=held.kube, stack=run.stack, namespace=run.namespace)
        state = applyset.state()
        actions = actions or preview(run, program, state=state)
        refuse(actions, run)
        if canaries:
            try_out(held.kube, run, program, canaries, applyset=applyset, timeout_seconds=timeout_seconds)
        failed = [item for item in state.members if item["kind"] == "Job" and has_failed(item)]
        for job in failed:
            run.progress(f"  Job {job['metadata']['name']} has given up; it is made again")
        if failed or any(action.action != "same" for action in actions) or not state.is_settled(objects):
            # First, because afterwards the parent exists and nothing would look for them any more.
            delete_objects(held.kube, [*state.strays(objects), *failed])
            for action in actions:
                if action.action == "delete" and action.replaces:
                    delete_replaced(held.kube, action)
            release(held.kube, claims_of(run, held.kube, objects, program))
            _apply(held.kube, run, program, applyset)
        wait_available(
            held.kube, namespace=run.namespace, stack=run.stack, progress=run.progress, timeout_seconds=timeout_seconds
        )
    return EngineResult(actions=actions, outputs=program.outputs, duration_seconds=time.monotonic() - started)


def _apply(kube: Kube, run: EngineRun, program: Program, applyset: ApplySet) -> None:
    objects = kubernetes_objects(program, engine=NAME)
    live = kube.live(objects)
    if any(going(item) for item in live.values()):
        # What a killed `destroy` has marked for deletion would take everything that is written to it along.
        await_deleted(kube, live.values(), run.progress)
        live = kube.live(objects)
    wanted = wanted_objects(objects, live, program)
    _apply_namespace(kube, [item for item in wanted if item["kind"] == "Namespace"], force=run.force_conflicts)
    admit_pods(kube, wanted)
    applyset.apply([item for item in wanted if item["kind"] != "Namespace"], force=run.force_conflicts)


def _create_namespace(kube: Kube, run: EngineRun, objects: Iterable[KubeObject]) -> None:
    """Create the bare namespace with its owner's mark; its labels come with the first apply, under the lock.

    Raises:
        UserFault: the stack does not create its namespace, and nobody else has.
    """
    if not any(item["kind"] == "Namespace" for item in objects):
        raise UserFault(
            Fault(
                what="the namespace does not exist, and the stack file says that it is not the stack's to create",
                where=f"namespace {run.namespace}",
                fix=f"`kubectl create namespace {run.namespace}`, or `namespace: {{create: true}}` in the stack file",
            )
        )
    bare = {
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": run.namespace, "labels": {ENGINE_LABEL: NAME}},
    }  # fmt: skip
    done = kube.run(
        "create", f"--field-manager={FIELD_MANAGER}", "-f", "-", stdin=json.dumps(bare), check=False
    )
    if done.returncode != 0 and "(AlreadyExists)" not in done.stderr:
        raise_refusal(done.stderr)
    # Somebody else may have been faster; then it must be ours to use.
    namespace_of(kube, run)


def _apply_namespace(kube: Kube, namespaces: Sequence[KubeObject], *, force: bool) -> None:
    """The namespace is applied outside the ApplySet: pruned with it, everything inside would go too."""
    if namespaces:
        done = kube.run(
            "apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-",
            *(["--force-conflicts"] if force else []), stdin=as_list(namespaces), check=False,
        )
        if done.returncode != 0:
            raise_refusal(done.stderr)
