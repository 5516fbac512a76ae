"""Asking a registry on loopback which images it has."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from dataclasses import dataclass

from planner.faults import EnvironmentFault, Fault

__all__ = ["DIRECT", "Registry", "is_digest"]

_ANSWER_SECONDS = 10
_MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs on loopback, for which the machine's proxy must never be asked."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry that speaks plain HTTP on loopback.

    Attributes:
        address: host and port as they stand in an image reference, e.g. ``127.0.0.1:5000``.
    """

    address: str

    def answers(self) -> bool:
        """Whether something there speaks the registry protocol."""
        try:
            with DIRECT.open(f"http://{self.address}/v2/", timeout=_ANSWER_SECONDS) as answer:
                return "registry/2.0" in answer.headers.get("Docker-Distribution-Api-Version", "")
        except (OSError, http.client.HTTPException):
            return False

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest behind a tag (or digest) of a repository; None when the registry does not have it.

        Args:
            repository: name without the address, e.g. ``assistant``.
            reference: a tag, or a digest to ask whether it exists.

        Raises:
            EnvironmentFault: the registry does not answer as one.
        """
        headers = {"Accept": ", ".join(_MANIFEST_TYPES)}
        url = f"http://{self.address}/v2/{repository}/manifests/{reference}"
        request = urllib.request.Request(url, headers=headers, method="HEAD")
        try:
            with DIRECT.open(request, timeout=_ANSWER_SECONDS) as answer:
                digest = answer.headers.get("Docker-Content-Digest", "")
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                return None
            raise self._fault(f"answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._fault(f"does not answer ({error})") from error
        if not is_digest(digest):
            raise self._fault(f"named no digest for {repository}:{reference}")
        return digest

    def has(self, repository: str, digest: str) -> bool:
        """Whether the image with this digest can be pulled from here now."""
        try:
            return self.digest(repository, digest) == digest
        except EnvironmentFault:
            return False

    def _fault(self, problem: str) -> EnvironmentFault:
        what = f"the registry at {self.address} {problem}"
        fix = "start it again: `python3 -m llmos cluster down`, then `up`"
        return EnvironmentFault(Fault(what=what, where="local image registry", fix=fix))


def is_digest(text: str) -> bool:
    """Whether the text is a whole image digest, ``sha256:`` and 64 hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None
