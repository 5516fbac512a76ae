"""Cases of the rule on signed images. The keys live as long as the test run."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.policies.support import DELETE, good_stack

RULE = "image-signature"
PATH = "spec.template.spec.containers[0].image"
_KEY, _OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def payload(digest: str, *, kind: str = "cosign container image signature") -> bytes:
    critical = {"identity": {"docker-reference": "r/app"}, "image": {"docker-manifest-digest": digest}, "type": kind}
    return json.dumps({"critical": critical, "optional": None}).encode()


def signature(signed: bytes, key: ec.EllipticCurvePrivateKey = _KEY, over: bytes | None = None) -> dict[str, str]:
    proof = key.sign(signed if over is None else over, ec.ECDSA(hashes.SHA256()))
    return {"payload": base64.b64encode(signed).decode(), "signature": base64.b64encode(proof).decode()}


def _digests() -> list[str]:
    """Digests of all images of the good stack, init containers included."""
    found = []
    for document in good_stack().values():
        spec = document.get("spec", {}).get("template", {}).get("spec", {}) if "kind" in document else {}
        images = [c["image"] for role in ("initContainers", "containers") for c in spec.get(role, ())]
        found += [image.partition("@")[2] for image in images]
    return sorted(set(found))


def _release(signatures: list[Any]) -> list[Any]:
    return [("llm-stack", "release", {"sourceCommit": "", "signatures": signatures})]


GOOD = [signature(payload(digest)) for digest in _digests()]
_CONFIG: dict[str, Any] = {"public_keys": [pem(_KEY)]}
_WRONG = "sha256:" + "f" * 64
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)

FAIL: list[Any] = [
    (RULE, [], PATH, _CONFIG),
    (RULE, _release([]), PATH, _CONFIG),
    (RULE, _release(GOOD), PATH, {"public_keys": [pem(_OTHER)]}),
    (RULE, _release(GOOD), PATH, {"public_keys": [pem(_RSA)]}),
    (RULE, _release(GOOD), PATH, {"public_keys": ["-----BEGIN PUBLIC KEY-----\nno key\n-----END PUBLIC KEY-----\n"]}),
    # Signed documents about another image, of another kind, or beside the point.
    (RULE, _release([signature(payload(_WRONG))]), PATH, _CONFIG),
    (RULE, _release([signature(payload(digest, kind="other")) for digest in _digests()]), PATH, _CONFIG),
    (RULE, _release([signature(b"[]"), signature(b"{}"), signature(b"\xff")]), PATH, _CONFIG),
    # A document that says the right thing with a signature over another one.
    (RULE, _release([signature(payload(d), over=payload(_WRONG)) for d in _digests()]), PATH, _CONFIG),
    (RULE, _release([{"payload": "%", "signature": "%"}, {"payload": GOOD[0]["payload"]}]), PATH, _CONFIG),
    # Promoted, and nobody configured a key.
    (RULE, _release(GOOD), PATH, {"public_keys": []}),
    (RULE, _release([]), PATH, {}),
]  # fmt: skip

PASS: list[Any] = [
    (RULE, _release(GOOD), _CONFIG),
    (RULE, _release(GOOD), {"public_keys": [pem(_OTHER), pem(_KEY)]}),
    (RULE, _release([signature(payload(_WRONG)), *GOOD]), _CONFIG),
    # Without keys only promoted images are refused; plain manifests state no signatures at all.
    (RULE, [], {"public_keys": []}),
    (RULE, [("llm-stack", "", DELETE)], _CONFIG),
]

UNKNOWN_AT: list[Any] = [
    (RULE, "Deployment/app", PATH, _CONFIG),
    (RULE, "llm-stack", "release", _CONFIG),
]
