"""What the embedded cluster keeps secret, writes down and refuses."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import pytest

from llmos.cluster.hardening import audit_log
from llmos.cluster.info import ClusterInfo
from llmos.cluster.record import Record, cluster_folder
from llmos.daemons import wait_until
from llmos.images.registry_client import DIRECT
from llmos.kube import Kube

pytestmark = pytest.mark.cluster

VALUE = "a value that nobody may read in a file"
SECRET = {
    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hardening", "namespace": "default"},
    "stringData": {"key": VALUE},
}  # fmt: skip


@pytest.fixture
def secret(kube: Kube) -> None:
    kube.run("apply", "--server-side", "-f", "-", stdin=json.dumps(SECRET))


def stored(cluster: ClusterInfo, key: str) -> bytes:
    """What etcd has under a key, asked of it directly."""
    record = Record.read(cluster.name)
    assert record is not None
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{record.ports.etcd}/v3/kv/range", data=body)
    with DIRECT.open(request, timeout=10) as answer:
        (found,) = json.load(answer)["kvs"]
    return base64.b64decode(found["value"])


def test_secrets_are_encrypted_in_etcd(embedded_cluster: ClusterInfo, secret: None, kube: Kube) -> None:
    value = stored(embedded_cluster, "/registry/secrets/default/hardening")
    assert value.startswith(b"k8s:enc:secretbox:v1:key1:")
    assert VALUE.encode() not in value
    (found,) = kube.get("secret", "hardening", "-n", "default")
    assert base64.b64decode(found["data"]["key"]).decode() == VALUE
    key = cluster_folder(embedded_cluster.name) / "encryption.yaml"
    assert key.stat().st_mode & 0o077 == 0, "its owner's only"


def test_requests_are_in_the_audit_log_without_what_they_carry(
    embedded_cluster: ClusterInfo, secret: None
) -> None:
    log = audit_log(cluster_folder(embedded_cluster.name))

    def written() -> list[dict]:
        lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if '"hardening"' in line)
        return [line for line in lines if line["objectRef"].get("resource") == "secrets" and line["verb"] == "patch"]

    assert wait_until(lambda: bool(written()), timeout_seconds=10)
    assert {line["user"]["username"] for line in written()} == {"kwok-admin"}
    assert all("requestObject" not in line and "responseObject" not in line for line in written())
    assert VALUE not in log.read_text(encoding="utf-8")


def test_nobody_unknown_is_answered(embedded_cluster: ClusterInfo) -> None:
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    for path in ("/api", "/healthz", "/version", "/api/v1/secrets"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            opener.open(f"{embedded_cluster.api_url}{path}", timeout=10)
        assert refused.value.code == 401


def test_a_privileged_pod_is_refused_in_a_stacks_namespace(kube: Kube) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hardening", "labels": labels}}
    kube.run("apply", "--server-side", "-f", "-", stdin=json.dumps(namespace))
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "privileged", "namespace": "hardening"},
        "spec": {"containers": [{"name": "c", "image": "x", "securityContext": {"privileged": True}}]},
    }  # fmt: skip
    try:
        done = kube.run("apply", "-f", "-", stdin=json.dumps(pod), check=False)
        assert done.returncode != 0
        assert "violates PodSecurity" in done.stderr and "privileged" in done.stderr
    finally:
        kube.run("delete", "namespace", "hardening", "--wait=false")
