"""Talking to any image registry over the OCI distribution protocol, with the user's own logins.

Only what promotion needs: manifests, whether blobs exist, and copies that keep every byte, and so every digest.
"""

from __future__ import annotations

import hashlib
import http
import http.client
import ipaddress
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

from llmos.images.credentials import Login, login_for
from planner.faults import EnvironmentFault, Fault

__all__ = ["INDEX_TYPES", "Manifest", "RemoteRegistry"]

_SECONDS = 30
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
)  # fmt: skip
_MANIFEST_TYPES = (
    *INDEX_TYPES, "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
)  # fmt: skip
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_ECR = re.compile(r"\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")
_ADDRESSES = {"docker.io": "registry-1.docker.io"}
_LARGEST = 8 * 2**20
"""Bytes of a manifest, configuration or signature; registries refuse larger manifests."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest or index, byte for byte as the registry serves it."""

    body: bytes = field(repr=False)
    media_type: str

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"

    @cached_property
    def content(self) -> dict[str, Any]:
        found = json.loads(self.body)
        return found if isinstance(found, dict) else {}

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES or "manifests" in self.content


@dataclass(kw_only=True)
class RemoteRegistry:
    """A registry; one on loopback speaks plain HTTP and is reached past any proxy, as Docker does it.

    Attributes:
        host: as it stands in image references, e.g. ``ghcr.io`` or ``127.0.0.1:5000``.
    """

    host: str
    _tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest behind a tag or digest; None when the registry does not have it.

        Raises:
            EnvironmentFault: the registry does not answer, wants a login, or serves something else than the digest.
        """
        found = self._get(f"/v2/{repository}/manifests/{reference}", repository, accept=", ".join(_MANIFEST_TYPES))
        if found is None:
            return None
        made = Manifest(body=found[0], media_type=found[1])
        if reference.startswith("sha256:") and made.digest != reference:
            raise self._fault(f"serves {made.digest} under {repository}@{reference}", "push the image again")
        return made

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest behind a tag; None when the registry does not have it. Asked without the content, which Docker Hub
        would count as a pull."""
        path, headers = f"/v2/{repository}/manifests/{tag}", {"Accept": ", ".join(_MANIFEST_TYPES)}
        with self._open("HEAD", path, repository, headers=headers, absent_ok=True) as answer:
            if answer.status == http.HTTPStatus.NOT_FOUND:
                return None
            stated = answer.headers.get("Docker-Content-Digest", "")
        found = None if _DIGEST.fullmatch(stated) else self.manifest(repository, tag)
        return found.digest if found else stated

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository, as far as the registry lists them in one answer."""
        found = self._get(f"/v2/{repository}/tags/list", repository)
        return (json.loads(found[0]).get("tags") or []) if found else []

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a layer or configuration can be pulled."""
        with self._open("HEAD", f"/v2/{repository}/blobs/{digest}", repository, absent_ok=True) as answer:
            return answer.status == http.HTTPStatus.OK

    def blob(self, repository: str, digest: str) -> bytes:
        """A small blob, checked against its digest; empty when the registry does not have it."""
        found = self._get(f"/v2/{repository}/blobs/{digest}", repository)
        body = found[0] if found else b""
        if found and f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
            raise self._fault(f"serves other content under blob {digest}", "push the image again")
        return body

    def read_blob(self, repository: str, digest: str) -> Any:
        """A blob as an open answer, to be read piece by piece and closed."""
        return self._open("GET", f"/v2/{repository}/blobs/{digest}", repository)

    def push_blob(self, repository: str, digest: str, content: IO[bytes], *, size: int) -> None:
        """Upload a blob; the registry refuses content that does not have the digest."""
        with self._open("POST", f"/v2/{repository}/blobs/uploads/", repository, push=True) as answer:
            place = urllib.parse.urljoin(self._base, answer.headers["Location"])
        joint = "&" if "?" in place else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        target = f"{place}{joint}{urllib.parse.urlencode({'digest': digest})}"
        self._open("PUT", target, repository, push=True, data=content, headers=headers).close()

    def push_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Upload a manifest under a tag or its digest."""
        path, headers = f"/v2/{repository}/manifests/{reference}", {"Content-Type": manifest.media_type}
        self._open("PUT", path, repository, push=True, data=manifest.body, headers=headers).close()

    @cached_property
    def _base(self) -> str:
        return f"{'http' if self._loopback else 'https'}://{_ADDRESSES.get(self.host, self.host)}"

    @cached_property
    def _loopback(self) -> bool:
        name = self.host.rpartition(":")[0] or self.host
        try:
            return ipaddress.ip_address(name.strip("[]")).is_loopback
        except ValueError:
            return name == "localhost"

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        # Loopback is never behind a proxy, whatever the environment says.
        return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if self._loopback else []))

    @cached_property
    def _login(self) -> Login | None:
        return login_for(self.host)

    def _get(self, path: str, repository: str, accept: str = "*/*") -> tuple[bytes, str] | None:
        with self._open("GET", path, repository, headers={"Accept": accept}, absent_ok=True) as answer:
            if answer.status == http.HTTPStatus.NOT_FOUND:
                return None
            body = answer.read(_LARGEST + 1)
            if len(body) > _LARGEST:
                raise self._fault(f"serves more than {_LARGEST} bytes under {path}", "check what that is")
            return body, answer.headers.get("Content-Type", "").partition(";")[0]

    def _open(
        self, method: str, path: str, repository: str, *, push: bool = False, absent_ok: bool = False,
        data: Any = None, headers: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """The answer, after logging in where the registry asks for it; answers of 400 and above raise, except for an
        absent thing where that is a fair answer."""
        scope = f"repository:{repository}:{'pull,push' if push else 'pull'}"
        try:
            answer = self._send(method, path, data, headers or {}, self._tokens.get(scope, ""))
            if answer.status == http.HTTPStatus.UNAUTHORIZED and scope not in self._tokens:
                self._tokens[scope] = self._authorise(answer.headers.get("WWW-Authenticate", ""), scope)
                answer.close()
                answer = self._send(method, path, data, headers or {}, self._tokens[scope])
        except (OSError, http.client.HTTPException) as error:
            raise self._fault(f"does not answer ({_reason(error)})", "check the address and the network") from error
        if answer.status < http.HTTPStatus.BAD_REQUEST or (
            absent_ok and answer.status == http.HTTPStatus.NOT_FOUND
        ):
            return answer
        answer.close()
        raise self._refused(answer.status, repository, push=push)

    def _send(self, method: str, path: str, data: Any, headers: Mapping[str, str], authorization: str) -> Any:
        request = urllib.request.Request(
            urllib.parse.urljoin(self._base, path), data=data, headers=dict(headers), method=method
        )
        if authorization:
            # Unredirected: blobs are often served by a storage service, which must not see the registry's login.
            request.add_unredirected_header("Authorization", authorization)
        try:
            return self._opener.open(request, timeout=_SECONDS)
        except urllib.error.HTTPError as error:
            return error

    def _authorise(self, challenge: str, scope: str) -> str:
        """An Authorization header as the registry's challenge wants it; empty when there is no login."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return self._login.basic if self._login and not self._login.is_token else ""
        asked = {"realm": "", **dict(_CHALLENGE.findall(rest))}
        if not self._loopback and not asked["realm"].startswith("https://"):
            raise self._fault("sends logins to a token server without TLS", "ask whoever runs it")
        # Of a push the registry names the scope; of its own accord it would grant less.
        query = {"service": asked.get("service", ""), "scope": asked.get("scope") or scope}
        request = urllib.request.Request(f"{asked['realm']}?{urllib.parse.urlencode(query)}")
        if self._login and self._login.is_token:
            form = {**query, "grant_type": "refresh_token", "refresh_token": self._login.password, "client_id": "llmos"}
            request = urllib.request.Request(asked["realm"], data=urllib.parse.urlencode(form).encode())
        elif self._login:
            request.add_header("Authorization", self._login.basic)
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                said = json.loads(answer.read(_LARGEST))
        except urllib.error.HTTPError as error:
            error.close()
            return ""
        return f"Bearer {said.get('token') or said.get('access_token', '')}"

    def _refused(self, status: int, repository: str, *, push: bool) -> EnvironmentFault:
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            doing = "pushing to" if push else "pulling from"
            had = f"the login of {self._login.user}" if self._login else "no login"
            what = f"refuses {doing} {repository} ({status}, with {had})"
            return self._fault(what, f"log in: `{self._login_command}`")
        return self._fault(f"answered {status} about {repository}", "see what it logs, and repeat")

    @property
    def _login_command(self) -> str:
        """ECR takes a password that lasts 12 hours and that only AWS gives."""
        found = _ECR.search(self.host)
        if found is None:
            return f"docker login {self.host}"
        login = f"docker login --username AWS --password-stdin {self.host}"
        return f"aws ecr get-login-password --region {found['region']} | {login}"

    def _fault(self, problem: str, fix: str) -> EnvironmentFault:
        return EnvironmentFault(Fault(what=f"the registry {problem}", where=f"registry {self.host}", fix=fix))


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)
