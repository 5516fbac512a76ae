"""Weights by way of S3: the scripts, run as containers run them, against a hub and moto's S3 on this machine."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws.server import aws_server
from tests.components.fake_hub import FakeHub, running_hub, sha256
from tests.support import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs in containers of Linux")

SCRIPTS = ROOT / "components" / "files"
WEIGHTS = bytes(range(256)) * 40_000
FILES = {
    "config.json": b'{"model_type": "qwen3"}', "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS[::-1], "sub/tokenizer.json": b"{}" * 5000, "empty.txt": b"",
    "modeling.py": b"import os", "pytorch_model.bin": b"\x80\x02" * 4000,
}  # fmt: skip
WANTED = {"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "sub/tokenizer.json",
          "empty.txt"}  # fmt: skip
BUCKET = "llmagentos-test-123456789012-us-east-1"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub(files=dict(FILES)) as made:
        yield made


@pytest.fixture
def s3() -> Iterator[Any]:
    with aws_server() as url:
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_bucket(Bucket=BUCKET)
        yield client


class Store:
    """One bucket, one hub, and a pod's environment."""

    def __init__(self, s3: Any, hub: FakeHub, folder: Path) -> None:
        self.s3, self.hub, self.folder = s3, hub, folder
        self.endpoint = f"s3+{s3.meta.endpoint_url}/{BUCKET}"
        self.env = {
            **os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip

    def run(self, script: str, *arguments: str, **order: Any) -> subprocess.CompletedProcess[str]:
        artifact = {"source": self.hub.source, "revision": self.hub.revision, **order.pop("artifact", {})}
        content = {"retry_seconds": 0.001, "artifacts": [artifact], **order}
        path = self.folder / f"{script}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        command = [sys.executable, str(SCRIPTS / f"{script}.py"), *arguments, str(path)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120, check=False)

    def fill(self, **order: Any) -> subprocess.CompletedProcess[str]:
        return self.run("fill_store", store=self.endpoint, endpoint=self.hub.endpoint, **order)

    def fetch(self, volume: Path, **order: Any) -> subprocess.CompletedProcess[str]:
        return self.run(
            "fetch_weights", "fetch", endpoint=self.endpoint, folder=str(volume), keep=0, wait_seconds=5, **order
        )

    def objects(self) -> dict[str, bytes]:
        place = f"models/{self.hub.source}/{self.hub.revision}/"
        found = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            item["Key"].removeprefix(place): self.s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            for item in found
        }


@pytest.fixture
def store(s3: Any, hub: FakeHub, tmp_path: Path) -> Store:
    return Store(s3, hub, tmp_path)


def test_what_the_hub_has_is_in_the_bucket_with_its_checksums(store: Store) -> None:
    done = store.fill()
    assert done.returncode == 0, done.stderr
    found = store.objects()
    manifest = json.loads(found.pop("manifest.json"))
    assert found == {name: FILES[name] for name in WANTED}
    assert manifest["files"] == {
        name: {"size": len(FILES[name]), "sha256": sha256(FILES[name])} for name in WANTED
    }  # fmt: skip


def test_a_server_finds_its_weights_without_the_hub(store: Store, tmp_path: Path) -> None:
    assert store.fill().returncode == 0
    store.hub.files.clear()
    asked = len(store.hub.seen)
    done = store.fetch(tmp_path / "volume")
    assert done.returncode == 0, done.stderr
    place = tmp_path / "volume" / store.hub.source.replace("/", "--") / store.hub.revision
    found = {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()}
    assert {name: found[name] for name in WANTED} == {name: FILES[name] for name in WANTED}
    assert len(store.hub.seen) == asked


def test_a_second_filling_asks_the_hub_for_nothing(store: Store) -> None:
    assert store.fill().returncode == 0
    asked = len(store.hub.seen)
    assert store.fill().returncode == 0 and len(store.hub.seen) == asked


def test_content_that_is_wrong_never_becomes_an_object(store: Store) -> None:
    store.hub.corrupt["model-00001-of-00002.safetensors"] = 100
    done = store.fill()
    assert done.returncode == 1 and "checksum" in done.stderr
    assert "manifest.json" not in store.objects() and "model-00001-of-00002.safetensors" not in store.objects()
    assert not store.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads"), "nothing is left that is paid for"


def test_pinned_checksums_go_before_what_the_hub_lists(store: Store) -> None:
    pinned = {name: sha256(FILES[name]) for name in ("config.json", "model-00001-of-00002.safetensors")}
    assert store.fill(artifact={"sha256": pinned}).returncode == 0
    assert set(store.objects()) == {*pinned, "manifest.json"}
    assert store.fill(artifact={"sha256": {**pinned, "config.json": "0" * 64}}).returncode == 1


def test_weights_changed_in_the_bucket_are_noticed_by_the_server(store: Store, tmp_path: Path) -> None:
    assert store.fill().returncode == 0
    key = f"models/{store.hub.source}/{store.hub.revision}/model-00001-of-00002.safetensors"
    store.s3.put_object(Bucket=BUCKET, Key=key, Body=WEIGHTS[:-1] + b"x")
    done = store.fetch(tmp_path / "volume")
    assert done.returncode == 1 and "checksum" in done.stderr


def test_a_hub_that_fails_for_a_while_is_asked_again(store: Store) -> None:
    store.hub.answers[:] = [503, 500, 429]
    assert store.fill().returncode == 0


def test_a_server_before_the_filling_says_what_is_missing(store: Store, tmp_path: Path) -> None:
    done = store.fetch(tmp_path / "volume")
    assert done.returncode == 1 and "manifest.json" in done.stderr


def test_without_credentials_it_says_so(store: Store) -> None:
    del store.env["AWS_ACCESS_KEY_ID"]
    done = store.fill()
    assert done.returncode == 1 and "pod identity association" in done.stderr


class Agent(BaseHTTPRequestHandler):
    """The agent on the node: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html."""

    seen: list[str] = []

    def do_GET(self) -> None:
        Agent.seen.append(self.headers["Authorization"])
        until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=6)
        content = json.dumps({
            "AccessKeyId": "ASIATEST", "SecretAccessKey": "secret", "Token": "session", "AccountId": "123456789012",
            "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }).encode()  # fmt: skip
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def test_credentials_come_from_the_agent_once(store: Store, tmp_path: Path) -> None:
    Agent.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        (tmp_path / "token").write_text("of-the-pod")
        del store.env["AWS_ACCESS_KEY_ID"], store.env["AWS_SECRET_ACCESS_KEY"]
        store.env |= {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.server_port}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
            # A proxy to the hub is not the way to the node, nor to S3.
            "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.2",
        }  # fmt: skip
        store.env["NO_PROXY"] = store.hub.endpoint.split("//")[1].split(":")[0]
        assert store.fill().returncode == 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert Agent.seen == ["of-the-pod"]
