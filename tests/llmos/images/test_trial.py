"""The container beside the simulated cluster: how it is called, kept, replaced, refused and removed."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llmos.images import trial
from llmos.images.engine import Engine
from planner.faults import EnvironmentFault, Fault, UserFault

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")

REF = f"127.0.0.1:5000/app@sha256:{'a' * 64}"
SETTINGS = {"stack": "dev", "application": "app", "ref": REF, "container_port": 8000, "ready_path": "/readyz"}
VALUES = {"env": {"LOG_LEVEL": "info"}, "secrets": {"API_KEYS": "hunter2"}}


@pytest.fixture
def port() -> Iterator[int]:
    """Where an application answers 200 at /readyz and 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def _container(port: int, *, recipe: str = "", runs: bool = True) -> str:
    labels = {"llmagentos.dev/application": "app", "llmagentos.dev/stack": "dev", "llmagentos.dev/recipe": recipe}
    binding = [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
    found = {
        "Id": "f00", "Config": {"Labels": labels}, "State": {"Running": runs},
        "NetworkSettings": {"Ports": {"8000/tcp": binding}},
    }  # fmt: skip
    return json.dumps([found])


@pytest.fixture
def docker(stand_in, monkeypatch):
    """Make the engine a stand-in whose container answers at the given port."""

    def install(name: str, port: int, **container):
        answers = {
            "container inspect": (0, _container(port, **container), ""), "logs": (0, "ready to fail\nboom\n", ""),
            "ps": (0, "f00\n", ""), "run": (0, "f00\n", ""), "rm": (0, "", ""),
        }  # fmt: skip
        program = stand_in(name, answers)
        engine = Engine(client=program.program, buildx=False, host=None, version="20.10")
        monkeypatch.setattr(trial, "ensure_engine", lambda **_: engine)
        monkeypatch.setattr(trial, "find_engine", lambda: engine)
        return program

    return install


def _verbs(program) -> list[str]:
    return [call["words"][0] for call in program.calls]


def test_the_url_is_given_once_it_has_answered(docker, port: int) -> None:
    program = docker("docker", port)
    assert trial.ensure_running(**SETTINGS, **VALUES) == f"http://127.0.0.1:{port}"
    run = next(call for call in program.calls if call["words"][0] == "run")
    assert run["words"][-1] == REF
    confined = {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=10001:10001"}
    assert confined <= set(run["words"])
    assert any(word.startswith("127.0.0.1:") and word.endswith(":8000") for word in run["words"])


def test_secrets_are_in_no_argument_and_in_no_file(docker, port: int) -> None:
    program = docker("docker", port)
    several = "hunter2\nhunter3"
    trial.ensure_running(**SETTINGS, env={"LOG_LEVEL": "info"}, secrets={"API_KEYS": several})
    assert not any("hunter" in word for call in program.calls for word in call["words"])
    run = next(call for call in program.calls if call["words"][0] == "run")
    assert {"--env=LOG_LEVEL=info", "--env=API_KEYS"} <= set(run["words"])
    assert run["files"] == {} and run["environment"]["API_KEYS"] == several
    assert not any("API_KEYS" in call["environment"] for call in program.calls if call["words"][0] != "run")


def test_the_same_container_is_kept_and_another_replaced(docker, port: int) -> None:
    first = docker("first", port)
    trial.ensure_running(**SETTINGS, **VALUES)
    run = next(call["words"] for call in first.calls if call["words"][0] == "run")
    recipe = next(word for word in run if word.startswith("llmagentos.dev/recipe=")).partition("=")[2]
    kept = docker("kept", port, recipe=recipe)
    trial.ensure_running(**SETTINGS, **VALUES)
    assert "run" not in _verbs(kept)
    stopped = docker("stopped", port, recipe=recipe, runs=False)
    with pytest.raises(UserFault):
        trial.ensure_running(**{**SETTINGS, "ready_path": "/never"}, **VALUES)
    assert "run" in _verbs(stopped)
    for number, other in enumerate(({"env": {"LOG_LEVEL": "debug"}}, {"secrets": {"API_KEYS": "other"}})):
        changed = docker(f"changed-{number}", port, recipe=recipe)
        trial.ensure_running(**SETTINGS, **{**VALUES, **other})
        assert _verbs(changed).index("rm") < _verbs(changed).index("run")


def test_one_that_never_gets_ready_is_reported_with_its_last_lines_and_removed(docker, port: int) -> None:
    program = docker("docker", port)
    with pytest.raises(UserFault, match=r"did not answer at .*/never within 0\.5 s:\n    ready to fail\n    boom"):
        trial.ensure_running(**{**SETTINGS, "ready_path": "/never"}, **VALUES, ready_seconds=0.5)
    assert _verbs(program)[-1] == "rm"


def test_one_that_ended_is_reported_at_once(docker, port: int) -> None:
    docker("docker", port, runs=False)
    with pytest.raises(UserFault, match="ended right after its start"):
        trial.ensure_running(**{**SETTINGS, "ready_path": "/never"}, **VALUES, ready_seconds=60)


def test_running_and_removing_a_stack(docker, port: int) -> None:
    program = docker("docker", port)
    assert trial.running("dev") == {}
    trial.ensure_running(**SETTINGS, **VALUES)
    assert trial.running("dev") == {"app": f"http://127.0.0.1:{port}"}
    assert trial.running("prod") == {}
    assert trial.remove("prod") == []
    assert trial.remove_all() == ["dev"]
    assert program.calls[-1]["words"] == ["rm", "--force", "--volumes", "f00"]
    assert trial.remove("dev") == trial.remove_all() == []


def test_removing_where_nothing_was_started_asks_no_engine(monkeypatch) -> None:
    monkeypatch.setattr(trial, "ensure_engine", lambda **_: pytest.fail("an engine was asked for"))
    assert trial.remove("dev") == trial.remove_all() == []


def test_removing_where_no_engine_can_be_had_any_more_is_a_warning(docker, port: int, monkeypatch, capsys) -> None:
    docker("docker", port)
    trial.ensure_running(**SETTINGS, **VALUES)

    def none(**_: object) -> Engine:
        raise EnvironmentFault(Fault(what="no Docker engine answers", where="here", fix="start it"))

    monkeypatch.setattr(trial, "ensure_engine", none)
    assert trial.remove("dev") == []
    assert "warning: stopped containers of stack dev may be left" in capsys.readouterr().err
    docker("again", port)
    assert trial.remove("dev") == ["app"]  # the record was kept for the next time
