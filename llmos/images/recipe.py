"""What one image is made from, and the key that stands for all of it."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from llmos.files import write_whole
from llmos.images.context import context_key
from llmos.images.options import BuildOptions
from llmos.paths import cache_dir
from planner.base_images import default_base
from planner.faults import Fault, UserFault

__all__ = ["BuildRecord", "Recipe"]

# By the names that Linux, macOS and Windows have for them.
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def image_platform(machine: str) -> str:
    """The platform of images that run on a machine as they are, by the name that ``platform.machine()`` has for it."""
    return f"linux/{_ARCHITECTURES.get(machine.lower(), machine.lower())}"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything one build is made from; the fields are the arguments of ``llmos.images.build.build``."""

    context: Path
    dockerfile: Path
    repository: str
    platforms: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    install: bool = True
    options: BuildOptions = field(default_factory=BuildOptions)

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"image `{self.repository}`"

    @property
    def elsewhere(self) -> bool:
        """Whether the repository names a registry other than the local one.

        Docker's own rule: what stands before the first slash is a host when it has a dot or a port, or is localhost.
        """
        first, slash, _ = self.repository.partition("/")
        return bool(slash) and ("." in first or ":" in first or first == "localhost")

    @property
    def base(self) -> str | None:
        """The base image to provide: the default of ``ARG BASE_IMAGE``; none for a caller's own, for other processors,
        or for a builder outside the engine, which may not reach the local registry."""
        here = image_platform(platform.machine())
        own = self.options.builder != "engine" or "BASE_IMAGE" in self.build_args
        if own or any(one != here for one in self.platforms):
            return None
        return default_base(self.dockerfile) or None

    @property
    def key(self) -> str:
        """A hash over the content of the build folder, the Dockerfile, the arguments and the platforms."""
        arguments = [f"{name}={value}" for name, value in sorted(self.build_args.items())]
        values = {"arguments": arguments, "platforms": self.platforms}
        return context_key(self.context, dockerfile=self.dockerfile, recipe=values)

    def with_base(self, ref: str | None) -> Recipe:
        """The same on this base image; itself when there is none to provide."""
        return replace(self, build_args={**self.build_args, "BASE_IMAGE": ref}) if ref else self

    def refuse_missing(self) -> None:
        """Raise a UserFault when the build folder or the Dockerfile is not there."""
        if not self.context.is_dir():
            what = f"the build folder {self.context} does not exist"
            fix = "correct the path behind `build:`, or name an image by `ref:`"
            raise UserFault(Fault(what=what, where=self.where, nearest=_similar(self.context), fix=fix))
        if not self.dockerfile.is_file():
            what = f"there is no {self.dockerfile.name} in {self.dockerfile.parent}"
            fix = "write one, or point `build:` at the folder that has it"
            raise UserFault(Fault(what=what, where=self.where, fix=fix))


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """What the last build of a repository on this machine was made from, and the digest that came of it."""

    key: str = ""
    digest: str = ""

    @classmethod
    def read(cls, repository: str) -> BuildRecord:
        """The record, empty when there is none (or one that a crash cut short)."""
        try:
            return cls(**json.loads(_path(repository).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return cls()

    def write(self, repository: str) -> None:
        path = _path(repository)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(vars(self)))


def _path(repository: str) -> Path:
    return cache_dir() / "images" / "built" / f"{re.sub(r'[^a-z0-9._-]', '-', repository)}.json"


def _similar(context: Path) -> str:
    siblings = sorted(path.parent for path in context.parent.glob("*/Dockerfile")) if context.parent.is_dir() else []
    return f"folders with a Dockerfile beside it: {', '.join(path.name for path in siblings)}" if siblings else ""
