"""The folder the Pulumi CLI works in, so that nothing in the checkout is ever written.

The passphrase provider writes `encryptionsalt` into the stack file, `pulumi stack select` remembers a choice, and
`pulumi stack rm` deletes the stack file. So the CLI works on a project file of its own whose `main` points at the
unchanged program, beside a copy of the stack file. Project and stack names are the same as in the checkout: with a
backend of the user's own, plain `pulumi up` there and this engine see one and the same stack.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from llmos.engines.base import EngineRun
from llmos.files import write_whole
from llmos.paths import PROJECT_ROOT, cache_dir
from planner.faults import Fault, UserFault

__all__ = ["PATCH_FORCE", "UPSERT", "PulumiWorkspace", "forget", "prepare"]

PATCH_FORCE = "PULUMI_K8S_ENABLE_PATCH_FORCE"
"""Has the Kubernetes provider take over fields of other field managers; in a preview, pass over them."""
UPSERT = "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"
"""Has the provider take over objects that exist where it would create them; which ones is decided before."""

_CLOUD = ("https://", "http://")


@dataclass(frozen=True, kw_only=True)
class PulumiWorkspace:
    """Where the CLI works for one stack.

    Attributes:
        folder: working directory with the project file and the copy of the stack file.
        env: variables for the CLI on top of this process's own.
        backend: URL of the user's own state backend, or empty for state in the user's cache.
        local_state: URL of the state in the user's cache; empty with a backend of the user's own.
        secrets_provider: what the stack file says encrypts secrets; empty for the backend's own way.
    """

    folder: Path
    env: dict[str, str]
    backend: str
    local_state: str = ""
    secrets_provider: str = ""

    def is_new_cluster(self, uid: str) -> bool:
        """Whether another cluster than at the last `up` answers now; never with a backend of the user's own, whose
        stack may have been deployed from elsewhere."""
        file = self._cluster_file
        return bool(uid) and not self.backend and file.exists() and file.read_text(encoding="utf-8") != uid

    def remember_cluster(self, uid: str) -> None:
        """Note which cluster the state is about."""
        if uid and not self.backend:
            write_whole(self._cluster_file, uid)

    @property
    def _cluster_file(self) -> Path:
        return self.folder.parent / "cluster-uid"


def prepare(run: EngineRun) -> PulumiWorkspace:
    """Write the working folder of a stack and choose where its state lives.

    The user's own backend is taken where one is logged in. Otherwise the state of a dev stack lives in the user's
    cache, its secrets encrypted with a passphrase generated there once; other environments are refused, because a
    state that only one machine has is lost with it.

    Raises:
        UserFault: no backend is logged in, and the environment is not ``dev``; or secrets of ``prod`` would be
            encrypted with a passphrase.
    """
    project = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    backend = _own_backend(project)
    if not backend and run.environment != "dev":
        raise UserFault(_no_backend(run))
    secrets_provider = _secrets_provider(run, backend)
    home = _home(run.stack)
    folder = home / "work"
    folder.mkdir(parents=True, exist_ok=True)
    moved = _relocated(project)
    env = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}
    if run.force_conflicts:
        env[PATCH_FORCE] = "true"
    if run.adopt:
        env[UPSERT] = "true"
    if run.kubeconfig:
        env["KUBECONFIG"] = str(run.kubeconfig)
    local_state = "" if backend else _local_state(home)
    if not backend:
        moved["backend"] = {"url": local_state}
        env |= _passphrase(home)
    text = yaml.safe_dump(moved, sort_keys=False, allow_unicode=True)
    write_whole(folder / "Pulumi.yaml", text)
    shutil.copyfile(run.stack_file, folder / f"Pulumi.{run.stack}.yaml")
    return PulumiWorkspace(
        folder=folder, env=env | dict(run.env), backend=backend, local_state=local_state,
        secrets_provider=secrets_provider,
    )  # fmt: skip


def forget(run: EngineRun) -> None:
    """Remove the state, passphrase and working folder of a stack whose state lives in the user's cache."""
    shutil.rmtree(_home(run.stack), ignore_errors=True)


def _home(stack: str) -> Path:
    return cache_dir() / "pulumi" / stack


def _own_backend(project: dict[str, object]) -> str:
    """Where the CLI would go by itself, in the CLI's own order."""
    declared = project.get("backend")
    url = os.environ.get("PULUMI_BACKEND_URL") or (declared.get("url") if isinstance(declared, dict) else None)
    if url:
        return str(url)
    if os.environ.get("PULUMI_ACCESS_TOKEN"):
        return "https://api.pulumi.com"
    home = os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"
    try:
        credentials = json.loads((Path(home) / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(credentials.get("current") or "")


def _local_state(home: Path) -> str:
    state = home / "state"
    state.mkdir(parents=True, exist_ok=True)
    for attributes in state.rglob("*.attrs"):
        # A run killed while it wrote leaves this side file empty, and the CLI then cannot load the state beside it.
        if attributes.stat().st_size == 0:
            attributes.unlink()
    return f"file://{state.as_posix()}"


def _passphrase(home: Path) -> dict[str, str]:
    """The user's own passphrase where one is set, else one made here that only this user can read."""
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in os.environ:
        return {}
    file = home / "passphrase"
    if not file.exists():
        write_whole(file, secrets.token_urlsafe(32), mode=0o600)
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}


def _relocated(project: dict[str, object]) -> dict[str, object]:
    """The project file with every path in it made absolute."""
    moved = {key: value for key, value in project.items() if key != "stackConfigDir"}
    moved["main"] = str(PROJECT_ROOT / str(project.get("main", "")))
    runtime = project.get("runtime")
    if isinstance(runtime, dict):
        options = dict(runtime.get("options") or {})
        if "virtualenv" in options:
            options["virtualenv"] = str(PROJECT_ROOT / str(options["virtualenv"]))
        moved["runtime"] = {**runtime, "options": options}
    return moved


def _secrets_provider(run: EngineRun, backend: str) -> str:
    """What encrypts the stack's secrets, as its file says. Pulumi Cloud brings a key of its own; any other backend
    takes a passphrase where the file names nothing better."""
    document = yaml.safe_load(run.stack_file.read_text(encoding="utf-8"))
    stated = str(document.get("secretsprovider") or "")
    passphrase = stated in ("passphrase", "default") or "encryptionsalt" in document
    if run.environment == "prod" and (passphrase or (not stated and not backend.startswith(_CLOUD))):
        raise UserFault(
            Fault(
                what="the secrets of prod would be encrypted with a passphrase: whoever was told it once reads them "
                "for ever, and nobody can see that he did",
                where=f"{run.stack_file.name}: secretsprovider",
                nearest="Pulumi Cloud brings a key of its own",
                fix="name a key of yours, which can be taken away again: `secretsprovider: awskms://alias/NAME?region="
                "REGION` (or azurekeyvault://, gcpkms://, hashivault://) at the top of the file; for a stack that "
                "exists, `pulumi stack change-secrets-provider` writes it there",
            )
        )
    return stated


def _no_backend(run: EngineRun) -> Fault:
    return Fault(
        what=f"environment `{run.environment}` has no place for its state: no Pulumi backend is logged in",
        where=f"stack {run.stack}",
        nearest="only environment `dev` keeps its state in this machine's cache",
        fix="`pulumi login URL` (Pulumi Cloud, s3://, azblob://, gs://), or set PULUMI_BACKEND_URL",
    )
