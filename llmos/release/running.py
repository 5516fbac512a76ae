"""What a stack runs, as the cluster and, for the pulumi engine, the stack's outputs say: never what its files want."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmos.engines.applyset import FIELD_MANAGER, ApplySet
from llmos.engines.rollout import is_available, stuck_reasons
from llmos.kube import Kube, KubeObject
from llmos.session import Session
from llmos.stacks import Stack
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["Running", "built_references", "fingerprint", "note_source", "read_running"]

_SOURCE = "llmagentos.dev/source"
"""Annotation of the ApplySet: the commit that was deployed, and a fingerprint of what that was."""
_OWN_CONTAINERS = ("application", "server")
_COMMIT_BEHIND = re.compile(r'revision["=\s:,]+([0-9a-f]{40})\b')


@dataclass(frozen=True, kw_only=True)
class Running:
    """Images and revisions that a stack was seen to run, and the commit they come from.

    Attributes:
        stack: its name.
        engine: the engine that deployed it.
        images: reference by application.
        model_images: reference by model.
        revisions: commit of the weights by model; none for models without a hub.
        source_commit: empty where it is not known; with ``-dirty`` behind it where nobody committed what was deployed.
    """

    stack: str
    engine: str
    images: Mapping[str, str]
    model_images: Mapping[str, str]
    revisions: Mapping[str, str]
    source_commit: str


def fingerprint(images: Mapping[str, str], model_images: Mapping[str, str], revisions: Mapping[str, str]) -> str:
    """Short hash of what runs."""
    text = json.dumps([dict(images), dict(model_images), dict(revisions)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def note_source(session: Session, commit: str) -> None:
    """After an ``up`` of the kubectl engine: write beside the objects which commit they come from, for a promotion.

    It stands with a fingerprint of what ran then, so that an ``up`` that broke off cannot lend its images the commit of
    an earlier one.
    """
    kube, plan = _kube(session), session.stack.plan
    applyset = ApplySet(kube=kube, stack=plan.stack, namespace=plan.namespace.name)
    value = f"{commit or 'unknown'} {fingerprint(*_live(session, _deployments(session)))}"
    parent = applyset.parent()
    if parent is None or parent["metadata"].get("annotations", {}).get(_SOURCE) == value:
        return
    kube.run(
        "annotate", "configmap", applyset.parent_name, "-n", plan.namespace.name, f"{_SOURCE}={value}", "--overwrite",
        f"--field-manager={FIELD_MANAGER}",
    )


def built_references(stack: Stack, outputs: Mapping[str, object]) -> list[str]:
    """References of the images that a stack builds, from what it exports after an `up`."""
    images = outputs.get("images")
    found = images if isinstance(images, Mapping) else {}
    built = [app.name for app in stack.plan.applications if stack.plan.image(app.image).build]
    return sorted({str(found[name]) for name in built if name in found})


def read_running(session: Session) -> Running:
    """What the stack runs now.

    Raises:
        UserFault: nothing is deployed, a workload is not healthy, or the last ``up`` did not end; one fault for each.
        EnvironmentFault: the cluster does not answer.
    """
    deployments = _deployments(session)
    where = f"stack {session.stack.name}"
    if not deployments:
        raise UserFault(
            Fault(
                what="nothing of it runs, so nothing can be promoted", where=where,
                fix=f"python3 -m llmos up --stack {session.stack.name}",
            )
        )  # fmt: skip
    faults = _unhealthy(session, deployments)
    if faults:
        raise UserFault(faults)
    live = _live(session, deployments)
    commit = _outputs_commit(session, live) if session.engine.name == "pulumi" else _noted_commit(session, live)
    images, model_images, revisions = live
    return Running(
        stack=session.stack.name, engine=session.engine.name, images=images, model_images=model_images,
        revisions=revisions, source_commit=commit,
    )


def _kube(session: Session) -> Kube:
    if session.kube is None:
        raise EnvironmentFault(
            Fault(
                what=f"what the stack runs cannot be seen: {session.cluster} is not running",
                where=f"stack {session.stack.name}", fix=f"python3 -m llmos up --stack {session.stack.name}",
            )
        )  # fmt: skip
    return session.kube


def _deployments(session: Session) -> list[KubeObject]:
    label = f"app.kubernetes.io/instance={session.stack.name}"
    return _kube(session).get("deployments", "-n", session.stack.plan.namespace.name, "-l", label)


def _unhealthy(session: Session, deployments: Sequence[KubeObject]) -> list[Fault]:
    waiting = [item for item in deployments if not is_available(item)]
    reasons = stuck_reasons(_kube(session), namespace=session.stack.plan.namespace.name, deployments=waiting)
    faults = []
    for item in waiting:
        name, status = item["metadata"]["name"], item.get("status", {})
        why = "; ".join(str(reason) for reason in reasons if reason.subject.startswith(name)) or "no reason given yet"
        faults.append(
            Fault(
                what=f"the version deployed last does not run yet: {status.get('updatedReplicas', 0)} of "
                f"{item['spec'].get('replicas', 1)} replicas are of it, {status.get('availableReplicas', 0)} of all "
                f"are available ({why})",
                where=f"stack {session.stack.name}: deployment {name}",
                nearest="only what was seen to run healthy is promoted",
                fix="mend it, or go back: `up` of the last good commit",
            )
        )
    return faults


_Live = tuple[dict[str, str], dict[str, str], dict[str, str]]


def _live(session: Session, deployments: Sequence[KubeObject]) -> _Live:
    """Images by application, images by model, revisions by model, as the cluster has them."""
    plan = session.stack.plan
    applications, models = {app.name for app in plan.applications}, {model.name for model in plan.models}
    images, model_images, revisions = {}, {}, {}
    for item in deployments:
        name = item["metadata"]["name"]
        spec = item["spec"]["template"]["spec"]
        own = [each for each in spec["containers"] if each["name"] in _OWN_CONTAINERS] or spec["containers"]
        if name in applications:
            images[name] = own[0]["image"]
        elif name in models:
            model_images[name] = own[0]["image"]
            found = _COMMIT_BEHIND.search(json.dumps(spec))
            if found:
                revisions[name] = found[1]
    return images, model_images, revisions


def _noted_commit(session: Session, live: _Live) -> str:
    plan = session.stack.plan
    parent = ApplySet(kube=_kube(session), stack=plan.stack, namespace=plan.namespace.name).parent()
    noted = (parent or {"metadata": {}})["metadata"].get("annotations", {}).get(_SOURCE, "")
    commit, _, mark = noted.partition(" ")
    if mark != fingerprint(*live):
        raise UserFault(_unfinished(session))
    return "" if commit == "unknown" else commit


def _outputs_commit(session: Session, live: _Live) -> str:
    """The commit in the stack's outputs, after holding what they say against the cluster."""
    from llmos.engines import pulumi

    outputs = pulumi.status(session.run).outputs
    stated = tuple(dict(outputs.get(key) or {}) for key in ("images", "model_images"))
    if stated != live[:2]:
        raise UserFault(_unfinished(session))
    return str(outputs.get("source_commit") or "")


def _unfinished(session: Session) -> Fault:
    # Pulumi compares with its state, so that has to learn of the change first.
    refresh = f"python3 -m llmos refresh --stack {session.stack.name}, then " if session.engine.name == "pulumi" else ""
    return Fault(
        what="what runs is not what the last `up` that ended left: one broke off, or somebody changed the cluster",
        where=f"stack {session.stack.name}",
        nearest=f"see the difference: python3 -m llmos diff --stack {session.stack.name}",
        fix=f"{refresh}python3 -m llmos up --stack {session.stack.name}, then promote",
    )
