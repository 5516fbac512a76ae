"""A canary on the pulumi engine: an update of what is new alone, then the update of everything, or the way back.

The same program makes it, told by its environment; targets hold the first update to what the state does not have. Plain
`pulumi up` tells it nothing, makes none, and removes what a killed run left.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Sequence

from llmos.engines.canary import KEPT, Canaries, announce, refuse_bad, serves
from llmos.engines.kubectl import kube_of
from llmos.engines.pulumi_diff import differences
from llmos.engines.pulumi_events import EventLog
from llmos.engines.pulumi_session import PulumiSession, guarded, read_state
from llmos.objects import kubernetes_objects
from llmos.synth import IMAGE_TYPE, Program
from planner.machine import CANARIES
from planner.plan import ApplicationPlan, canary_objects

__all__ = ["try_out"]

_STACK_TYPE = "llmagentos:components:LlmStack"


def try_out(session: PulumiSession, program: Program, canaries: Canaries) -> None:
    """Run canaries of the applications whose pods would change, and come back when all of them are good. They go with
    the update that follows.

    Raises:
        As ``canary.try_out`` of the kubectl engine.
    """
    run = session.run
    if shutil.which(str(run.kubectl or "kubectl")) is None:
        run.progress("no canary: without kubectl nothing can be asked how the new version does")
        return
    tried = _changed(session, program, canaries.applications)
    if not tried:
        return
    announce(run, tried)
    before = set(_state(session))
    env = session.stack.workspace.env_vars
    try:
        env[CANARIES] = " ".join(application.name for application in tried)
        _update(session, _targets(canaries, tried, before))
        refuse_bad(kube_of(run), run, tried, canaries.stack_file)
    except BaseException:
        env.pop(CANARIES, None)
        _remove(session, before)
        raise
    finally:
        env.pop(CANARIES, None)


def _changed(
    session: PulumiSession, program: Program, applications: Iterable[ApplicationPlan]
) -> list[ApplicationPlan]:
    """As the server sees it; an image that is yet to be built is another one."""
    run = session.run
    names = {application.name for application in applications}
    alone = dataclasses.replace(program, resources=tuple(
        one for one in program.resources
        if one.type.endswith(":Deployment") and one.inputs["metadata"]["name"] in names
    ))  # fmt: skip
    live = kube_of(run).live(kubernetes_objects(alone))
    found = differences(run, alone)
    tried = []
    for application in applications:
        key = ("Deployment", run.namespace, application.name)
        old, new = found.get(key, (None, None))
        if old is None or new is None or old["spec"]["template"] == new["spec"]["template"]:
            continue
        if serves(run, application, live[key]):
            tried.append(application)
    return tried


def _targets(canaries: Canaries, tried: Sequence[ApplicationPlan], before: set[str]) -> list[str]:
    """What the state does not have, the images that are built, and the stack, which states what its policies read."""
    others = canary_objects({one.name for one in canaries.applications} - {one.name for one in tried})
    return [
        one.urn for one in canaries.program.resources
        if one.name not in others and (one.urn not in before or one.type in (IMAGE_TYPE, _STACK_TYPE))
    ]  # fmt: skip


def _update(session: PulumiSession, targets: list[str]) -> None:
    run, log = session.run, EventLog(progress=session.run.progress)
    guarded(
        lambda: session.stack.up(
            target=targets, on_event=log.feed, policy_packs=[str(run.policy_pack)],
            policy_pack_configs=[str(run.policy_config)], color="never", show_secrets=False, suppress_outputs=True,
            suppress_progress=True,
        ),
        session=session, log=log, doing="up",
    )  # fmt: skip


def _remove(session: PulumiSession, before: set[str]) -> None:
    """What came with the canary."""
    made = [
        urn for urn, kind in _state(session).items()
        if urn not in before and kind.startswith("kubernetes:") and not kind.endswith(tuple(f":{one}" for one in KEPT))
    ]  # fmt: skip
    if made:
        log = EventLog(progress=session.run.progress)
        guarded(
            lambda: session.stack.destroy(
                target=made, on_event=log.feed, color="never", show_secrets=False, suppress_progress=True
            ),
            session=session, log=log, doing="destroy",
        )  # fmt: skip


def _state(session: PulumiSession) -> dict[str, str]:
    """Types of the resources that the state has, by URN."""
    resources = read_state(session)["deployment"].get("resources") or ()
    return {resource["urn"]: resource["type"] for resource in resources}
