"""One BuildKit build with this machine's certificates and package index, and the push at its end."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from llmos.console import step
from llmos.images import host
from llmos.images.engine import Engine
from llmos.images.recipe import Recipe
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["build_and_push", "failing_step"]

_ENV = {
    "DOCKER_BUILDKIT": "1",
    # A provenance record holds the time of the build, so that no two builds would have the same digest.
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
}


def build_and_push(recipe: Recipe, *, engine: Engine, target: str) -> str:
    """Build the recipe and push it as ``target``; return the digest the push reported ("" when it reported none).

    Raises:
        UserFault: a step of the build failed; quotes it.
        EnvironmentFault: the engine cannot do such builds, or the push was refused.
    """
    several = len(recipe.platforms) > 1
    if several and not engine.buildx:
        what = f"this Docker client builds for one platform at a time, not for {', '.join(recipe.platforms)}"
        fix = "install the buildx plugin (package `docker-buildx`), or name one platform"
        raise EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    with tempfile.TemporaryDirectory(prefix="llmos-build-") as name:
        folder = Path(name)
        command = _command(recipe, folder=folder, buildx=engine.buildx)
        with step(f"building the {recipe.where} from {recipe.context}"):
            done = engine.docker([*command, "--tag", target, recipe.context], where=recipe.where, env=_ENV, check=False)
        if done.returncode != 0:
            raise _failure(recipe, done.stderr)
        if several:
            return json.loads((folder / "metadata.json").read_text(encoding="utf-8")).get("containerimage.digest", "")
    fix = "log in to that registry (`docker login`), or check that you may push to it"
    with step(f"pushing the {recipe.where}"):
        engine.docker(["push", "--quiet", target], where=recipe.where, fix=fix)
    return _pushed_digest(engine, target)


def failing_step(said: str) -> tuple[str, list[str]] | None:
    """The step at which a build failed and the last it said; None when it failed before any step ran.

    Reads BuildKit's plain progress, where ``#5 [2/2] RUN make`` opens step 5, ``#5 0.31 …`` is a line that it printed
    after 0.31 s, and ``#5 ERROR: …`` is its end.
    """
    failed = re.search(r"^#(\d+) ERROR: (.+)$", said, re.MULTILINE)
    if failed is None:
        # The prefixes pile up, "failed to solve: … failed to create LLB definition: …"; the end says what is wrong.
        solved = re.search(r"^(?:ERROR: )?.*failed to (?:solve|build|create LLB)[^:]*: (.+)$", said, re.MULTILINE)
        return ("reading the Dockerfile", [solved[1]]) if solved else None
    number, error = failed.groups()
    title = re.search(rf"^#{number} (?!sha256:|ERROR: |[\d.]+ )(.+)$", said, re.MULTILINE)
    printed = re.findall(rf"^#{number} [\d.]+ (.+)$", said, re.MULTILINE)
    return title[1] if title else f"step {number}", [*printed[-8:], error]


def _command(recipe: Recipe, *, folder: Path, buildx: bool) -> list[str]:
    command = ["buildx", "build"] if buildx else ["build"]
    command += ["--progress=plain", "--network=host", f"--file={recipe.dockerfile}"]
    if recipe.platforms:
        command += [f"--platform={','.join(recipe.platforms)}"]
    if buildx:
        several = len(recipe.platforms) > 1
        command += ["--push", f"--metadata-file={folder / 'metadata.json'}"] if several else ["--load"]
    command += [f"--build-arg={name}={value}" for name, value in sorted(recipe.build_args.items())]
    # By name only: the client takes the value from the environment, where no list of processes shows it.
    command += [f"--build-arg={name}" for name in host.proxy_names()]
    return command + [f"--secret=id={name},src={path}" for name, path in _secrets(recipe, folder).items()]


def _secrets(recipe: Recipe, folder: Path) -> dict[str, Path]:
    secrets = {}
    bundle = host.ca_bundle()
    if bundle is not None:
        secrets["ca"] = bundle
    pip = folder / "pip.conf"
    pip.touch(mode=0o600)
    pip.write_text(host.pip_configuration(), encoding="utf-8")
    return {**secrets, "pip": pip, **recipe.secrets}


def _failure(recipe: Recipe, said: str) -> UserFault | EnvironmentFault:
    if "Multi-platform build is not supported" in said:
        what = f"this machine's builder cannot build for {', '.join(recipe.platforms)} at once"
        fix = "`docker buildx create --use --driver-opt network=host` makes one that can; or name one platform"
        return EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    failed = failing_step(said)
    if failed is None:
        last = "\n    ".join(said.strip().splitlines()[-8:])
        fix = "read what Docker says, remove the cause, then run the command again"
        return EnvironmentFault(Fault(what=f"the build did not start:\n    {last}", where=recipe.where, fix=fix))
    title, printed = failed
    what = "\n    ".join([f"the build failed at `{title}`:", *printed])
    if title.startswith(("[internal] load metadata for", "resolve image config for")):
        fix = "name an image that this machine can pull; `ARG BASE_IMAGE=python:…` is provided even where it cannot"
        return EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    fix = f"correct {recipe.dockerfile}, or what this step needs, then run the command again"
    return UserFault(Fault(what=what, where=recipe.where, fix=fix))


def _pushed_digest(engine: Engine, target: str) -> str:
    repository = target.rpartition(":")[0]
    listed = json.loads(engine.docker(["image", "inspect", target, "--format", "{{json .RepoDigests}}"]).stdout)
    pushed = [one.partition("@")[2] for one in listed or [] if one.startswith(f"{repository}@")]
    return pushed[-1] if pushed else ""
