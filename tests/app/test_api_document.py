"""The OpenAPI document describes the application, and nothing that it allows or forbids makes the application fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from app_support import KEY, Running

from assistant.openapi import document


def test_the_document_covers_every_path_and_only_probes_are_open(app: Running) -> None:
    with app.http(key=None) as http:
        served = http.get("/openapi.json").json()
    assert served == document()
    assert set(served["paths"]) == {
        "/v1/chat/completions", "/v1/models", "/v1/models/{model}", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    open_paths = {
        path for path, methods in served["paths"].items() for one in methods.values() if one.get("security") == []
    }
    assert open_paths == {"/healthz", "/readyz", "/metrics"}


def test_a_bounded_fuzzing_run_finds_no_server_error_and_no_undocumented_answer(app: Running, tmp_path: Path) -> None:
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    run = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run",
        f"{app.url}/openapi.json", "--header", f"Authorization: Bearer {KEY}", "--checks", checks,
        "--phases", "fuzzing", "--include-path-regex", "^/v1/", "--max-examples", "20", "--seed", "1",
        "--request-timeout", "60",
    ]  # fmt: skip
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases, done.stdout
    assert int(cases[1]) > 30
