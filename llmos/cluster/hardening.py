"""What the API server keeps and refuses: Secrets encrypted in etcd, an audit log, nothing for the unknown."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path

import yaml

from llmos.files import write_whole

__all__ = ["arguments", "audit_log", "write_files"]

# secretbox: an authenticated cipher, without the limits that Kubernetes' documentation names for aescbc and aesgcm.
_KEY_BYTES = 32
_AUDIT_MEGABYTES = 20
_AUDIT_FILES = 2

# Who asked for what and what was answered, never bodies: those of Secrets would be in the log in plain text.
_AUDIT_POLICY: Mapping[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # The heartbeat of nodes and the events of controllers would be nearly all of it.
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": "None", "resources": [{"group": "", "resources": ["events"]}, {"group": "events.k8s.io"}]},
        {"level": "Metadata"},
    ],
}


def audit_log(folder: Path) -> Path:
    """Where the API server writes one JSON line for each request."""
    return folder / "logs" / "audit.log"


def write_files(folder: Path) -> None:
    """Write the key (once: what it encrypted must stay readable) and the audit policy."""
    if not _encryption(folder).is_file():
        key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")
        providers = [{"secretbox": {"keys": [{"name": "key1", "secret": key}]}}, {"identity": {}}]
        config = {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["secrets"], "providers": providers}],
        }
        write_whole(_encryption(folder), yaml.safe_dump(config), mode=0o600)
    write_whole(_policy(folder), yaml.safe_dump(dict(_AUDIT_POLICY)))


def arguments(folder: Path) -> dict[str, str]:
    """The arguments of the API server that make use of them."""
    return {
        "anonymous-auth": "false",
        "encryption-provider-config": str(_encryption(folder)),
        "audit-policy-file": str(_policy(folder)),
        "audit-log-path": str(audit_log(folder)),
        "audit-log-maxsize": str(_AUDIT_MEGABYTES),
        "audit-log-maxbackup": str(_AUDIT_FILES),
        # A node changes its own objects only.
        "enable-admission-plugins": "NodeRestriction",
    }


def _encryption(folder: Path) -> Path:
    return folder / "encryption.yaml"


def _policy(folder: Path) -> Path:
    return folder / "audit-policy.yaml"
