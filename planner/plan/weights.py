"""Where a model's weights are kept, who puts them there, and by which checksums they are known."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from planner.faults import Fault
from planner.lock import Lock
from planner.settings import Model, StackSettings, memory_gib
from planner.settings.weights import LORA_RANKS, Adapter, Weights

__all__ = ["AdapterPlan", "ModelWeightsPlan", "lora_rank", "plan_adapters", "plan_weights", "weights_faults"]

_SUM = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](\./)?(?P<path>[\w+-][\w.+-]*(/[\w+-][\w.+-]*)*)")
_UNKNOWN_GIB = 200
_ADAPTER_GIB = 1


@dataclass(frozen=True, kw_only=True)
class ModelWeightsPlan:
    """``kept_in`` is node, replica, shared, claim or image; ``claim`` is the name of an existing one, ``path`` the
    folder of the weights in a claim or image. ``download`` is server, init or job, and ``none`` where the weights are
    there beforehand; ``sha256`` is empty where the hub's own list is taken."""

    kept_in: str
    storage_class: str
    size_gib: int
    claim: str
    claim_access: str
    image: str
    path: str
    download: str
    download_image: str
    sha256: dict[str, str]

    @property
    def offline(self) -> bool:
        """Whether the server finds all it needs on its volume."""
        return self.download != "server"


@dataclass(frozen=True, kw_only=True)
class AdapterPlan:
    """A LoRA adapter: from the hub by ``source`` and ``revision``, from a ``path`` beside the weights, or an
    ``image``."""

    name: str
    source: str
    revision: str
    path: str
    image: str
    rank: int
    sha256: dict[str, str]


def weights_faults(
    settings: StackSettings, *, lock: Lock, from_lock: bool, folder: Path, where: str
) -> list[Fault]:
    """Files of checksums in ``folder`` that cannot be read, and downloads of a revision that nobody names;
    ``from_lock``: a promotion names it, or is going to."""
    faults: list[Fault] = []
    for name, model in sorted(settings.models.items()):
        place = f"{where}: models.{name}"
        faults += _checksums(model.weights, folder, where=f"{place}.weights")[1]
        for key, adapter in sorted(model.adapters.items()):
            faults += _checksums(adapter, folder, where=f"{place}.adapters.{key}")[1]
        known = model.revision or name in lock.release.revisions or from_lock
        if model.weights.download != "server" and not known:
            faults.append(
                Fault(
                    what="what is downloaded and verified must be pinned, and no revision is given",
                    where=f"{place}.revision", fix="add revision: <the 40 hex digits of a commit of the repository>",
                )
            )
    return faults


def plan_weights(model: Model, *, weights_gib: float, folder: Path) -> ModelWeightsPlan:
    """Where and how; files of checksums have been checked before."""
    stated = model.weights
    return ModelWeightsPlan(
        kept_in=stated.kept_in,
        storage_class=stated.storage_class or "",
        size_gib=math.ceil(memory_gib(stated.size)) if stated.size else _size_gib(model, weights_gib),
        claim=stated.claim.name if stated.claim else "",
        claim_access=stated.claim.access if stated.claim else "",
        image=stated.image or "",
        path=stated.path or "",
        download="none" if stated.given else stated.download,
        download_image=stated.download_image or "",
        sha256=_checksums(stated, folder)[0],
    )


def _size_gib(model: Model, weights_gib: float) -> int:
    """Room for the weights: a third more where vLLM downloads, because the hub's library keeps partial files; a tenth
    more where each file is written once, and twice that on a volume that stays: the next revision comes beside it."""
    if not weights_gib:
        return _UNKNOWN_GIB
    adapters = _ADAPTER_GIB * sum(bool(adapter.source) for adapter in model.adapters.values())
    if model.weights.download == "server":
        return math.ceil(-(-weights_gib * 4 // 3)) + adapters
    return math.ceil(weights_gib * 1.1 + adapters) * (2 if model.weights.kept_in == "shared" else 1)


def lora_rank(model: Model) -> int:
    """The smallest rank that vLLM can be told which holds all adapters of a model; 0 without adapters."""
    largest = max((adapter.rank for adapter in model.adapters.values()), default=0)
    return next(rank for rank in LORA_RANKS if rank >= largest) if largest else 0


def plan_adapters(model: Model, *, folder: Path) -> tuple[AdapterPlan, ...]:
    """The adapters, by name."""
    return tuple(
        AdapterPlan(
            name=name, source=adapter.source or "", revision=adapter.revision or "", path=adapter.path or "",
            image=adapter.image or "", rank=adapter.rank, sha256=_checksums(adapter, folder)[0],
        )
        for name, adapter in sorted(model.adapters.items())
    )


def _checksums(stated: Weights | Adapter, folder: Path, *, where: str = "") -> tuple[dict[str, str], list[Fault]]:
    """The checksums in place, or those of a file beside the stack file."""
    if not stated.sha256_file:
        return dict(sorted(stated.sha256.items())), []
    file = stated.sha256_file
    try:
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
        return {}, [_no_checksums(f"`{file}` cannot be read: {reason}", where)]
    found = [(number, _SUM.fullmatch(line)) for number, line in enumerate(lines, start=1) if line.strip()]
    wrong = [number for number, match in found if match is None]
    if wrong or not found:
        what = f"line {wrong[0]} of `{file}` is no checksum with a relative path" if wrong else f"`{file}` is empty"
        return {}, [_no_checksums(what, where)]
    return dict(sorted((match["path"], match["sha256"]) for _, match in found if match)), []


def _no_checksums(what: str, where: str) -> Fault:
    return Fault(
        what=what, where=f"{where}.sha256_file",
        fix="name a file beside the stack file, as `sha256sum` writes it in the folder of the weights",
    )
