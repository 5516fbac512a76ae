"""The program with canaries: the same one, told of which applications it makes one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from llmos.session import Session
from planner.machine import CANARIES
from planner.plan import ApplicationPlan, Plan

__all__ = ["asked", "hindrance", "with_canaries"]


def asked(plan: Plan) -> tuple[ApplicationPlan, ...]:
    """The applications whose settings ask for a canary."""
    return tuple(application for application in plan.applications if application.canary)


def hindrance(session: Session) -> str:
    """Why no canary could be watched there; empty where it can."""
    if session.simulated:
        return "pods that are simulated answer nothing that could be watched"
    if session.kube is None:
        return "the cluster is not reached by kubectl, so nothing can be asked how the new version does"
    return ""


@contextmanager
def with_canaries(applications: Iterable[ApplicationPlan]) -> Iterator[None]:
    """Let programs that are synthesised inside make the canaries of these applications."""
    before = os.environ.get(CANARIES)
    os.environ[CANARIES] = " ".join(application.name for application in applications)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CANARIES]
        else:
            os.environ[CANARIES] = before
