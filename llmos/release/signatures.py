"""Signatures that cosign left beside an image. They are only collected here: the policy pack verifies them, at every
preview and `up`, with the public keys of its environment and without asking anybody."""

from __future__ import annotations

import base64

from llmos.images.reference import Reference
from llmos.images.remote import RemoteRegistry
from llmos.release.copying import attached_tags
from planner.lock import Signature

__all__ = ["signatures_of"]

_LAYER_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
_ANNOTATION = "dev.cosignproject.cosign/signature"
_MOST = 20
"""More signatures than anybody needs; a lock must stay readable."""


def signatures_of(image: Reference, registry: RemoteRegistry) -> tuple[Signature, ...]:
    """All signatures over the digest, as a registry keeps them under the tag ``sha256-<hex>.sig``; maybe none."""
    found = registry.manifest(image.repository, attached_tags(image.digest)[0])
    if found is None:
        return ()
    signatures = []
    for layer in found.content.get("layers", ())[:_MOST]:
        signature = layer.get("annotations", {}).get(_ANNOTATION)
        if layer.get("mediaType") == _LAYER_TYPE and signature:
            payload = registry.blob(image.repository, layer["digest"])
            signatures.append(Signature(payload=base64.b64encode(payload).decode(), signature=signature))
    return tuple(signatures)
