"""The difference between two snapshots of the stacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmos.against.fields import FieldChange, differences

__all__ = ["Comparison", "HardwareChange", "ObjectChange", "StackChange", "compare", "document"]

_WAITING = "pulumi.com/"
Side = Mapping[str, Any]
Finding = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ObjectChange:
    """What becomes of one object, and which of its fields."""

    action: Literal["create", "update", "delete"]
    type: str
    kind: str
    namespace: str
    name: str
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, kw_only=True)
class HardwareChange:
    """One decision about hardware; a side is empty where there was none."""

    subject: str
    before: str
    after: str
    because: str
    runner_up: str
    rejected: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StackChange:
    """One stack in both revisions.

    Attributes:
        stack: its name.
        environment: selects the limits; empty where it cannot be planned.
        status: ``removed`` and ``added`` where a revision has no such file, ``failed`` where one cannot be planned.
        faults: why, by side (``before``, ``after``).
        cost: USD per month before and after, at maximum scale; None where a price is unknown, 0 where there is no
            stack.
        simulated: whether its nodes are simulated and cost nothing.
        objects: those that change.
        hardware: decisions that change.
        new: findings that the change brings.
        resolved: findings that it takes away.
        mandatory: findings after it that would stop a deployment.
        advisory: the others.
        awaits_release: whether nothing has been promoted into it yet.
    """

    stack: str
    environment: str
    status: Literal["unchanged", "changed", "added", "removed", "failed"]
    faults: Mapping[str, Sequence[Mapping[str, str]]]
    cost: tuple[float | None, float | None]
    simulated: bool
    objects: tuple[ObjectChange, ...]
    hardware: tuple[HardwareChange, ...]
    new: tuple[Finding, ...]
    resolved: tuple[Finding, ...]
    mandatory: int
    advisory: int
    awaits_release: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All stacks; ``ref`` is what the change was held against, ``commit`` what that is."""

    ref: str
    commit: str
    stacks: tuple[StackChange, ...]

    @property
    def cost(self) -> tuple[float | None, float | None]:
        """USD per month of all stacks before and after; None where one is unknown."""
        before, after = zip(*(stack.cost for stack in self.stacks), strict=True) if self.stacks else ((), ())
        return _sum(before), _sum(after)

    @property
    def touched(self) -> list[str]:
        """Names of stacks that the change concerns and that still exist."""
        return [stack.stack for stack in self.stacks if stack.status not in ("unchanged", "removed")]

    @property
    def deployable(self) -> list[dict[str, str]]:
        """Those of them that an engine can be asked about in a pipeline: planned, and not on a cluster of its own."""
        found = [stack for stack in self.stacks if stack.stack in self.touched and stack.environment]
        return [{"stack": each.stack, "environment": each.environment} for each in found if not each.simulated]

    @property
    def refused(self) -> bool:
        """Whether a stack could not be deployed as it is after the change."""
        return any(stack.mandatory or stack.faults.get("after") for stack in self.stacks)


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def compare(ref: str, commit: str, before: Mapping[str, Side], after: Mapping[str, Side]) -> Comparison:
    """Compare the stacks of two revisions, by name."""
    names = sorted({*before, *after})
    stacks = tuple(_stack(name, before.get(name), after.get(name)) for name in names)
    return Comparison(ref=ref, commit=commit, stacks=stacks)


def _stack(name: str, before: Side | None, after: Side | None) -> StackChange:
    sides = {"before": before, "after": after}
    faults = {key: side["faults"] for key, side in sides.items() if side is not None and side.get("faults")}
    old, new = ({} if side is None or side.get("faults") else side for side in (before, after))
    objects = () if faults else tuple(_objects(old, new))
    hardware = () if faults else tuple(_hardware(old, new))
    findings = [{_key(row): row for row in side.get("policy", ())} for side in (old, new)]
    fresh = tuple(row for key, row in findings[1].items() if key not in findings[0] and "before" not in faults)
    gone = tuple(row for key, row in findings[0].items() if key not in findings[1] and "after" not in faults)
    cost = _cost(before), _cost(after)
    changed = bool(objects or hardware or fresh or gone or cost[0] != cost[1])
    status = "failed" if faults else "added" if before is None else "removed" if after is None else ""
    return StackChange(
        stack=name,
        environment=str((new or old).get("environment", "")),
        status=status or ("changed" if changed else "unchanged"),  # type: ignore[arg-type]
        faults=faults,
        cost=cost,
        simulated=(new or old).get("target") == "local",
        objects=objects,
        hardware=hardware,
        new=fresh,
        resolved=gone,
        mandatory=sum(row["level"] == "mandatory" for row in findings[1].values()),
        advisory=sum(row["level"] != "mandatory" for row in findings[1].values()),
        awaits_release=bool(new.get("awaits_release")),
    )


