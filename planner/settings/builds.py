"""Settings of image builds: which BuildKit builds, what it caches, and what it records about the result."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from planner.settings._base import Settings, looks_like_secret

__all__ = ["BUILDKIT_SCHEMES", "BuilderTls", "Builds"]

BUILDKIT_SCHEMES = ("tcp", "unix", "ssh", "docker-container", "kube-pod", "npipe")
"""How a remote buildkitd is reached; those that buildx's driver `remote` knows."""


def _address(address: str) -> str:
    scheme, found, rest = address.partition("://")
    parts = urlsplit(address)
    if not found or scheme not in BUILDKIT_SCHEMES:
        hint = f"; did you mean tcp://{rest or address}?" if scheme in ("http", "https") or not found else ""
        raise ValueError(f"must begin with one of {', '.join(f'{name}://' for name in BUILDKIT_SCHEMES)}{hint}")
    if parts.password:
        raise ValueError("must hold no password; a remote buildkitd authenticates by `tls`, or ssh by its keys")
    if scheme == "tcp" and (not parts.hostname or not rest.rpartition(":")[2].isdigit()):
        raise ValueError("must name host and port, e.g. tcp://buildkitd.example.com:1234")
    if scheme in ("unix", "npipe") and not rest.startswith("/"):
        raise ValueError("must name an absolute path, e.g. unix:///run/buildkit/buildkitd.sock")
    if not rest:
        raise ValueError(f"must name what to connect to behind {scheme}://")
    return address


def _file(path: str) -> str:
    if looks_like_secret("", path) or "-----BEGIN" in path:
        raise ValueError("must be the path of a PEM file, and holds a certificate or key in plain text")
    return path


PemFile = Annotated[str, Field(min_length=1), AfterValidator(_file)]


class BuilderTls(Settings):
    """Mutual TLS with a remote buildkitd, by files: in a pipeline, those of a mounted secret."""

    ca: PemFile
    """Certificate authority of the daemon's certificate. Paths are absolute, or relative to the project's folder."""
    cert: PemFile | None = None
    """Client certificate; a daemon that is open to a network should demand one."""
    key: PemFile | None = None
    """Key of the client certificate."""

    @model_validator(mode="after")
    def _pair(self) -> BuilderTls:
        if bool(self.cert) != bool(self.key):
            raise ValueError("cert and key go together")
        return self


class Builds(Settings):
    """How images are built, for all images of the stack."""

    builder: Literal["container", "engine", "remote"] | None = None
    """container: BuildKit in a container (buildx driver docker-container), the default outside target local. engine:
    the Docker engine's own BuildKit, the default for target local, because it needs no image to begin with. remote: a
    buildkitd that runs elsewhere; no Docker engine is needed then."""
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]*$", max_length=60)] | None = None
    """A builder of buildx that exists already (``docker buildx create``), for container and remote. By default
    container takes a builder that is there, or makes one, and remote is registered under ``llmagentos-<stack>``."""
    address: Annotated[str, AfterValidator(_address)] | None = None
    """Address of the remote buildkitd, e.g. tcp://buildkitd.example.com:1234."""
    tls: BuilderTls | None = None
    """Certificates for a tcp address."""
    cache: Literal["none", "inline", "registry"] = "none"
    """Build cache kept beside the image. registry: every layer of every stage, under the tag ``buildcache`` (mode max).
    inline: the final image's layers only, within the image. none: what the builder keeps itself."""
    sbom: bool = False
    """Attach a software bill of materials to the image. A scan has a time of its own, so equal builds differ then."""
    sbom_scanner: Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9_.:/@-]*$")] | None = None
    """Image of the scanner; BuildKit's own (docker/buildkit-syft-scanner:stable-1) by default."""
    provenance: Literal["none", "min", "max"] = "none"
    """Attach how the image was built (SLSA provenance); max adds build arguments and the Dockerfile. It holds the time
    of the build, so equal builds differ then."""
    signing_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9/.][A-Za-z0-9_./:@?=&-]*$", max_length=500)] | None = None
    """Private key that cosign signs pushed images with, as cosign names it: a file, env://NAME, or a key service
    (awskms://, gcpkms://, azurekms://, hashivault://, k8s://). The key itself never stands in a stack file; a file's
    password stands in COSIGN_PASSWORD. None by default: images of dev need no signature."""
    timestamps: Literal["fixed", "commit", "build"] = "fixed"
    """Times in the image. fixed: 1980-01-01, so that equal content gives an equal digest anywhere. commit: when the
    build folder was last committed, or SOURCE_DATE_EPOCH where that is set. build: when it was built."""

    @model_validator(mode="after")
    def _one_builder(self) -> Builds:
        if self.builder == "remote" and not (self.address or self.name):
            raise ValueError("builder remote needs an address (tcp://host:port), or the name of a buildx builder")
        if self.builder != "remote" and (self.address or self.tls):
            raise ValueError("address and tls go with builder remote only")
        if self.tls and not (self.address or "").startswith("tcp://"):
            raise ValueError("tls goes with a tcp:// address only")
        if self.name and self.builder not in ("container", "remote"):
            raise ValueError("name goes with builder container or remote; the engine's own builder has a name already")
        if self.name == "default":
            raise ValueError("the builder called default is the engine's own; say builder: engine")
        if self.sbom_scanner and not self.sbom:
            raise ValueError("sbom_scanner goes with sbom: true")
        return self
