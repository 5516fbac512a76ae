"""``llmos aws``: the deployer's policy, and a picture of the dashboard."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmos.cli import run
from planner.faults import UserFault
from tests.support import ROOT

STACK = ["--file", str(ROOT / "examples" / "aws" / "Pulumi.aws-dev.yaml")]


class Figures(BaseHTTPRequestHandler):
    """Prometheus, as far as it is asked: the same two samples for every query."""

    def do_GET(self) -> None:
        values = [[time.time() - 60 * minutes, "0.5"] for minutes in (2, 1)]
        body = json.dumps({"data": {"result": [{"metric": {"pod": "chat-0"}, "values": values}]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def figures() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Figures)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_permissions_are_printed_as_a_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "permissions", *STACK]) == 0
    assert {"Images", "Keys"} <= {statement["Sid"] for statement in json.loads(capsys.readouterr().out)["Statement"]}


def test_other_targets_have_nothing_there() -> None:
    with pytest.raises(UserFault, match="has nothing on AWS"):
        run(["aws", "permissions", "--stack", "dev"])


def test_a_dashboard_is_drawn_with_every_panel(
    figures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "dashboard.png"
    assert run(["aws", "dashboard", *STACK, "--prometheus", figures, "--out", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    drawn, _, panels = capsys.readouterr().out.partition(": ")[2].partition(" of ")
    assert int(drawn) == int(panels.split()[0]) >= 6


def test_a_dashboard_needs_a_source_and_a_file() -> None:
    with pytest.raises(UserFault, match="one of them is not named"):
        run(["aws", "dashboard", *STACK])


def test_a_stack_that_is_not_scraped_has_none(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "aws" / "Pulumi.aws-dev.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "observability" not in line]
    file = tmp_path / "Pulumi.aws-dev.yaml"
    (tmp_path / "app").symlink_to(ROOT / "app")
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserFault, match="brings no dashboard"):
        run(["aws", "dashboard", "--file", str(file), "--prometheus", "http://127.0.0.1:1", "--out", "d.png"])
