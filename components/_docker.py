"""The provider that asks registries which digest a tag names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pulumi

__all__ = ["registries_provider"]

# Whatever the check for a daemon is set to, the provider's native half pings one when it is configured; only over SSH
# it does not. Nothing that is asked of it here goes to an engine.
_NO_ENGINE = "ssh://localhost"
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


def registries_provider(tags: Iterable[str], logins: Collection[str]) -> pulumi.ProviderResource:
    """An explicit provider for these tags; it needs no Docker engine.

    Args:
        tags: image names with tags.
        logins: registries that the Docker client is logged in to. The provider reads the credentials itself, from the
            client's configuration: they are no input, and reach neither state nor plan. It fails for a registry without
            any, so only these are named.
    """
    import pulumi_docker as docker

    hosts = sorted({_host(tag) for tag in tags})
    # As objects: keys of plain maps reach the provider as they stand here, and it knows none of these.
    auth = [docker.ProviderRegistryAuthArgs(**entry) for host in hosts if (entry := _auth(host, logins))]
    return docker.Provider(
        "registries", host=_NO_ENGINE, disable_docker_daemon_check=True, registry_auth=auth or None
    )


def _auth(host: str, logins: Collection[str]) -> dict[str, str | bool] | None:
    name = host.partition(":")[0]
    if name == "localhost" or name.startswith("127."):
        # Docker's own rule: a registry on loopback speaks plain HTTP.
        return {"address": f"http://{host}", "auth_disabled": True}
    known = host in logins or (host in _HUB and any(hub in logins for hub in _HUB))
    return {"address": "registry-1.docker.io" if host in _HUB else host} if known else None


def _host(tag: str) -> str:
    """Docker's own rule: what stands before the first slash is a host when it has a dot or a port, or is localhost."""
    first, slash, _ = tag.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"

