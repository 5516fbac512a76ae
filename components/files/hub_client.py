"""What a model hub is asked over HTTP: the files of a revision with their checksums, and the files. Beside
``fetch_weights.py`` in a container, with the standard library of Python 3.9 or newer only."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

TIMEOUT_SECONDS = 60
# What vLLM reads. Pickled weights and Python, which can carry code, stay where they are.
WANTED = re.compile(r".*\.(safetensors|json|jinja|model|tiktoken|txt)")


class Never(Exception):
    """Trying again changes nothing."""


class Later(Exception):
    """The hub, the network or the volume may do better the next time."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Files come from another host than the hub, which must not see the token, nor be reached without encryption."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        before, after = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if before.scheme == "https" and after.scheme != "https":
            raise Never("the hub redirects to an address without encryption")
        if new is not None and before.netloc != after.netloc:
            new.headers.pop("Authorization", None)
        return new


_OPENER = urllib.request.build_opener(_Redirects)


def ask(url: str, **headers: str) -> Any:
    """Open a URL of the hub, with the token of ``HF_TOKEN`` and through the proxies of the environment."""
    token = os.environ.get("HF_TOKEN", "")
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    place = urllib.parse.urlsplit(url).path
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "llmagentos", **bearer, **headers})
        return _OPENER.open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        raise _refusal(place, error.code, "the token may not" if token else "without a token nobody may") from error
    except (OSError, http.client.HTTPException) as error:
        raise Later(f"{place}: {error}") from error


def _refusal(place: str, code: int, known: str) -> Exception:
    if code in (401, 403):
        return Never(f"{place}: {known} read it (HTTP {code}); accept the model's licence, or check the token")
    if code in (404, 410):
        return Never(f"{place}: the hub has no such repository, revision or file (HTTP {code})")
    return Later(f"{place}: HTTP {code}")


def listed(endpoint: str, source: str, revision: str) -> dict[str, dict[str, Any]]:
    """Files of a revision with size and checksum, as the hub lists them: SHA-256 of large ones, git's of the others."""
    if endpoint.startswith("s3+"):
        import s3_client

        return s3_client.listed(endpoint, source, revision)
    url: str | None = f"{endpoint}/api/models/{source}/tree/{revision}?recursive=true"
    files: dict[str, dict[str, Any]] = {}
    while url:
        with ask(url) as answer:
            entries = json.load(answer)
            following = re.search(r'<([^>]+)>;\s*rel="next"', answer.headers.get("Link", ""))
        for entry in entries:
            large = entry.get("lfs") or {}
            if entry.get("type") == "file" and WANTED.fullmatch(entry["path"]):
                sums = {"sha256": large["oid"]} if large else {"git": entry["oid"]}
                files[entry["path"]] = {"size": large.get("size", entry["size"]), **sums}
        url = urllib.parse.urljoin(url, following[1]) if following else None
        if url and not url.startswith(f"{endpoint}/"):
            raise Never("the hub's list goes on at another host")
    weights = [path for path in files if path.endswith(".safetensors")]
    # Some repositories hold all weights a second time, in their maker's own layout.
    doubled = [path for path in weights if path.rpartition("/")[2].startswith("consolidated")]
    for path in doubled if len(doubled) < len(weights) else []:
        del files[path]
    return files


def open_file(endpoint: str, source: str, revision: str, name: str, **headers: str) -> Any:
    """Open one file of a revision, and make sure that it is of that revision where the hub says so."""
    if endpoint.startswith("s3+"):
        import s3_client

        return s3_client.open_file(endpoint, source, revision, name, **headers)
    answer = ask(f"{endpoint}/{source}/resolve/{revision}/{urllib.parse.quote(name)}", **headers)
    commit = answer.headers.get("X-Repo-Commit", revision)
    if commit != revision:
        answer.close()
        raise Never(f"{name}: the hub answers with another revision, {commit}")
    return answer
