"""Image references: registry, repository, tag and digest."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

__all__ = ["Reference", "parse_reference"]

_DOCKER_HUB = "docker.io"
_REFERENCE = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A reference in its parts; ``tag`` and ``digest`` are empty where they are not given."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository, as container runtimes write it."""
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def at(self, server: str) -> Reference:
        """The same image under another registry and path: ``server`` and the last part of its name."""
        host, _, path = server.partition("/")
        last = self.repository.rpartition("/")[2]
        return replace(self, host=host, repository=f"{path}/{last}" if path else last)


def parse_reference(text: str) -> Reference:
    """A reference in its parts, Docker Hub's short names written out; raises ``ValueError`` for none.

    Docker's rule: what stands before the first slash is a host when it has a dot or a port, or is localhost.
    """
    match = _REFERENCE.fullmatch(text)
    if not match:
        raise ValueError(f"`{text}` is no image reference")
    host, slash, repository = match["name"].partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, repository = _DOCKER_HUB, match["name"] if slash else f"library/{match['name']}"
    return Reference(host=host, repository=repository, tag=match["tag"] or "", digest=match["digest"] or "")
