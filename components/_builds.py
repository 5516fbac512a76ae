"""Inputs of the build provider (docker-build 0.0.22) from how the stack builds."""

from __future__ import annotations

from typing import Any

from planner.plan import FIXED_EPOCH, BuildsPlan

__all__ = ["builder_inputs", "cache_inputs", "recorded_arguments", "result_inputs"]


def builder_inputs(builds: BuildsPlan) -> dict[str, Any]:
    """Which builder. The provider's own client cannot speak to an engine's BuildKit; the buildx plugin can (`exec`).
    The host's network is what a build of the local engine reaches a package index by: it forwards nothing."""
    if builds.builder == "engine":
        return {"exec_": True, "builder": {"name": builds.name}, "network": "host"}
    return {"exec_": False, "builder": {"name": builds.name} if builds.name else None}


def cache_inputs(builds: BuildsPlan, repository: str) -> dict[str, Any]:
    """Where layers of earlier builds come from, and go to. Without a cache manifest (the first build) BuildKit goes on
    without one; a registry that takes no cache must not fail the build either. ``image_manifest``, because registries
    such as ECR refuse a cache in the form of an index."""
    if builds.cache == "inline":
        return {"cache_from": [{"registry": {"ref": f"{repository}:latest"}}], "cache_to": [{"inline": {}}]}
    if builds.cache == "registry":
        ref = f"{repository}:buildcache"
        to = {"ref": ref, "mode": "max", "ignore_error": True, "image_manifest": True, "oci_media_types": True}
        return {"cache_from": [{"registry": {"ref": ref}}], "cache_to": [{"registry": to}]}
    return {}


def recorded_arguments(builds: BuildsPlan, commit_epoch: int | None) -> dict[str, str]:
    """Build arguments that BuildKit itself reads. The provider has no input for attestations (it switches buildx's
    default one off), so they are asked for in the way that the Dockerfile frontend offers besides."""
    epochs = {"fixed": FIXED_EPOCH, "commit": commit_epoch or FIXED_EPOCH, "build": None}
    epoch = epochs[builds.timestamps]
    found = {
        "SOURCE_DATE_EPOCH": str(epoch) if epoch is not None else "",
        "BUILDKIT_ATTEST_SBOM": f"generator={builds.sbom_scanner}" if builds.sbom_scanner else "",
        "BUILDKIT_ATTEST_PROVENANCE": f"mode={builds.provenance}" if builds.provenance != "none" else "",
    }
    return {name: value for name, value in found.items() if value}


def result_inputs(builds: BuildsPlan) -> dict[str, Any]:
    """The push. Times of files are rewritten by an option of the exporter for which the provider has no field, and
    which the engine's own image store does not know."""
    if builds.timestamps == "build" or builds.builder == "engine":
        return {"push": True}
    return {"push": False, "exports": [{"raw": "type=registry,rewrite-timestamp=true"}]}
