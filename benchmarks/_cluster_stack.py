"""The stack on which faults and updates happen, and the images that it is made of."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from llmos.images.build import build
from llmos.paths import PROJECT_ROOT

__all__ = ["APPLICATION", "MODEL", "STACK", "changed_image", "first_stack", "images", "standin_command"]

APPLICATION, MODEL = "assistant", "tiny"
STACK = "reliability"
_TOKEN_SECONDS = 0.02
_SERVER = """
web.run_app(application(token_seconds={token_seconds}, model={model!r}), port={port}, access_log=None, print=None,
            shutdown_timeout=60)
"""


def images(folder: Path) -> dict[str, str]:
    """The application's image, and two others made from a changed copy of its folder."""
    return {
        "first": build(context=PROJECT_ROOT / "app", repository=STACK).ref,
        "second": changed_image(folder, "second", "release.py", '"""Another release."""\n'),
        "broken": changed_image(folder, "broken", "__main__.py", "raise SystemExit('this release is broken')\n"),
    }


def changed_image(folder: Path, name: str, file: str, text: str) -> str:
    """Build and push the application with another ``file``, from a copy of its sources in ``folder``."""
    copy = folder / name
    shutil.copytree(PROJECT_ROOT / "app", copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    (copy / "src" / "assistant" / file).write_text(text, encoding="utf-8")
    return build(context=copy, repository=f"{STACK}-{name}").ref


def standin_command(model: str, *, port: int) -> list[str]:
    """What a container of the application's image runs to be a stand-in of a model server."""
    program = (PROJECT_ROOT / "benchmarks" / "_standin.py").read_text(encoding="utf-8")
    return ["python3", "-c", program + _SERVER.format(token_seconds=_TOKEN_SECONDS, model=model, port=port)]


def first_stack(image: str) -> dict[str, Any]:
    """Small enough for two cores; the model server answers at a pace of its own, so that load does not become heat."""
    override = {"containers": [{"name": "server", "command": standin_command(MODEL, port=8080)}]}
    application = {
        "image": {"ref": image}, "model": MODEL, "replicas": 3, "resources": {"cpu": "200m", "memory": "256Mi"},
        "env": {"MAX_CONCURRENT": "200"},
    }  # fmt: skip
    model = {"source": "builtin:tiny", "engine": "llama.cpp", "context_tokens": 2048, "replicas": 2,
             "pod_overrides": override}  # fmt: skip
    return {"target": "local", "applications": {APPLICATION: application}, "models": {MODEL: model}}
