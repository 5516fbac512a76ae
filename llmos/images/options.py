"""How BuildKit is asked to build: the inputs of the build provider, in the words of buildx's command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.plan import BuildsPlan

__all__ = ["BuildOptions", "options_of"]

_OPTIONS = {
    "ref": "ref", "mode": "mode", "ignoreError": "ignore-error", "imageManifest": "image-manifest",
    "ociMediaTypes": "oci-mediatypes",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Which builder, which cache, which result.

    Attributes:
        builder: engine, container or remote.
        name: name of the builder in buildx; empty where the engine builds, or for a container of our own.
        address: of a remote buildkitd that has to be registered first; empty where the name exists already.
        tls: PEM files of a remote buildkitd by role (ca, cert, key), as absolute paths.
        stated: whether the stack file says which builder. One that is only the default may be replaced by the engine's
            own where none can be had.
        cache_from: values of ``--cache-from``.
        cache_to: values of ``--cache-to``.
        output: value of ``--output``.
    """

    builder: str = "engine"
    name: str = ""
    address: str = ""
    tls: Mapping[str, Path] = field(default_factory=dict)
    stated: bool = True
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    output: str = "type=registry"

    @property
    def inline(self) -> bool:
        """Whether the cache is part of the image."""
        return "type=inline" in self.cache_to


def options_of(inputs: Mapping[str, Any], builds: BuildsPlan, *, project: Path, stated: bool) -> BuildOptions:
    """The options for an image whose provider would get these inputs.

    Args:
        inputs: of the resource ``docker-build:index:Image``.
        builds: the plan's part that names the builder; addresses and certificates are no input of the provider.
        project: folder that relative paths of certificates start from.
        stated: whether the stack file says which builder.
    """
    exports = [entry["raw"] for entry in inputs.get("exports", ())]
    return BuildOptions(
        builder=builds.builder,
        name=builds.name if builds.builder != "engine" else "",
        address=builds.address,
        tls={role: (project / Path(path).expanduser()).absolute() for role, path in builds.tls.items()},
        stated=stated,
        cache_from=tuple(_flag(entry) for entry in inputs.get("cacheFrom", ())),
        cache_to=tuple(_flag(entry) for entry in inputs.get("cacheTo", ())),
        output=exports[0] if exports else "type=registry",
    )


def _flag(entry: Mapping[str, Any]) -> str:
    """``{registry: {ref: x, ignoreError: true}}`` as ``type=registry,ref=x,ignore-error=true``."""
    ((kind, values),) = entry.items()
    options = [f"{_OPTIONS[key]}={_text(value)}" for key, value in sorted(values.items())]
    return ",".join([f"type={kind}", *options])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
