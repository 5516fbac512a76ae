"""The program with canaries: the same one, told of which applications it makes one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from planner.machine import CANARIES
from planner.plan import ApplicationPlan, Plan

__all__ = ["asked", "with_canaries"]


def asked(plan: Plan) -> tuple[ApplicationPlan, ...]:
    """The applications whose settings ask for a canary."""
    return tuple(application for application in plan.applications if application.canary)


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
