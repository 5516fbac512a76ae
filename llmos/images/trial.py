"""One real container of an application's image beside the simulated cluster, so that something there really answers.

Pods on simulated nodes run nothing. This container runs the same image, by the same digest, under the same limits on
what it may do; it is published on loopback and belongs to the stack: `destroy` removes it.
"""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Mapping
from pathlib import Path

from llmos.cluster import ports
from llmos.console import step, warn
from llmos.daemons import wait_until
from llmos.images.engine import Engine, ensure_engine, find_engine
from llmos.images.registry_client import DIRECT
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["ensure_running", "log_commands", "remove", "remove_all", "running"]

_STACK_LABEL = "llmagentos.dev/stack"
_APPLICATION_LABEL = "llmagentos.dev/application"
_RECIPE_LABEL = "llmagentos.dev/recipe"
# Any user but root; numbers below 10000 may belong to somebody on the machine.
_USER = "10001:10001"
# A model loads within the start; two minutes is what the pods' own start-up probe allows at most on a busy machine.
_READY_SECONDS = 120


def ensure_running(
    *,
    stack: str,
    application: str,
    ref: str,
    env: Mapping[str, str],
    secrets: Mapping[str, str],
    container_port: int,
    ready_path: str,
    install: bool = True,
    memory_mib: int = 1024,
    ready_seconds: float = _READY_SECONDS,
) -> str:
    """Have one container of an image running, and return its URL once it has answered there.

    A container of the same image and settings is kept; one of others is replaced.

    Args:
        ref: image with digest.
        env: plain environment variables.
        secrets: environment variables that hold secrets; handed over in the Docker client's environment, never on a
            command line and in no file, which would outlive a command that is killed.
        container_port: where the application listens inside.
        ready_path: path that answers 200 when it is ready, e.g. ``/readyz``.
        install: whether missing Debian packages may be installed when an engine has to be started.
        memory_mib: limit of its memory; 1 GiB by default, enough for the built-in model.
        ready_seconds: how long it may take to get ready.

    Raises:
        UserFault: the container ended or did not get ready; quotes its last lines. It is removed.
        EnvironmentFault: no engine can be had, or it refused to start the container.
    """
    engine = ensure_engine(install=install, why=f"running `{application}`")
    name = _name(stack, application)
    where = f"container {name}"
    settings = [ref, dict(env), dict(secrets), container_port, memory_mib]
    recipe = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    found = _inspect(engine, name)
    if found is None or found["Config"]["Labels"].get(_RECIPE_LABEL) != recipe or not found["State"]["Running"]:
        engine.docker(["rm", "--force", name], where=where, check=False)
        labels = {_STACK_LABEL: stack, _APPLICATION_LABEL: application, _RECIPE_LABEL: recipe}
        options = [part for key, value in labels.items() for part in ("--label", f"{key}={value}")]
        options += ["--publish", f"127.0.0.1:{ports.choose(1)[0]}:{container_port}", f"--memory={memory_mib}m"]
        _record(stack).parent.mkdir(parents=True, exist_ok=True)
        _record(stack).touch()
        with step(f"starting {where}"):
            _run(engine, name=name, ref=ref, options=options, env=env, secrets=secrets, where=where)
        found = _inspect(engine, name)
    url = _url(found)
    _wait(engine, name=name, url=url + ready_path, seconds=ready_seconds)
    return url


def running(stack: str) -> dict[str, str]:
    """URL by application of the stack's containers that run now; empty when no engine answers. Starts nothing."""
    engine = find_engine() if _record(stack).is_file() else None
    found = _of_stack(engine, stack) if engine is not None else []
    return {one["Config"]["Labels"][_APPLICATION_LABEL]: _url(one) for one in found if one["State"]["Running"]}