def _cost(side: Side | None) -> float | None:
    return 0 if side is None else side.get("usd_per_month")


def _key(row: Finding) -> tuple[str, ...]:
    return tuple(row.get(part, "") for part in ("rule", "level", "object", "path", "message"))


def _objects(old: Side, new: Side) -> Iterator[ObjectChange]:
    sides = [{_identity(item): item for item in side.get("objects", ())} for side in (old, new)]
    if sides[0] and not any("properties" in item for item in sides[0].values()):
        # An older revision that names Kubernetes objects only, without their content.
        sides[1] = {key: item for key, item in sides[1].items() if item["type"].startswith("kubernetes:")}
    rebuilt = dict(_rebuilt(old.get("images"), new.get("images")))
    for key in sorted({*sides[0], *sides[1]}):
        item = sides[1].get(key) or sides[0][key]
        action: Any = "create" if key not in sides[0] else "delete" if key not in sides[1] else "update"
        changes = tuple(_changes(sides[0][key], item, rebuilt)) if action == "update" else ()
        if action != "update" or changes:
            yield ObjectChange(
                action=action, type=item["type"], kind=item["kind"], namespace=item["namespace"], name=item["name"],
                changes=changes,
            )


def _identity(item: Mapping[str, Any]) -> tuple[str, str, str]:
    return item["kind"], item["namespace"], item["name"]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], rebuilt: Mapping[str, FieldChange]) -> Iterator[Any]:
    if "properties" in before and "properties" in after:
        yield from differences(_stripped(before["properties"]), _stripped(after["properties"]))
    if after["kind"] == "Deployment" and after["name"] in rebuilt:
        yield rebuilt[after["name"]]


def _stripped(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without annotations that only steer how long Pulumi waits for the object."""
    metadata = properties.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("annotations"), Mapping):
        return properties
    kept = {key: text for key, text in metadata["annotations"].items() if not key.startswith(_WAITING)}
    return {**properties, "metadata": {**metadata, "annotations": kept or None}}


def _rebuilt(before: Any, after: Any) -> Iterator[tuple[str, FieldChange]]:
    """Owners of images whose source changes. Their digest is not known before it is built, so it shows no change."""
    for owner, image in (after or {}).items():
        old = (before or {}).get(owner, {})
        if "key" in old and "key" in image and old["key"] != image["key"]:
            source = f"built from {old['build']}"
            yield owner, FieldChange(path="image", before=source, after="rebuilt: its source changed")


def _hardware(old: Side, new: Side) -> Iterator[HardwareChange]:
    sides = [{row["subject"]: row for row in side.get("decisions", ())} for side in (old, new)]
    for subject in sorted({*sides[0], *sides[1]}):
        before, after = (side.get(subject, {}) for side in sides)
        if before.get("chosen") != after.get("chosen") and (old.get("decisions") is not None or not old):
            rejected = tuple(f"{row['option']}: {row['reason']}" for row in after.get("rejected", ()))
            yield HardwareChange(
                subject=subject, before=before.get("chosen", ""), after=after.get("chosen", ""),
                because=after.get("binding", ""), runner_up=after.get("runner_up", ""), rejected=rejected,
            )


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON; fields are only ever added."""
    before, after = comparison.cost
    return {
        "schema": 1,
        "against": {"ref": comparison.ref, "commit": comparison.commit},
        "usd_per_month": _money(before, after),
        "touched": comparison.touched,
        "deployable": comparison.deployable,
        "stacks": [
            {**dataclasses.asdict(stack), "usd_per_month": _money(*stack.cost)} for stack in comparison.stacks
        ],
    }


def _money(before: float | None, after: float | None) -> dict[str, float | None]:
    difference = None if before is None or after is None else round(after - before, 2)
    return {"before": before, "after": after, "difference": difference}
