"""Settings of the hardware that a replica of a model runs on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from planner.settings._base import Settings

__all__ = ["Hardware", "Sharing"]


class Sharing(Settings):
    """A part of a GPU instead of a whole one. Its nodes have to be divided already."""

    mig: Annotated[str, Field(pattern=r"^[1-7]g\.[0-9]{1,3}gb$")] | None = None
    """MIG profile, e.g. 1g.10gb: a part with memory and processors of its own, which neighbours cannot disturb."""
    time_slices: Annotated[int, Field(ge=2, le=48)] | None = None
    """Parts that each GPU is divided into by time: memory is not separated, so each server is told to take its share of
    it, and one that fails may take its neighbours with it. For development and small models."""

    @model_validator(mode="after")
    def _one_way(self) -> Sharing:
        if (self.mig is None) == (self.time_slices is None):
            raise ValueError("needs exactly one of mig and time_slices")
        return self


class Hardware(Settings):
    """Hardware of one replica."""

    instance_type: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    """Instance type of the catalogue, e.g. g6.xlarge."""
    gpus: Annotated[int, Field(ge=1, le=16)] = 1
    """GPUs of one replica, all on one node; every one of them is used, so that none is paid for and idle."""
    pipeline_parallel: Annotated[int, Field(ge=1, le=16)] = 1
    """Stages that the layers are divided into, for models whose heads do not divide by ``gpus`` and for GPUs that talk
    over PCIe; the tensor-parallel degree is ``gpus`` over this."""
    fallbacks: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Instance types that may stand in where ``instance_type`` cannot be had. Budgets count the dearest of all."""

    sharing: Sharing | None = None
    """A part of one GPU instead of whole ones."""

    @property
    def instance_types(self) -> tuple[str, ...]:
        """The type, then those that may stand in for it."""
        return (self.instance_type, *self.fallbacks)

    @property
    def tensor_parallel(self) -> int:
        """GPUs that share every layer of a stage."""
        return self.gpus // self.pipeline_parallel

    @model_validator(mode="after")
    def _shared_alone(self) -> Hardware:
        if self.sharing and self.gpus != 1:
            raise ValueError(f"parts of GPUs do not talk to each other, so {self.gpus} serve no replica; set gpus: 1")
        return self

    @model_validator(mode="after")
    def _stages_divide(self) -> Hardware:
        if self.gpus % self.pipeline_parallel:
            stages = self.pipeline_parallel
            raise ValueError(f"{self.gpus} GPUs do not divide into {stages} stages; pipeline_parallel must divide gpus")
        return self
