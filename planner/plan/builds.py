"""How the stack's images are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.settings import StackSettings

__all__ = ["FIXED_EPOCH", "BuildsPlan", "plan_builds"]

FIXED_EPOCH = 315_532_801
"""1980-01-01T00:00:01 in UTC, in seconds since 1970, as Cloud Native Buildpacks take it: BuildKit moves only times that
are later, so it has to be early, and archives such as Python wheels cannot hold times before 1980."""

_SBOM_SCANNER = "docker.io/docker/buildkit-syft-scanner:stable-1"


@dataclass(frozen=True, kw_only=True)
class BuildsPlan:
    """Which BuildKit builds, and what it does besides.

    Attributes:
        builder: container, engine or remote.
        name: name of the builder in buildx; empty leaves the choice to buildx.
        address: of a remote buildkitd; empty where ``name`` exists already.
        tls: PEM files by role (ca, cert, key), as they stand in the stack file.
        cache: none, inline or registry.
        sbom_scanner: image that makes the bill of materials; empty for none.
        provenance: none, min or max.
        timestamps: fixed, commit or build.
    """

    builder: str = "engine"
    name: str = ""
    address: str = ""
    tls: dict[str, str] = field(default_factory=dict)
    cache: str = "none"
    sbom_scanner: str = ""
    provenance: str = "none"
    timestamps: str = "fixed"


def plan_builds(settings: StackSettings, *, stack: str) -> BuildsPlan:
    """The stated way to build, with the defaults of the target."""
    builds = settings.builds
    builder = builds.builder or ("engine" if settings.target == "local" else "container")
    names = {"engine": "default", "container": "", "remote": f"llmagentos-{stack}"}
    return BuildsPlan(
        builder=builder,
        name=builds.name or names[builder],
        address=builds.address or "",
        tls=builds.tls.model_dump(exclude_none=True) if builds.tls else {},
        cache=builds.cache,
        sbom_scanner=(builds.sbom_scanner or _SBOM_SCANNER) if builds.sbom else "",
        provenance=builds.provenance,
        timestamps=builds.timestamps,
    )
