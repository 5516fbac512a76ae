"""Conflicts of server-side apply: who owns the field, and what gives it back. The same words for either engine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from planner.faults import Fault

__all__ = ["Conflict", "conflict_fault", "conflicts"]

_CONFLICT = re.compile(
    r'conflicts? with "(?P<owner>[^"]+)"(?: with subresource "(?P<subresource>[^"]+)")?(?: using [^\s:]+)?(?: at .*?)?:'
    r"(?P<fields>(?:\s*-? ?\.\S+)+)"
)
_BY_HAND = re.compile(r"^(kubectl|k9s|lens|node-fetch|Mozilla|dashboard)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Fields of an object that another field manager owns, and that the stack states with other values.

    Attributes:
        owner: name of the field manager.
        subresource: what it wrote through, e.g. ``scale``; empty for the object itself.
        fields: paths such as ``.spec.replicas``.
    """

    owner: str
    subresource: str
    fields: tuple[str, ...]

    @property
    def manager_is_autoscaler(self) -> bool:
        """Whether it is the autoscaler of Kubernetes, which KEDA drives as well."""
        return self.owner == "kube-controller-manager" and self.subresource == "scale"


def conflicts(said: str, *, own: str = "") -> tuple[Conflict, ...]:
    """The conflicts in an answer of the API server, as kubectl and the Pulumi provider pass it on; none where it is
    about something else.

    Args:
        said: the answer.
        own: what the names of an engine's own field managers begin with; it settles conflicts between them by itself.
    """
    return tuple(
        Conflict(
            owner=found["owner"], subresource=found["subresource"] or "",
            fields=tuple(re.findall(r"\.\S+", found["fields"])),
        )
        for found in _CONFLICT.finditer(said)
        if not (own and found["owner"].startswith(own))
    )  # fmt: skip


def conflict_fault(found: tuple[Conflict, ...], *, where: str) -> Fault:
    """One fault for the conflicts of one object.

    Args:
        found: at least one.
        where: the object.
    """
    owned = "; ".join(f"{_who(one)} set {', '.join(one.fields)}" for one in found)
    return Fault(
        what=f"fields that this stack states belong to somebody else: {owned}",
        where=where,
        nearest=_nearest(found),
        fix="state the wanted value in the stack file and take the fields over with `up --force-conflicts`, or let "
        "their owner go on and leave them out here",
    )


def _who(conflict: Conflict) -> str:
    through = f" (through `{conflict.subresource}`)" if conflict.subresource else ""
    if conflict.manager_is_autoscaler:
        return f"an autoscaler, {conflict.owner}{through},"
    if _BY_HAND.match(conflict.owner):
        return f"somebody by hand, with {conflict.owner}{through},"
    return f"{conflict.owner}{through}"


def _nearest(found: tuple[Conflict, ...]) -> str:
    if any(field == ".spec.replicas" for one in found for field in one.fields):
        return "a count that an autoscaler keeps is stated as a range: `replicas: {min: 2, max: 10}`"
    return ""
