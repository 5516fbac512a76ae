"""The dev stack on a real node: built, pushed, pulled by digest, and answering with real inference."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from llmos.cluster.info import ClusterInfo
from llmos.daemons import wait_until
from llmos.images import engine, own_engine, registry
from llmos.images.registry_client import DIRECT
from llmos.kube import Kube
from tests.e2e.conftest import Said, command_line
from tests.e2e.real_node import NAME, cube

pytestmark = [
    pytest.mark.docker,
    # The tests of the image path stop the engine that these build with, so one worker runs both.
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("apt-get") is None, reason="needs Debian's packages"),
]

SPACE = "assistant"
QUESTION = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12}


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The stack after ``up``."""

    kube: Kube
    said: Said
    url: str
    key: str

    def post(self, body: dict[str, Any], *, key: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key if key is None else key}"}
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", data=data, headers=headers)
        with DIRECT.open(request, timeout=60) as answer:
            return answer.read()

    def pods(self, name: str) -> list[dict[str, Any]]:
        found = self.kube.get("pods", "-n", SPACE, "-l", f"app.kubernetes.io/name={name}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def python(self, space: str, pod: str, code: str) -> str:
        return self.kube.run("exec", "-n", space, pod, "--", "python3", "-c", code).stdout.strip()


@pytest.fixture(scope="module")
def deployed(real_cluster: ClusterInfo) -> Iterator[Deployed]:
    # The engine and registry that `up` takes are left as they were found.
    was_running = own_engine.running(), registry.find_registry() is not None
    patch = pytest.MonkeyPatch()
    patch.setenv("LLMOS_CLUSTER", NAME)
    patch.setenv("COLUMNS", "200")
    try:
        said = command_line("up", "--stack", "dev", "--engine", "kubectl")
        assert said.returncode == 0, said.stderr
        url = re.search(r"^assistant: (http://\S+)$", said.stdout, re.MULTILINE)
        assert url, said.stdout
        kube = cube(real_cluster)
        (secret,) = kube.get("secret", "assistant-api-keys", "-n", SPACE)
        yield Deployed(kube=kube, said=said, url=url[1], key=base64.b64decode(secret["data"]["keys"]).decode())
    finally:
        patch.undo()
        if not was_running[0]:
            engine.stop_engine()
        if not was_running[1]:
            registry.stop_registry()


@pytest.fixture(scope="module")
def foreign(deployed: Deployed) -> str:
    """A pod of another namespace, of the same image, which is there and has an interpreter."""
    (server,) = deployed.pods("tiny")
    container = {
        "name": "c", "image": server["spec"]["containers"][0]["image"],
        "command": ["python3", "-c", "import time; time.sleep(3600)"],
    }  # fmt: skip
    spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "foreign", "namespace": "default"}, "spec": spec}
    deployed.kube.run("apply", "-f", "-", stdin=json.dumps(pod))
    deployed.kube.run("wait", "--for=condition=Ready", "pod/foreign", "-n", "default", "--timeout=60s")
    return "foreign"


def test_what_runs_where(deployed: Deployed) -> None:
    assert ":80" in deployed.url
    for name, count in (("assistant", 3), ("tiny", 1)):
        pods = deployed.pods(name)
        assert len(pods) == count and {pod["spec"]["nodeName"] for pod in pods} == {"real"}
        for status in (status for pod in pods for status in pod["status"]["containerStatuses"]):
            assert status["ready"] and re.search(r"@sha256:[0-9a-f]{64}$", status["imageID"])
    (chat,) = deployed.pods("chat")
    assert chat["spec"]["nodeName"].startswith("kwok-"), "GPUs are simulated"


def test_the_printed_url_answers_with_real_inference(deployed: Deployed) -> None:
    answer = json.loads(deployed.post(QUESTION))
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] == QUESTION["max_tokens"]
    lines = [line for line in deployed.post({**QUESTION, "stream": True}).decode().splitlines() if line]
    assert len(lines) > 2 and lines[-1] == "data: [DONE]"
    with pytest.raises(urllib.error.HTTPError) as refused:
        deployed.post(QUESTION, key="sk-wrong")
    assert refused.value.code == 401


def test_every_replica_serves(deployed: Deployed) -> None:
    def served() -> set[str]:
        pods = (pod["metadata"]["name"] for pod in deployed.pods("assistant"))
        count = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
        return {name for name in pods if "chat/completions" in deployed.python(SPACE, name, count)}

    def all_of_them() -> bool:
        deployed.post({**QUESTION, "max_tokens": 1})
        return len(served()) == 3

    assert wait_until(all_of_them, timeout_seconds=60), "behind one address"


CONNECT = """
import socket
try:
    socket.create_connection((HOST, PORT), timeout=3).close()
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""


def test_only_the_application_reaches_the_model_server(deployed: Deployed, foreign: str) -> None:
    (server,) = deployed.pods("tiny")
    own = deployed.pods("assistant")[0]["metadata"]["name"]
    for host in (f"tiny.{SPACE}.svc.cluster.local", server["status"]["podIP"]):
        code = CONNECT.replace("HOST", repr(host)).replace("PORT", "8080")
        assert deployed.python(SPACE, own, code) == "connected"
        assert deployed.python("default", foreign, code) == "TimeoutError"
    open_to_all = CONNECT.replace("HOST", repr(f"assistant.{SPACE}.svc.cluster.local")).replace("PORT", "80")
    assert deployed.python("default", foreign, open_to_all) == "connected", "the foreign pod's own network works"
    # The application may not reach anything else, either.
    (address,) = (pod["status"]["podIP"] for pod in deployed.kube.get("pods", "-n", "default", foreign))
    assert deployed.python(SPACE, own, CONNECT.replace("HOST", repr(address)).replace("PORT", "1")) == "TimeoutError"
    assert "Network policies: enforced on the real node" in command_line("status").stdout


def test_pods_hold_no_token_and_no_privilege(deployed: Deployed) -> None:
    look = "import os; print(os.path.exists('/var/run/secrets/kubernetes.io'), os.getuid())"
    for pod in (*deployed.pods("assistant"), *deployed.pods("tiny")):
        assert deployed.python(SPACE, pod["metadata"]["name"], look) == "False 10001"
    container = {"name": "c", "image": "x", "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": SPACE},
           "spec": {"containers": [container]}}  # fmt: skip
    done = deployed.kube.run("apply", "-f", "-", stdin=json.dumps(pod), check=False)
    assert done.returncode != 0 and "violates PodSecurity" in done.stderr


def test_autoscalers_see_what_pods_use(deployed: Deployed) -> None:
    def seen() -> bool:
        (scaler,) = deployed.kube.get("hpa", "assistant", "-n", SPACE)
        metrics = scaler["status"].get("currentMetrics") or []
        return any(metric.get("resource", {}).get("current", {}).get("averageUtilization") is not None
                   for metric in metrics)  # fmt: skip

    assert wait_until(seen, timeout_seconds=90)


def test_logs_are_the_containers_own(deployed: Deployed) -> None:
    deployed.post(QUESTION)
    said = command_line("logs", "tiny")
    assert said.returncode == 0 and said.stdout.strip(), said.stderr
    assert command_line("preview", "--engine", "kubectl").returncode == 0
