"""One BuildKit build with this machine's certificates and package index, and the push at its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmos.console import step
from llmos.images import host
from llmos.images.build_faults import build_fault, failing_step
from llmos.images.buildx import Builder
from llmos.images.engine import Engine
from llmos.images.recipe import Recipe
from llmos.scratch import scratch_folder
from planner.faults import EnvironmentFault, Fault

__all__ = ["build_and_push", "build_by", "failing_step"]

_ENV = {
    "DOCKER_BUILDKIT": "1",
    # A provenance record holds the time of the build, so that no two builds would have the same digest. Where one is
    # wanted, the stack file says so, and it is asked for by a build argument.
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
}


def build_and_push(recipe: Recipe, *, engine: Engine, target: str) -> str:
    """Build the recipe with the engine's own BuildKit and push it as ``target``; return the digest the push reported
    ("" when it reported none).

    Raises:
        UserFault: a step of the build failed; quotes it.
        EnvironmentFault: the engine cannot do such builds, or the push was refused.
    """
    several = len(recipe.platforms) > 1
    if several and not engine.buildx:
        what = f"this Docker client builds for one platform at a time, not for {', '.join(recipe.platforms)}"
        fix = "install the buildx plugin (package `docker-buildx`), or name one platform"
        raise EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    tags = _tags(recipe, target)
    with _inputs(recipe) as (folder, arguments):
        command = ["buildx", "build"] if engine.buildx else ["build"]
        command += ["--network=host", *arguments, *_inline_cache(recipe, buildx=engine.buildx)]
        metadata = folder / "metadata.json"
        if engine.buildx:
            command += ["--push", f"--metadata-file={metadata}"] if several else ["--load"]
        done = engine.docker([*command, *tags, recipe.context], where=recipe.where, env=_ENV, check=False)
        if done.returncode != 0:
            raise _fault(recipe, done.stderr)
        if several:
            return _digest(metadata)
    fix = "log in to that registry (`docker login`), or check that you may push to it"
    with step(f"pushing the {recipe.where}"):
        for tag in tags:
            engine.docker(["push", "--quiet", tag.removeprefix("--tag=")], where=recipe.where, fix=fix)
    return _pushed_digest(engine, target)


def build_by(builder: Builder, recipe: Recipe, *, target: str) -> str:
    """The same with a builder outside the engine, which pushes by itself.

    Raises:
        As ``build_and_push``.
    """
    options = recipe.options
    with _inputs(recipe) as (folder, arguments):
        metadata = folder / "metadata.json"
        command = ["build", f"--builder={builder.name}", f"--metadata-file={metadata}", *arguments]
        command += [f"--cache-from={one}" for one in options.cache_from]
        command += [f"--cache-to={one}" for one in options.cache_to]
        command += [f"--output={options.output}", *_tags(recipe, target), str(recipe.context)]
        done = builder.buildx(command, env=_ENV)
        if done.returncode != 0:
            raise _fault(recipe, done.stderr)
        return _digest(metadata)


@contextmanager
def _inputs(recipe: Recipe) -> Iterator[tuple[Path, list[str]]]:
    """A folder for the length of the build, and the arguments that every way of building shares."""
    # It holds the secrets that go into the build by a file.
    with scratch_folder("build") as folder:
        arguments = ["--progress=plain", f"--file={recipe.dockerfile}"]
        if recipe.platforms:
            arguments += [f"--platform={','.join(recipe.platforms)}"]
        arguments += [f"--build-arg={key}={value}" for key, value in sorted(recipe.build_args.items())]
        # By name only: the client takes the value from the environment, where no list of processes shows it.
        arguments += [f"--build-arg={key}" for key in host.proxy_names()]
        arguments += [f"--secret=id={key},src={path}" for key, path in _secrets(recipe, folder).items()]
        with step(f"building the {recipe.where} from {recipe.context}"):
            yield folder, arguments


def _tags(recipe: Recipe, target: str) -> list[str]:
    """The tag of this build; with an inline cache also the one that the next build looks for it under."""
    latest = [f"--tag={target.rpartition(':')[0]}:latest"] if recipe.options.inline else []
    return [f"--tag={target}", *latest]


def _inline_cache(recipe: Recipe, *, buildx: bool) -> list[str]:
    """The one cache that the engine's own BuildKit can keep. Clients before buildx take it by other words."""
    if not recipe.options.inline:
        return []
    sources = [f"--cache-from={one}" for one in recipe.options.cache_from]
    if buildx:
        return [*sources, "--cache-to=type=inline"]
    return [one.replace("type=registry,ref=", "") for one in sources] + ["--build-arg=BUILDKIT_INLINE_CACHE=1"]


def _secrets(recipe: Recipe, folder: Path) -> dict[str, Path]:
    secrets = {}
    bundle = host.ca_bundle()
    if bundle is not None:
        secrets["ca"] = bundle
    pip = folder / "pip.conf"
    pip.touch(mode=0o600)
    pip.write_text(host.pip_configuration(), encoding="utf-8")
    return {**secrets, "pip": pip, **recipe.secrets}


def _fault(recipe: Recipe, said: str) -> Exception:
    platforms = ", ".join(recipe.platforms)
    return build_fault(said, where=recipe.where, dockerfile=str(recipe.dockerfile), platforms=platforms)


def _digest(metadata: Path) -> str:
    return json.loads(metadata.read_text(encoding="utf-8")).get("containerimage.digest", "")


def _pushed_digest(engine: Engine, target: str) -> str:
    repository = target.rpartition(":")[0]
    listed = json.loads(engine.docker(["image", "inspect", target, "--format", "{{json .RepoDigests}}"]).stdout)
    pushed = [one.partition("@")[2] for one in listed or [] if one.startswith(f"{repository}@")]
    return pushed[-1] if pushed else ""
