"""What BuildKit and buildx say when a build fails, as one fault with what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["KNOWN", "PROVIDER", "KnownFailure", "build_fault", "builder_fault", "failing_step"]


@dataclass(frozen=True, kw_only=True)
class KnownFailure:
    """A message we know, and what to do about it. None of these is the Dockerfile's fault."""

    pattern: str
    fix: str


KNOWN = (
    KnownFailure(
        pattern=r"exec format error",
        fix="a step ran a program of another processor, which takes emulation on the builder (`docker run --privileged "
        "--rm tonistiigi/binfmt --install arm64`), a builder with a node for each, or one platform under `platforms`",
    ),
    KnownFailure(
        pattern=r"[Mm]ulti-platform build is not supported",
        fix="set `builds: {builder: container}` (or remote), or name one platform",
    ),
    KnownFailure(
        pattern=r"(Cache export|Attestation) is not supported",
        fix="set `builds: {builder: container}` (or remote): the engine's image store takes neither",
    ),
    KnownFailure(
        pattern=r"no builder \"?[\w.-]+\"? found|failed to find (driver|instance)",
        fix="create it (`docker buildx create --name NAME ...`), or correct `builds.name` (`docker buildx ls`)",
    ),
    KnownFailure(
        pattern=r"booting builder|booting buildkit|pulling image|creating container buildx_buildkit",
        fix="the engine has to pull moby/buildkit (or a mirror: `docker buildx create --driver-opt image=...` and "
        "`builds.name`) and to run it privileged; otherwise set `builds: {builder: engine}`, or remote",
    ),
    KnownFailure(
        pattern=r"server gave HTTP response to HTTPS client",
        fix="the registry speaks plain HTTP: name it in the builder's buildkitd.toml ([registry.\"HOST\"] http = true)",
    ),
    KnownFailure(
        pattern=r"(?i)failed to push|unexpected status from (HEAD|POST|PUT|PATCH) request|push access denied|denied: "
        r"|insufficient_scope|no basic auth credentials|authorization failed",
        fix="log in to that registry (`docker login HOST`), check that the account may push there and that the builder "
        "reaches it (127.0.0.1 is the builder's own)",
    ),
    KnownFailure(
        pattern=r"(?i)tls: |x509: |certificate (signed by unknown authority|required|has expired)",
        fix="correct `builds.tls`: the authority of the daemon's certificate, and a client certificate that it accepts",
    ),
    KnownFailure(
        pattern=r"context deadline exceeded|waiting for connection",
        fix="what listens at that address does not answer as a buildkitd: correct `builds.address`, or add "
        "`builds.tls` where the daemon wants it",
    ),
    KnownFailure(
        pattern=r"failed to list workers|error reading server preface|code = Unavailable|connection error: desc",
        fix="start the buildkitd, or correct `builds.address`; `docker buildx ls` shows what answers",
    ),
)
PROVIDER = (
    *KNOWN,
    KnownFailure(
        # Called by `exec`, buildx's own words reach nobody; the provider's own client repeats them at length.
        pattern=r"did not complete successfully|^exit status \d+$|failed to compute cache key|dockerfile parse error",
        fix="`python3 -m llmos build` makes the same image and shows the step that failed, and why",
    ),
)
"""What the build provider of the Pulumi engine says."""
# A step that only looks for a cache, or leaves one behind; the build goes on without.
_CACHE_STEPS = ("importing cache manifest", "exporting cache")
_PUSH_STEPS = ("exporting to", "pushing", "[auth]")
_PULL_STEPS = ("[internal] load metadata for", "resolve image config for")


def failing_step(said: str) -> tuple[str, list[str]] | None:
    """The step at which a build failed and the last it said; None when it failed before any step ran.

    Reads BuildKit's plain progress, where ``#5 [2/2] RUN make`` opens step 5, ``#5 0.31 …`` is a line that it printed
    after 0.31 s, and ``#5 ERROR: …`` is its end. A cache that is not there yet ends so too, and is no failure.
    """
    for number, error in re.findall(r"^#(\d+) ERROR: (.+)$", said, re.MULTILINE):
        found = re.search(rf"^#{number} (?!sha256:|ERROR: |[\d.]+ )(.+)$", said, re.MULTILINE)
        title = found[1] if found else f"step {number}"
        if not title.startswith(_CACHE_STEPS):
            return title, [*re.findall(rf"^#{number} [\d.]+ (.+)$", said, re.MULTILINE)[-8:], error]
    # The prefixes pile up, "failed to solve: … failed to create LLB definition: …"; the end says what is wrong.
    solved = re.search(r"^(?:ERROR: )?.*failed to (?:solve|build|create LLB)[^:]*: (.+)$", said, re.MULTILINE)
    return ("reading the Dockerfile", [solved[1]]) if solved else None


def build_fault(said: str, *, where: str, dockerfile: str, platforms: str) -> UserFault | EnvironmentFault:
    """The error to raise for a build that printed this.

    Args:
        said: BuildKit's plain progress.
        where: what messages call the image.
        dockerfile: its path, for the fix.
        platforms: those that were asked for, e.g. ``linux/amd64, linux/arm64``.
    """
    if re.search(KNOWN[1].pattern, said):
        what = f"this machine's builder cannot build for {platforms} at once"
        return EnvironmentFault(Fault(what=what, where=where, fix=KNOWN[1].fix))
    failed = failing_step(said)
    if failed is None:
        last = _last_lines(said)
        known = _known("\n".join(last))
        fix = known.fix if known else "read what Docker says, remove the cause, then run the command again"
        what = "\n    ".join(["the build did not start:", *last])
        return EnvironmentFault(Fault(what=what, where=where, fix=fix))
    title, printed = failed
    what = "\n    ".join([f"the build failed at `{title}`:", *printed])
    if title.startswith(_PULL_STEPS):
        fix = "name an image that this machine can pull; `ARG BASE_IMAGE=python:…` is provided even where it cannot"
        return EnvironmentFault(Fault(what=what, where=where, fix=fix))
    pushing, foreign = title.startswith(_PUSH_STEPS), any("exec format error" in line for line in printed)
    if pushing or foreign:
        known = KNOWN[0] if foreign else _known("\n".join(printed))
        fix = known.fix if known else "check the registry and that the builder reaches it, then run the command again"
        return EnvironmentFault(Fault(what=what, where=where, fix=fix))
    fix = f"correct {dockerfile}, or what this step needs, then run the command again"
    return UserFault(Fault(what=what, where=where, fix=fix))


def builder_fault(said: str, *, name: str) -> Fault:
    """The fault of a builder that cannot be had, from what buildx printed."""
    last = _last_lines(said)
    known = _known("\n".join(last))
    by_hand = f"see `docker buildx inspect --bootstrap {name}`, or set `builds: {{builder: engine}}`"
    fix = known.fix if known else by_hand
    return Fault(what="\n    ".join([f"the builder `{name}` cannot be used:", *last]), where="image builder", fix=fix)


def _known(said: str) -> KnownFailure | None:
    return next((known for known in KNOWN if re.search(known.pattern, said)), None)


def _last_lines(said: str) -> list[str]:
    return [line for line in said.strip().splitlines() if line.strip()][-8:]
