"""Signed images: each digest that runs carries a signature that one of the environment's keys made.

A signature proves itself: whoever has the public key can check it, wherever it was carried. So the stack may state the
signatures of its own images; a wrong, missing or borrowed one opens nothing. Nothing is asked of any registry.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ._budget import STACK_TYPE
from ._model import Container, Stack
from ._node import Node
from ._rule import Context, Option, Rule, Violation
from .images import DIGEST

__all__ = ["RULES"]

_TYPE = "cosign container image signature"


@dataclass(frozen=True, kw_only=True)
class _Signed:
    """A container, and what the stack states about its release."""

    container: Container
    releases: tuple[Node, ...]

    @property
    def object(self) -> str:
        return self.container.object

    @property
    def urn(self) -> str:
        return self.container.urn


def _containers(stack: Stack) -> Iterator[_Signed]:
    """All containers of a stack of ours. Plain manifests state no signatures, so nothing can be said about them."""
    ours = [found.root for found in stack.resources if found.type == STACK_TYPE]
    releases = tuple(root.get("release") for root in ours)
    for resource in stack.resources if ours else ():
        yield from (_Signed(container=container, releases=releases) for container in resource.containers)


def _signed(cell: _Signed, context: Context) -> Iterable[Violation]:
    keys, releases = tuple(context.config["public_keys"]), [found for found in cell.releases if found.exists]
    image = cell.container.node.get("image")
    if not keys:
        if releases and image.exists:
            yield Violation(
                path=image.path, message="the image was promoted, and no public key is configured to check it with",
                fix="put the key (cosign.pub) into `public_keys` of this rule",
            )
        return
    found = DIGEST.search(image.text or "")
    if found is None:
        return  # the rule image-digest reports it
    stated = [each for release in releases for each in release.get("signatures").elements()]
    pairs = [(each.get("payload").text, each.get("signature").text) for each in stated]
    if not any(_names(payload, found[0][1:]) and _verified(payload, proof, keys) for payload, proof in pairs):
        yield Violation(path=image.path, message="none of the keys of this environment has signed the image's digest")


@lru_cache(maxsize=1024)
def _names(payload: str | None, digest: str) -> bool:
    """Whether a signed document is about this digest."""
    try:
        critical = json.loads(base64.b64decode(payload or "", validate=True))["critical"]
        return critical["type"] == _TYPE and critical["image"]["docker-manifest-digest"] == digest
    except (binascii.Error, ValueError, KeyError, TypeError):
        return False


@lru_cache(maxsize=1024)
def _verified(payload: str | None, signature: str | None, keys: Sequence[str]) -> bool:
    """Whether one of the keys made the signature: ECDSA over SHA-256, as cosign signs with a key pair of its own."""
    try:
        signed, proof = (base64.b64decode(text or "", validate=True) for text in (payload, signature))
    except (binascii.Error, ValueError):
        return False
    return any(_made_by(key, signed, proof) for key in keys)


def _made_by(key: str, signed: bytes, proof: bytes) -> bool:
    try:
        public = serialization.load_pem_public_key(key.encode())
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return False
        public.verify(proof, signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


RULES = (
    Rule(
        id="image-signature",
        title="Every image is signed by a key of the environment.",
        why="A digest says that an image did not change since it was named, and nothing about who made it.",
        fix="sign it (`cosign sign --key cosign.key REF`) and promote again, which puts the signature into the lock",
        level="disabled",
        sources=(
            "https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md",
            "https://csrc.nist.gov/pubs/sp/800/218/final",
        ),
        controls=("owasp-llm/LLM03:2025",),
        stack_cells=_containers,
        checks=(_signed,),
        options={
            "public_keys": Option(
                schema={"type": "array", "items": {"type": "string", "pattern": "^-----BEGIN PUBLIC KEY-----"}},
                default=[],
                about="public keys in PEM (ECDSA, as `cosign generate-key-pair` makes them); without any, images that "
                "were promoted are refused, and others are not looked at",
            )
        },
    ),
)
