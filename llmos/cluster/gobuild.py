"""Building pinned programs from Go modules into the user's cache: once, one at a time, stripped, replaced atomically.

``go install module@version`` cannot do it: Kubernetes points at its own staging modules by relative path, which only
its source tree resolves. So each module gets a go.mod of our own, derived from the module's, in which those paths
become the published versions.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from llmos.cluster.versions import GoModule, Program
from llmos.files import write_whole
from llmos.paths import cache_dir
from llmos.process import run
from planner.faults import EnvironmentFault, Fault

__all__ = ["GO_MINIMUM", "build", "require_go"]

GO_MINIMUM = (1, 24)
"""What Kubernetes 1.34 needs; a newer toolchain that a module asks for is fetched by Go itself (GOTOOLCHAIN=auto)."""

# Measured for all eight programs: build cache 4.5 GiB, module cache 1.3 GiB, the programs 0.5 GiB, and the linker's
# temporary files.
_GIB_PER_PROGRAM = 1
_REPORT_EVERY_SECONDS = 20
_WHERE = "building the embedded cluster's programs"


def require_go(*, programs: int) -> Path:
    """The ``go`` command, once it is known to be new enough and its caches have room.

    Args:
        programs: how many are going to be built, which tells the space that is needed.

    Raises:
        EnvironmentFault: Go is missing or too old, or there is too little space.
    """
    wanted = f"Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or newer"
    fix = f"install {wanted} (Debian 12's own package is too old; use the archive of the Go project) and put it on PATH"
    found = shutil.which("go")
    if found is None:
        raise EnvironmentFault(Fault(what=f"{wanted} was not found on PATH", where=_WHERE, fix=fix))
    env = json.loads(run([found, "env", "-json", "GOVERSION", "GOCACHE", "GOMODCACHE"], where=_WHERE).stdout)
    version = re.match(r"go(\d+)\.(\d+)", env["GOVERSION"])
    if version is None or (int(version[1]), int(version[2])) < GO_MINIMUM:
        what = f"{found} is {env['GOVERSION']}, needed is {wanted}"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=fix))
    for folder in (cache_dir(), Path(env["GOCACHE"]), Path(env["GOMODCACHE"])):
        _require_space(folder, needed_gib=_GIB_PER_PROGRAM * (programs + 1))
    return Path(found)


def build(program: Program, *, go: Path, progress: Callable[[str], None]) -> Path:
    """Build one program, unless the cache has it; return its path in the cache.

    Interrupted at any moment, it leaves either the whole program or none, and Go's own caches keep what was compiled.

    Args:
        program: what to build.
        go: the ``go`` command, from :func:`require_go`.
        progress: receives a line with the elapsed time every 20 seconds.

    Raises:
        EnvironmentFault: a module could not be downloaded, or the compiler failed; quotes the last lines.
    """
    target = cache_dir() / "bin" / program.file_name
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    workspace = _workspace(program.module, go=go)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    symbols = " ".join(f"-X {symbol}={program.version}" for symbol in program.version_symbols)
    command = [
        str(go), "build", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {symbols}".strip(),
        "-o", str(temporary), _package(program, workspace=workspace),
    ]
    try:
        _compile(program, command, workspace=workspace, progress=progress)
        _copy_data(program, target=target, go=go)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _package(program: Program, *, workspace: Path) -> str:
    """What to build: the import path, or the folder into which a source file of ours was put."""
    if program.source is None:
        return program.package
    folder = workspace / program.name
    folder.mkdir(exist_ok=True)
    write_whole(folder / "main.go", program.source.read_text(encoding="utf-8"))
    return f"./{program.name}"


def _compile(program: Program, command: list[str], *, workspace: Path, progress: Callable[[str], None]) -> None:
    log = cache_dir() / "logs" / f"build-{program.file_name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    title = f"building {program.name} {program.version} from Go modules"
    progress(f"{title} ...")
    started = reported = time.monotonic()
    with log.open("w", encoding="utf-8") as output, subprocess.Popen(
        command, cwd=workspace, env=_go_env(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    ) as process:
        try:
            while process.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - reported >= _REPORT_EVERY_SECONDS:
                    reported = time.monotonic()
                    progress(f"  {title}: {_elapsed(reported - started)}")
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise EnvironmentFault(_failure(program, log))
    progress(f"  {program.name} built in {_elapsed(time.monotonic() - started)}")


def _failure(program: Program, log: Path) -> Fault:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    said = "\n    ".join(line for line in lines if not line.startswith("go: downloading"))[-1500:]
    network = ("dial tcp", "no such host", "proxyconnect", "i/o timeout", "reading https://", "Forbidden", "TLS", "EOF")
    if any(sign in said for sign in network):
        what = f"a Go module of {program.name} could not be downloaded:\n    {said}"
        fix = "give this machine access to a Go module proxy (`go env GOPROXY`) and run this again: it continues here"
    elif "no space left" in said:
        what = f"the disk is full:\n    {said}"
        fix = "free some GiB (`go clean -cache -modcache` empties Go's caches) and run this again"
    else:
        what = f"{program.name} does not build:\n    {said}"
        fix = f"read {log}; after an upgrade of Go, `go clean -cache` and a second run often help"
    return Fault(what=what, where=_WHERE, fix=fix)


def _workspace(module: GoModule, *, go: Path) -> Path:
    folder = cache_dir() / "go" / f"{module.path.replace('/', '-')}-{module.version}"
    if (folder / "go.mod").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    source = _download(module, go=go)
    upstream = json.loads(run([go, "mod", "edit", "-json", source["GoMod"]], where=_WHERE).stdout)
    temporary = folder / "go.mod.new"
    temporary.write_text(_go_mod(module, upstream), encoding="utf-8")
    temporary.replace(folder / "go.mod")
    return folder


def _go_mod(module: GoModule, upstream: dict) -> str:
    """The text of our go.mod: the module itself, and its ``replace`` lines with relative paths made into versions."""
    lines = [f"module llmos.build/{module.path}", "", f"go {upstream['Go']}", ""]
    lines += [f"require {path} {version}" for path, version in ((module.path, module.version), *module.requires)]
    for replace in upstream.get("Replace") or []:
        old, new = replace["Old"]["Path"], replace["New"]
        # Kubernetes publishes the staging modules of v1.x.y as v0.x.y.
        version = new.get("Version") or f"v0.{module.version.removeprefix('v').partition('.')[2]}"
        lines.append(f"replace {old} => {new['Path'] if new.get('Version') else old} {version}")
    return "\n".join(lines) + "\n"


def _download(module: GoModule, *, go: Path) -> dict:
    done = run([go, "mod", "download", "-json", f"{module.path}@{module.version}"], env=_go_env(), check=False)
    answer = json.loads(done.stdout) if done.stdout.strip() else {}
    if done.returncode != 0 or "Dir" not in answer:
        said = answer.get("Error") or done.stderr.strip()
        what = f"Go module {module.path} {module.version} could not be downloaded:\n    {said[-800:]}"
        fix = "give this machine access to a Go module proxy (`go env GOPROXY`), or put the programs on PATH"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=fix))
    return answer


def _copy_data(program: Program, *, target: Path, go: Path) -> None:
    if not program.data_folders:
        return
    source = Path(_download(program.module, go=go)["Dir"])
    folder = target.with_name(f"{target.name}.data")
    folder.mkdir(exist_ok=True)
    for file in (file for name in program.data_folders for file in sorted((source / name).glob("*.yaml"))):
        (folder / file.name).write_bytes(file.read_bytes())


def _go_env() -> dict[str, str]:
    flags = f"{os.environ.get('GOFLAGS', '')} -mod=mod".strip()
    # Static, so that the cached programs survive an upgrade of the C library; a go.work of the user's is not ours.
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": flags, "GOWORK": "off"}


def _require_space(folder: Path, *, needed_gib: float) -> None:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_gib = shutil.disk_usage(existing).free / 2**30
    if free_gib < needed_gib:
        what = f"{free_gib:.1f} GiB free in {existing}, building needs {needed_gib:g} GiB"
        fix = "free space there, or point LLMOS_CACHE_DIR, GOCACHE and GOMODCACHE at a larger disk"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=fix))


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
