"""The user's logins to registries, as the Docker client keeps them: nothing of ours is stored."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from llmos.process import run
from planner.faults import EnvironmentFault
from planner.machine import docker_config

__all__ = ["Login", "login_for"]

# Docker Hub's login stands under the address of its first API.
_KEYS = {"docker.io": ("https://index.docker.io/v1/", "index.docker.io", "docker.io")}
_TOKEN_USER = "<token>"


@dataclass(frozen=True, kw_only=True)
class Login:
    """Name and password for a registry; with ``token`` the password is one to be exchanged for another (OAuth 2)."""

    user: str
    password: str = field(repr=False)

    @property
    def is_token(self) -> bool:
        return self.user == _TOKEN_USER

    @property
    def basic(self) -> str:
        """Value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def login_for(host: str) -> Login | None:
    """The login that ``docker login HOST`` left, from a credential helper where one is configured; None without."""
    config = docker_config()
    keys = _KEYS.get(host, (host, f"https://{host}"))
    helpers = config.get("credHelpers") or {}
    for key in keys:
        helper = helpers.get(key) or config.get("credsStore")
        found = _from_helper(str(helper), key) if helper else None
        found = found or _from_file((config.get("auths") or {}).get(key) or {})
        if found:
            return found
    return None


def _from_helper(helper: str, key: str) -> Login | None:
    """What a credential helper answers; a helper that is missing or knows nothing counts as no login."""
    try:
        done = run([f"docker-credential-{helper}", "get"], stdin=key, check=False, timeout_seconds=30)
        said = json.loads(done.stdout) if done.returncode == 0 else {}
    except (EnvironmentFault, ValueError):
        return None
    return Login(user=said["Username"], password=said["Secret"]) if said.get("Secret") else None


def _from_file(entry: dict[str, Any]) -> Login | None:
    if entry.get("identitytoken"):
        return Login(user=_TOKEN_USER, password=entry["identitytoken"])
    try:
        user, colon, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except ValueError:
        return None
    return Login(user=user, password=password) if colon else None
