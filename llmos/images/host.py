"""What a build must know of the machine it runs on: its certificates, its Python package index, its proxies."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ca_bundle", "pip_configuration", "proxy_names"]

# In the order in which pip itself would take them; curl's is the last resort.
_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS
)
# Settings that mean the same inside a build. Paths of this machine (caches, find-links) do not.
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "retries")
# Build arguments that BuildKit knows without an ARG line and keeps out of the image and its history.
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")


def ca_bundle() -> Path | None:
    """The PEM file of certificate authorities this machine trusts, a company's own included.

    Taken from PIP_CERT, REQUESTS_CA_BUNDLE, SSL_CERT_FILE or CURL_CA_BUNDLE, else the system's bundle; None when there
    is none, which leaves a build to the authorities of its base image.
    """
    named = (os.environ.get(name) for name in _CA_VARIABLES)
    return next((Path(path) for path in (*named, *_SYSTEM_BUNDLES) if path and Path(path).is_file()), None)


def pip_configuration() -> str:
    """The text of a ``pip.conf`` that takes packages from where this machine takes them; empty when nothing is set.

    An index URL may hold a password, so this text is a secret: it goes into a build by a secret mount only.
    """
    return _as_pip_conf(_pip_config_list())


def proxy_names() -> list[str]:
    """Names of the proxy variables that are set, in upper and lower case; their values may hold passwords."""
    names = [form for name in _PROXY_VARIABLES for form in (name, name.lower())]
    return [name for name in names if os.environ.get(name)]


def _pip_config_list() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True, text=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL, check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def _as_pip_conf(listed: str) -> str:
    """Turn lines like ``global.index-url='https://…'`` into a file; variables (``:env:``) win, as they do in pip."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in found and name in _PIP_SETTINGS:
            found[section][name] = ast.literal_eval(value)
    settings = found["global"] | found["install"] | found[":env:"]
    if not settings:
        return ""
    # Several values stand on lines of their own, which an INI file continues by a blank at the start.
    continued = {name: "\n    ".join(value.split()) for name, value in sorted(settings.items())}
    lines = [f"{name} = {value}" for name, value in continued.items()]
    return "\n".join(["[global]", *lines, ""])
