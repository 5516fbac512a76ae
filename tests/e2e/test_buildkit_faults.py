"""What a real buildkitd and its neighbours refuse: each is one fault that says what to do."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from llmos.cluster import ports
from llmos.daemons import Daemon
from llmos.images.buildx import ensure_builder
from llmos.images.options import BuildOptions
from planner.faults import EnvironmentFault
from tests.e2e.buildkitd import NEEDED, Server, build_by, folder, start_buildkitd

__all__ = ["folder"]

pytestmark = [*NEEDED, pytest.mark.usefixtures("build_machine")]


def test_a_step_for_another_processor_is_one_fault_of_the_machine(buildkitd: Server, folder: Path) -> None:
    (folder / "hello").write_text("no program of any processor", encoding="utf-8")
    (folder / "hello").chmod(0o755)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY hello /hello\nRUN ["/hello"]\n', encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="exec format error") as caught:
        build_by(buildkitd, folder, "foreign")
    assert "takes emulation on the builder" in caught.value.faults[0].fix


def test_a_registry_out_of_reach_is_one_fault_of_the_machine(buildkitd: Server, folder: Path) -> None:
    closed = f"127.0.0.1:{ports.choose(1)[0]}"
    with pytest.raises(EnvironmentFault, match="the build failed at `exporting to image`") as caught:
        build_by(buildkitd, folder, f"{closed}/team/app")
    assert "the builder reaches it" in caught.value.faults[0].fix


def test_a_registry_that_wants_a_login_is_one_fault_of_the_machine(buildkitd: Server, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        address = f"127.0.0.1:{ports.choose(1)[0]}"
        text = (
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{name}/data'}}}}\nhttp: {{addr: '{address}'}}\n"
            "auth: {silly: {realm: test, service: test}}\n"
        )
        Path(name, "config.yml").write_text(text, encoding="utf-8")
        command = ["docker-registry", "serve", f"{name}/config.yml"]
        daemon = Daemon(name="guarded", command=command, state_dir=Path(name))
        daemon.start()
        try:
            daemon.wait_ready(lambda: not ports.is_free(int(address.rpartition(":")[2])), timeout_seconds=30)
            with pytest.raises(EnvironmentFault) as caught:
                build_by(buildkitd, folder, f"{address}/team/app")
        finally:
            daemon.stop()
    (fault,) = caught.value.faults
    assert "docker login" in fault.fix


def test_a_daemon_that_wants_a_certificate_is_one_fault_and_takes_ours(folder: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl")
    with tempfile.TemporaryDirectory() as name:
        files = _certificates(Path(name))
        arguments = [f"--tls{role}={files[key]}" for role, key in (("cacert", "ca"), ("cert", "cert"), ("key", "key"))]
        daemon, address = start_buildkitd(Path(name), name="guarded-buildkitd", arguments=tuple(arguments))
        options = BuildOptions(builder="remote", name="guarded", address=address, tls=files)
        try:
            daemon.wait_ready(Server(options).answers, timeout_seconds=60)
            assert build_by(Server(options), folder, "guarded").digest
            refused = {
                "certificate required": {"ca": files["ca"]},
                "certificate verify failed": {**files, "ca": files["cert"]},
            }
            for said, tls in refused.items():
                with pytest.raises(EnvironmentFault, match="do not trust each other") as caught:
                    ensure_builder(replace(options, tls=tls), install=False, why="testing")
                (fault,) = caught.value.faults
                assert said in fault.what.lower().replace("_", " ")
                assert "builds.tls" in fault.fix
        finally:
            daemon.stop(grace_seconds=10)


def _certificates(folder: Path) -> dict[str, Path]:
    """An authority, and one certificate for both sides, valid for loopback."""
    files = {role: folder / f"{role}.pem" for role in ("ca", "cert", "key")}
    signer = folder / "ca-key.pem"
    common = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority = ["-subj", "/CN=test authority", "-keyout", str(signer), "-out", str(files["ca"])]
    own = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    own += ["-CA", str(files["ca"]), "-CAkey", str(signer), "-keyout", str(files["key"]), "-out", str(files["cert"])]
    for arguments in (authority, own):
        subprocess.run([*common, *arguments], check=True, capture_output=True)
    return files
