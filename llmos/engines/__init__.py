"""Which engine does the work: Pulumi's own, or kubectl where the Pulumi CLI cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from llmos.engines import pulumi_cli

__all__ = ["Choice", "EngineName", "choose"]

EngineName = Literal["pulumi", "kubectl"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An engine and the reason for it, which ``up`` and ``preview`` print in one line."""

    name: EngineName
    why: str


def choose(wanted: str, *, owner: str = "", install: bool = True, obstacle: Callable[[], str] = str) -> Choice:
    """Choose the engine.

    Args:
        wanted: ``auto``, ``pulumi`` or ``kubectl``, as the user said.
        owner: engine that deployed the stack before, from the namespace's label; empty when there is none. ``auto``
            stays with it, because two engines on one namespace would undo each other's work.
        install: whether the Pulumi CLI may be downloaded.
        obstacle: says why Pulumi's engine could not deploy this stack here, or nothing; asked only where it would
            otherwise be taken.
    """
    if wanted in ("pulumi", "kubectl"):
        return Choice(name=wanted, why="asked for by --engine")
    if owner in ("pulumi", "kubectl"):
        return Choice(name=owner, why="it deployed this stack before")
    found = pulumi_cli.find()
    if not found and not (install and pulumi_cli.can_install()):
        return Choice(name="kubectl", why="the Pulumi CLI is not on PATH and cannot be downloaded from here")
    problem = obstacle()
    if problem:
        return Choice(name="kubectl", why=f"the pulumi engine cannot be used here: {problem}")
    return Choice(name="pulumi", why=f"the Pulumi CLI is at {found}" if found else "the Pulumi CLI can be downloaded")
