"""The shipped catalogue, its lookups, and a user's own rows laid over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from planner.catalogue.read import gpu_from_row, instance_from_row, model_from_row, rows_of
from planner.catalogue.types import Gpu, InstanceType, ModelSpec
from planner.faults import Fault, UserFault, nearest

__all__ = ["HOURS_PER_MONTH", "PRICE_MAX_AGE_DAYS", "Catalogue", "load", "usd_per_month"]

HOURS_PER_MONTH = 730
"""365 x 24 / 12: the month of the AWS Pricing Calculator."""
PRICE_MAX_AGE_DAYS = 180
"""On-demand prices change a few times a year; an older one is shown with a warning."""

_DATA = Path(__file__).parent.parent / "data"


def usd_per_month(usd_per_hour: float) -> float:
    """A month of 730 hours."""
    return usd_per_hour * HOURS_PER_MONTH


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Facts by name. Instance types and GPUs keep the order of their files; models are found by Hugging Face id."""

    instances: Mapping[str, InstanceType]
    gpus: Mapping[str, Gpu]
    models: Mapping[str, ModelSpec]

    def instance(self, name: str, *, where: str = "catalogue") -> InstanceType:
        """The instance type; raises UserFault with the closest name when there is none."""
        return _find(self.instances, name, kind="instance type", where=where)

    def model(self, model_id: str, *, where: str = "catalogue") -> ModelSpec:
        """The model; raises UserFault with the closest id when there is none."""
        return _find(self.models, model_id, kind="model", where=where)

    def gpu_of(self, instance: InstanceType) -> Gpu | None:
        """GPU of that instance type, if it has one that can be used."""
        return self.gpus[instance.gpu] if instance.gpu else None

    def stale_prices(self, *, today: date, names: Iterable[str] | None = None) -> tuple[str, ...]:
        """Names (of all, or of those given) whose price is older than ``PRICE_MAX_AGE_DAYS``; sorted."""
        chosen = self.instances.values() if names is None else [self.instances[name] for name in names]
        return tuple(
            sorted(
                instance.name
                for instance in chosen
                if instance.price_date and (today - date.fromisoformat(instance.price_date)).days > PRICE_MAX_AGE_DAYS
            )
        )

    def with_rows(
        self,
        *,
        gpus: Iterable[Mapping[str, Any]] = (),
        instances: Iterable[Mapping[str, Any]] = (),
        models: Iterable[Mapping[str, Any]] = (),
        where: str = "catalog",
    ) -> Catalogue:
        """A catalogue with a user's rows added. A row whose name exists replaces only the columns that it states.

        Args:
            gpus: columns as in ``planner/data/gpus.csv``.
            instances: columns as in ``planner/data/instances.csv``; a price override states ``name``,
                ``usd_per_hour`` and ``price_date``.
            models: columns as in ``planner/data/models.csv``.
            where: names the rows' origin in faults.

        Raises:
            UserFault: for a wrong row, or an instance type that names an unknown GPU.
        """
        all_gpus = _overlaid(self.gpus, gpus, key="name", make=gpu_from_row, where=f"{where}.gpus")
        all_instances = _overlaid(
            self.instances, instances, key="name", make=instance_from_row, where=f"{where}.instances"
        )
        for instance in all_instances.values():
            if instance.gpu and instance.gpu not in all_gpus:
                place = f"{where}.instances: {instance.name}"
                _find(all_gpus, instance.gpu, kind="GPU", where=place)
        all_models = _overlaid(self.models, models, key="id", make=model_from_row, where=f"{where}.models")
        return Catalogue(instances=all_instances, gpus=all_gpus, models=all_models)

    def with_model(self, model: ModelSpec) -> Catalogue:
        """A catalogue that also knows a model read from its ``config.json``."""
        return replace(self, models=MappingProxyType({**self.models, model.id: model}))


@cache
def load() -> Catalogue:
    """The shipped catalogue."""
    empty: Mapping[str, Any] = MappingProxyType({})
    return Catalogue(instances=empty, gpus=empty, models=empty).with_rows(
        gpus=rows_of(_DATA / "gpus.csv"),
        instances=rows_of(_DATA / "instances.csv"),
        models=rows_of(_DATA / "models.csv"),
        where="planner/data",
    )


def _find(entries: Mapping[str, Any], name: str, *, kind: str, where: str) -> Any:
    if name in entries:
        return entries[name]
    fix = "use a name of the catalogue, or add a row to `catalog:`"
    raise UserFault(
        Fault(what=f"{kind} `{name}` is not in the catalogue", where=where, nearest=nearest(name, entries), fix=fix)
    )


def _overlaid(
    known: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], *, key: str, make: Any, where: str
) -> Mapping[str, Any]:
    entries = dict(known)
    for number, row in enumerate(rows, start=1):
        name = str(row.get(key, ""))
        place = f"{where}: {name or f'row {number}'}"
        entries[name] = make(_merged(entries.get(name), row), where=place)
    return MappingProxyType(entries)


def _merged(entry: Any, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row, completed from the entry that it overrides."""
    if entry is None:
        return row
    stated = {name: value for name, value in vars(entry).items() if value not in (None, "")}
    if "compute_capability" in stated:
        stated["compute_capability"] = ".".join(str(part) for part in stated["compute_capability"])
    if "usd_per_hour" in row:
        stated = {name: value for name, value in stated.items() if name not in ("price_date", "price_source")}
        stated["price_source"] = "stack file"
    return {**stated, **row}
