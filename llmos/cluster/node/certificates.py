"""Identities of the node's programs: certificates of the cluster's own authority, and kubeconfigs that use them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import warnings
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llmos.files import write_whole

__all__ = ["issue", "kubeconfig"]

# As long as kwokctl's authority lives is longer than any cluster on a laptop; renewed at each start of the node.
_VALID_DAYS = 3650


def issue(
    pki: Path, *, to: Path, name: str, user: str, groups: tuple[str, ...] = (), address: str | None = None
) -> None:
    """Write ``<name>.crt`` and ``<name>.key`` into ``to``, the key for its owner only.

    Args:
        pki: folder of the authority's ``ca.crt`` and ``ca.key``.
        to: folder that receives them.
        name: file name.
        user: common name, which the API server takes as the user.
        groups: organisations, which it takes as the user's groups.
        address: IP address that a server proves with it; a client's certificate otherwise.
    """
    with warnings.catch_warnings():
        # kwokctl gives its authority the serial number 0, which later releases of the library may refuse.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        authority = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    signer = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), password=None)
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    usage = ExtendedKeyUsageOID.SERVER_AUTH if address else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*subject, x509.NameAttribute(NameOID.COMMON_NAME, user)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock that is set back a little must not make it invalid.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(min(now + dt.timedelta(days=_VALID_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(to / f"{name}.key", private.decode("ascii"), mode=0o600)
    write_whole(to / f"{name}.crt", signed.public_bytes(serialization.Encoding.PEM).decode("ascii"))


def kubeconfig(path: Path, *, server: str, authority: Path, certificate: Path, key: Path) -> None:
    """Write a kubeconfig that names the certificate's files."""
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "llmos", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "llmos", "user": user}],
        "contexts": [{"name": "llmos", "context": {"cluster": "llmos", "user": "llmos"}}],
        "current-context": "llmos",
    }
    write_whole(path, yaml.safe_dump(config), mode=0o600)
