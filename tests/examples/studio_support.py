"""Where the content-creation example's application is, and how tests serve it and ask it."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.support import ROOT

__all__ = ["ALWAYS", "KEY", "SOURCE", "post", "serve"]

SOURCE = ROOT / "examples" / "content-creation" / "app" / "src"
KEY = "sk-studio-test"
ALWAYS = {"topic": "Tides", "sections": 2, "words": 50}


def serve(server: Any) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(url: str, body: Any = ALWAYS, *, key: str = KEY, path: str = "/v1/articles") -> str:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
        return answer.read().decode("utf-8")
