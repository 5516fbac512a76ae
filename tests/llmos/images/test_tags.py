"""Tags become digests: the registry's protocol with and without passwords, and what is said when it does not answer."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmos import builds
from llmos.images.remote import RemoteRegistry
from llmos.images.tags import digest_of
from planner.faults import EnvironmentFault, UserFault

DIGEST = "sha256:" + "e" * 64
MANIFEST = b'{"schemaVersion": 2}'
WHERE = "Pulumi.t.yaml: applications.a.image.tag"


class Server:
    """A registry with one image, ``team/app:1.2``; ``mode`` says how it treats callers."""

    def __init__(self) -> None:
        self.mode = "open"
        self.seen: list[tuple[str, str, str]] = []
        self.elsewhere: Server | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                outer.answer(self)

            do_GET = do_POST = do_HEAD

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, call: Any) -> None:
        authorization = call.headers.get("Authorization", "")
        length = int(call.headers.get("Content-Length") or 0)
        self.seen.append((f"{call.command} {call.path}", authorization, call.rfile.read(length).decode()))
        status, headers, body = self._decide(call, authorization)
        call.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            call.send_header(name, value)
        call.end_headers()
        if call.command != "HEAD":
            call.wfile.write(body)

    def _decide(self, call: Any, authorization: str) -> tuple[int, dict[str, str], bytes]:
        if call.path.startswith("/token"):
            granted = self.mode != "denied"
            return (200 if granted else 403), {}, json.dumps({"token": "granted"}).encode()
        demanded = {
            "basic": ("Basic " + base64.b64encode(b"u:pw").decode(), 'Basic realm="r"'),
            "bearer": ("Bearer granted", f'Bearer realm="http://{self.address}/token",service="s"'),
            "denied": ("Bearer granted", f'Bearer realm="http://{self.address}/token",service="s"'),
        }.get(self.mode)
        if demanded and authorization != demanded[0]:
            return 401, {"WWW-Authenticate": demanded[1]}, b""
        if self.mode in ("limited", "broken"):
            return {"limited": 429, "broken": 500}[self.mode], {}, b""
        if call.path.endswith("/tags/list"):
            return 200, {}, json.dumps({"tags": ["1.0", "1.2"]}).encode()
        if self.mode == "moved" and self.elsewhere:
            return 307, {"Location": f"http://{self.elsewhere.address}{call.path}"}, b""
        if not call.path.endswith("/v2/team/app/manifests/1.2"):
            return 404, {}, b""
        assert "application/vnd.oci.image.index.v1+json" in call.headers["Accept"]
        return 200, {} if self.mode == "plain" else {"Docker-Content-Digest": DIGEST}, MANIFEST


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def docker_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return tmp_path


def log_in(folder: Path, entries: dict[str, Any], **more: Any) -> None:
    (folder / "config.json").write_text(json.dumps({"auths": entries, **more}), encoding="utf-8")


def encoded(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_an_open_registry_is_asked_once_and_without_the_proxy(server: Server) -> None:
    assert digest_of(f"{server.address}/team/app:1.2", where=WHERE) == DIGEST
    assert server.seen == [("HEAD /v2/team/app/manifests/1.2", "", "")]


def test_without_a_header_the_digest_is_that_of_the_manifest(server: Server) -> None:
    server.mode = "plain"
    expected = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
    assert digest_of(f"{server.address}/team/app:1.2", where=WHERE) == expected


@pytest.mark.parametrize("mode", ["basic", "bearer"])
def test_the_docker_clients_login_is_used(server: Server, docker_folder: Path, mode: str) -> None:
    server.mode = mode
    log_in(docker_folder, {server.address: encoded("u", "pw")})
    assert digest_of(f"{server.address}/team/app:1.2", where=WHERE) == DIGEST
    if mode == "bearer":
        asked = urllib.parse.urlsplit(server.seen[1][0].removeprefix("GET "))
        assert urllib.parse.parse_qs(asked.query) == {"service": ["s"], "scope": ["repository:team/app:pull"]}
        assert server.seen[1][1] == "Basic " + encoded("u", "pw")["auth"]


def test_a_public_image_behind_a_token_server_needs_no_login(server: Server) -> None:
    server.mode = "bearer"
    assert digest_of(f"{server.address}/team/app:1.2", where=WHERE) == DIGEST
    assert server.seen[1][1] == ""


def test_an_identity_token_is_exchanged(server: Server, docker_folder: Path) -> None:
    server.mode = "bearer"
    log_in(docker_folder, {server.address: {"identitytoken": "long"}})
    assert digest_of(f"{server.address}/team/app:1.2", where=WHERE) == DIGEST
    form = urllib.parse.parse_qs(server.seen[1][2])
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["long"])


def test_a_redirect_gets_no_password(server: Server, docker_folder: Path) -> None:
    other = Server()
    try:
        server.mode, server.elsewhere = "basic", other
        log_in(docker_folder, {server.address: encoded("u", "pw")})
        original = server._decide
        server._decide = lambda call, sent: (  # type: ignore[method-assign]
            (307, {"Location": f"http://{other.address}{call.path}"}, b"") if sent else original(call, sent)
        )
        assert digest_of(f"{server.address}/team/app:1.2", where=WHERE) == DIGEST
        assert [authorization for _, authorization, _ in other.seen] == [""]
    finally:
        other.stop()


@pytest.mark.parametrize("realm", ["http://tokens.example/token", ""])
def test_no_password_goes_to_a_token_server_without_tls(realm: str) -> None:
    with pytest.raises(EnvironmentFault, match="token server without TLS"):
        RemoteRegistry(host="reg.example")._authorise(f'Bearer realm="{realm}"', "repository:a:pull")


def test_a_tag_that_does_not_exist_is_the_users_fault_with_the_nearest(server: Server) -> None:
    with pytest.raises(UserFault) as caught:
        digest_of(f"{server.address}/team/app:1.22", where=WHERE)
    (fault,) = caught.value.faults
    assert (fault.where, fault.nearest) == (WHERE, "did you mean `1.2`?")
    assert f"{server.address} has no team/app:1.22" in fault.what


@pytest.mark.parametrize(
    ("mode", "words", "fix"),
    [
        ("basic", "refuses pulling from team/app (401, with no login)", "docker login 127.0.0.1"),
        ("denied", "refuses pulling from team/app (401, with no login)", "docker login 127.0.0.1"),
        ("limited", "answered 429 about team/app", "repeat"),
        ("broken", "answered 500 about team/app", "repeat"),
    ],
)
def test_a_registry_that_refuses_is_one_fault_of_the_machine(server: Server, mode: str, words: str, fix: str) -> None:
    server.mode = mode
    with pytest.raises(EnvironmentFault) as caught:
        digest_of(f"{server.address}/team/app:1.2", where=WHERE)
    (fault,) = caught.value.faults
    assert words in fault.what
    assert fix in fault.fix


def test_a_registry_out_of_reach_is_one_fault_of_the_machine() -> None:
    other = Server()
    other.stop()
    with pytest.raises(EnvironmentFault, match="does not answer") as caught:
        digest_of(f"{other.address}/team/app:1.2", where=WHERE)
    (fault,) = caught.value.faults
    assert fault.where == WHERE
    assert other.address in fault.what


def test_one_run_looks_a_tag_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmos.stacks import load_stack

    file = tmp_path / "Pulumi.t.yaml"
    file.write_text(
        "config: {llmagentos:stack: {target: kubernetes, context: c, environment: prod, "
        "applications: {app: {image: {tag: 'ghcr.io/t/a:1'}}}}}",
        encoding="utf-8",
    )
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(builds, "_digests", {})
    monkeypatch.setattr(builds, "digest_of", lambda tag, *, where: asked.append((tag, where)) or DIGEST)
    stack = load_stack("t", file=file)
    program, missing = builds.synth_preview(stack)
    assert missing == []
    assert program.outputs["images"] == {"app": f"ghcr.io/t/a@{DIGEST}"}
    assert builds.synth_built(stack, {}).outputs["images"] == program.outputs["images"]
    assert asked == [("ghcr.io/t/a:1", "Pulumi.t.yaml: applications.app.image.tag")]
    _, missing = builds.synth_preview(stack, offline=True)
    assert missing == ["app"]
    assert len(asked) == 1
