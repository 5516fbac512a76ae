"""Weights in an S3 bucket: what ``hub_client`` is asked of a hub, and putting objects there.

Beside ``fetch_weights.py`` and ``fill_store.py`` in a container, with the standard library of Python 3.9 or newer only:
the images of model servers hold no client of AWS that could be counted on.

An endpoint is ``s3+https://BUCKET.s3.REGION.amazonaws.com``. A revision is complete once its ``manifest.json`` is
there, which is written last. Requests are signed by Signature Version 4
(https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html) with the credentials that EKS Pod
Identity hands to the pod.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import hmac
import http.client
import json
import os
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from typing import Any

from hub_client import TIMEOUT_SECONDS, Later, Never

MANIFEST = "manifest.json"
# S3 and the agent on the node are reached directly, whatever proxy leads to the hub.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_UTC = dt.timezone.utc  # noqa: UP017 (Python 3.9 knows no other name)
_lock = threading.Lock()
_known: dict[str, Any] = {}


def listed(endpoint: str, source: str, revision: str) -> dict[str, dict[str, Any]]:
    """Files of a revision with size and SHA-256, as its manifest says."""
    with _ask(endpoint, "GET", f"{_place(source, revision)}/{MANIFEST}") as answer:
        return dict(json.load(answer)["files"])


def open_file(endpoint: str, source: str, revision: str, name: str, **headers: str) -> Any:
    """Open one file of a revision."""
    return _ask(endpoint, "GET", f"{_place(source, revision)}/{name}", headers=headers)


def complete(endpoint: str, source: str, revision: str) -> dict[str, dict[str, Any]] | None:
    """What the manifest of a revision says; None where there is none, so that it is not complete."""
    try:
        return listed(endpoint, source, revision)
    except Never as error:
        if "HTTP 404" in str(error):
            return None
        raise


def put_manifest(endpoint: str, source: str, revision: str, files: dict[str, dict[str, Any]]) -> None:
    """Mark a revision as complete."""
    content = json.dumps({"source": source, "revision": revision, "files": files}, indent=1, sort_keys=True).encode()
    _ask(endpoint, "PUT", f"{_place(source, revision)}/{MANIFEST}", body=content).close()


class Upload:
    """One object, written in parts; nothing of it is there before ``complete``."""

    def __init__(self, endpoint: str, source: str, revision: str, name: str) -> None:
        self._endpoint, self._key = endpoint, f"{_place(source, revision)}/{name}"
        with _ask(endpoint, "POST", self._key, query={"uploads": ""}) as answer:
            self._id = _text(answer.read(), "UploadId")
        self._parts: list[str] = []

    def part(self, content: bytes) -> None:
        """Append a part: at least 5 MiB, but for the last one."""
        query = {"partNumber": str(len(self._parts) + 1), "uploadId": self._id}
        with _ask(self._endpoint, "PUT", self._key, query=query, body=content) as answer:
            self._parts.append(answer.headers["ETag"])

    def complete(self) -> None:
        """Make the object of its parts."""
        root = ElementTree.Element("CompleteMultipartUpload")
        for number, tag in enumerate(self._parts, start=1):
            part = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = tag
        body = ElementTree.tostring(root)
        with _ask(self._endpoint, "POST", self._key, query={"uploadId": self._id}, body=body) as answer:
            # An answer that began well may still end in an error.
            if b"<Error>" in answer.read():
                raise Later(f"{self._key}: S3 could not put the parts together")

    def abort(self) -> None:
        """Throw the parts away; what fails here, the bucket's own rule does after a while."""
        with contextlib.suppress(Never, Later):
            _ask(self._endpoint, "DELETE", self._key, query={"uploadId": self._id}).close()


def _place(source: str, revision: str) -> str:
    return f"models/{source}/{revision}"


def _text(document: bytes, tag: str) -> str:
    found = ElementTree.fromstring(document).find(f".//{{*}}{tag}")
    if found is None or not found.text:
        raise Later(f"S3 answers without {tag}")
    return found.text


def _ask(
    endpoint: str, method: str, key: str, *, query: dict[str, str] | None = None, body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> Any:  # fmt: skip
    base = urllib.parse.urlsplit(endpoint.removeprefix("s3+"))
    path = f"{base.path.rstrip('/')}/{urllib.parse.quote(key, safe='/-_.~')}"
    pairs = sorted((query or {}).items())
    asked = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)
    signed = _signed(method, base.netloc, path, asked, body)
    url = f"{base.scheme}://{base.netloc}{path}" + (f"?{asked}" if asked else "")
    data = body if method in ("PUT", "POST") else None
    kind = {"Content-Type": "application/octet-stream"} if data is not None else {}
    request = urllib.request.Request(url, data=data, method=method, headers={**signed, **kind, **(headers or {})})
    try:
        return _OPENER.open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        raise _refusal(key, error.code) from error
    except (OSError, http.client.HTTPException) as error:
        raise Later(f"{key}: {error}") from error


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")


def _refusal(key: str, code: int) -> Exception:
    if code == 403:
        return Never(f"{key}: the pod's role may not, or it is not there (HTTP 403)")
    return Never(f"{key}: the bucket has no such object (HTTP 404)") if code == 404 else Later(f"{key}: HTTP {code}")


def _signed(method: str, host: str, path: str, query: str, body: bytes) -> dict[str, str]:
    """Headers that carry the signature."""
    keys, now = _credentials(), dt.datetime.now(_UTC)
    day, moment = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    content = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": content, "x-amz-date": moment}
    if keys.get("Token"):
        headers["x-amz-security-token"] = keys["Token"]
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join([method, path, query, lines, names, content])
    scope = f"{day}/{_region(host)}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = f"AWS4{keys['SecretAccessKey']}".encode()
    for part in (*scope.split("/"), text):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    credential = f"Credential={keys['AccessKeyId']}/{scope}"
    headers["Authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={secret.hex()}"
    return {name: value for name, value in headers.items() if name != "host"}


def _region(host: str) -> str:
    found = re.search(r"\.s3\.([a-z0-9-]+)\.amazonaws\.com", host)
    return found[1] if found else os.environ.get("AWS_REGION", "us-east-1")


def _credentials() -> dict[str, Any]:
    """Of the pod's role, asked of the agent on the node until shortly before they expire; or of the environment."""
    uri = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not uri:
        try:
            return {
                "AccessKeyId": os.environ["AWS_ACCESS_KEY_ID"], "Token": os.environ.get("AWS_SESSION_TOKEN", ""),
                "SecretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"],
            }  # fmt: skip
        except KeyError:
            raise Never("the pod has no credentials: its service account has no pod identity association") from None
    with _lock:
        if "until" not in _known or _known["until"] - dt.datetime.now(_UTC) < dt.timedelta(minutes=5):
            _known.update(_asked(uri))
        return dict(_known)


def _asked(uri: str) -> dict[str, Any]:
    try:
        with open(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"], encoding="utf-8") as file:  # noqa: PTH123
            request = urllib.request.Request(uri, headers={"Authorization": file.read()})
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
            found = json.load(answer)
    except (OSError, KeyError, ValueError, http.client.HTTPException) as error:
        raise Later(f"the node's pod identity agent gives no credentials: {error}") from error
    until = dt.datetime.fromisoformat(found["Expiration"].replace("Z", "+00:00"))
    return {key: found[key] for key in ("AccessKeyId", "SecretAccessKey", "Token")} | {"until": until}
