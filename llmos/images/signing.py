"""Signing pushed images with cosign and a key of one's own; nothing is sent to a public transparency log."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from llmos.console import note, step
from llmos.images.reference import parse_reference
from llmos.images.remote import RemoteRegistry
from llmos.process import run
from llmos.release.signatures import signatures_of
from planner.faults import EnvironmentFault, Fault

__all__ = ["sign"]

_WHERE = "image signatures (builds.signing_key)"
_VERSION = re.compile(r"v(\d+)\.(\d+)")
# Since 2.6 cosign can keep signatures as bundles, and since 3 it does so by itself; a bundle is another form than the
# one that policies verify.
_BUNDLES_SINCE = (2, 6)


def sign(refs: Sequence[str], *, key: str) -> None:
    """Sign images that have no signature yet, by digest, beside the image in its registry.

    Args:
        refs: references with digest.
        key: private key as cosign names it.

    Raises:
        EnvironmentFault: cosign is missing or fails (its words are quoted), or the registry refuses.
    """
    images = [parse_reference(ref) for ref in sorted(set(refs))]
    bare = [image for image in images if not signatures_of(image, RemoteRegistry(host=image.host))]
    if not bare:
        return
    program = shutil.which("cosign")
    if program is None:
        what = "cosign is not on PATH, and the stack file asks for signatures"
        fix = "install cosign 2 or newer (https://docs.sigstore.dev/cosign/system_config/installation/)"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=fix))
    options = ["--yes", "--tlog-upload=false", *_plain_form(program)]
    for image in bare:
        with step(f"signing {image.name}@{image.digest[:19]}"):
            run(
                [program, "sign", "--key", key, *options, f"{image.name}@{image.digest}"], where=_WHERE,
                fix="check the key, its password (COSIGN_PASSWORD) and the login to the registry",
                timeout_seconds=300,
            )  # fmt: skip
    note(f"{len(bare)} images signed")


def _plain_form(program: str) -> list[str]:
    """Options that make a newer cosign keep signatures in the form that every version reads."""
    said = run([program, "version"], check=False, timeout_seconds=60)
    found = _VERSION.search(said.stdout + said.stderr)
    version = (int(found[1]), int(found[2])) if found else _BUNDLES_SINCE
    return ["--new-bundle-format=false", "--use-signing-config=false"] if version >= _BUNDLES_SINCE else []