def log_commands(stack: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    """``docker logs`` of the stack's containers, as command and environment by application; starts nothing."""
    engine = find_engine() if _record(stack).is_file() else None
    found = _of_stack(engine, stack) if engine is not None else []
    named = {one["Config"]["Labels"][_APPLICATION_LABEL]: one["Name"].lstrip("/") for one in found}
    return {
        application: ([str(engine.client), "logs", name], engine.environment)
        for application, name in named.items() if engine is not None
    }  # fmt: skip


def remove(stack: str) -> list[str]:
    """Remove all containers of a stack, running or not, and return the names of their applications.

    An engine of our own that was stopped meanwhile is started once more, because it still holds them. Where no engine
    can be had any more, that is a warning: nothing of them runs then, and the rest of the stack must go all the same.
    """
    if not _record(stack).is_file():
        return []
    try:
        engine = ensure_engine(install=False, why=f"removing the containers of stack {stack}")
    except EnvironmentFault as error:
        warn(f"stopped containers of stack {stack} may be left in a Docker engine: {error.faults[0].what}")
        return []
    found = _of_stack(engine, stack)
    if found:
        engine.docker(["rm", "--force", "--volumes", *(one["Id"] for one in found)], where=f"containers of {stack}")
    _record(stack).unlink()
    return sorted(one["Config"]["Labels"][_APPLICATION_LABEL] for one in found)


def remove_all() -> list[str]:
    """Remove the containers of every stack of this machine and return the names of the stacks."""
    folder = _record("any").parent
    stacks = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for stack in stacks:
        remove(stack)
    return stacks


def _run(
    engine: Engine,
    *,
    name: str,
    ref: str,
    options: list[str],
    env: Mapping[str, str],
    secrets: Mapping[str, str],
    where: str,
) -> None:
    hardening = ["--read-only", "--tmpfs=/tmp", f"--user={_USER}", "--cap-drop=ALL"]
    hardening += ["--security-opt=no-new-privileges", "--pids-limit=512"]
    # A name alone makes the client take the value from its own environment.
    variables = [f"--env={key}={value}" for key, value in env.items()] + [f"--env={key}" for key in secrets]
    engine.docker(["run", "--detach", "--name", name, *variables, *hardening, *options, ref], env=secrets, where=where)


def _wait(engine: Engine, *, name: str, url: str, seconds: float) -> None:
    def settled() -> bool:
        return _answers(url) or not _runs(engine, name)

    if wait_until(settled, timeout_seconds=seconds) and _answers(url):
        return
    problem = f"did not answer at {url} within {seconds:g} s" if _runs(engine, name) else "ended right after its start"
    logs = engine.docker(["logs", "--tail", "8", name], check=False)
    said = "".join(f"\n    {line}" for line in (logs.stdout + logs.stderr).strip().splitlines()[-8:])
    engine.docker(["rm", "--force", name], check=False)
    fix = "correct the application, its `env` or its `port`, then run the command again"
    raise UserFault(Fault(what=f"it {problem}:{said}", where=f"container {name}", fix=fix))


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=5) as answer:
            return answer.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _runs(engine: Engine, name: str) -> bool:
    found = _inspect(engine, name)
    return found is not None and found["State"]["Running"]


def _inspect(engine: Engine, name: str) -> dict | None:
    done = engine.docker(["container", "inspect", name], check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def _of_stack(engine: Engine, stack: str) -> list[dict]:
    listed = engine.docker(["ps", "--all", "--quiet", "--filter", f"label={_STACK_LABEL}={stack}"]).stdout.split()
    return json.loads(engine.docker(["container", "inspect", *listed]).stdout) if listed else []


def _url(found: dict | None) -> str:
    bound = (found or {}).get("NetworkSettings", {}).get("Ports") or {}
    published = [one for bindings in bound.values() for one in bindings or []]
    return f"http://{published[0]['HostIp']}:{published[0]['HostPort']}" if published else ""


def _name(stack: str, application: str) -> str:
    return f"llmos-{stack}-{application}"


def _record(stack: str) -> Path:
    """Says that a stack has containers, so that others' `destroy` need not start an engine to find none."""
    return cache_dir() / "images" / "trial" / stack
