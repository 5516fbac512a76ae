"""Which Pulumi CLI is taken, and what is said when there is none."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from llmos.engines import pulumi_cli
from planner.faults import EnvironmentFault
from tests.llmos.engines.pulumi_standin import install, needs_scripts


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with an empty PATH and cache, without a network."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def test_a_machine_without_a_cli_and_without_a_network_is_told_what_to_do() -> None:
    assert pulumi_cli.find() is None
    assert not pulumi_cli.can_install()
    with pytest.raises(EnvironmentFault) as caught:
        pulumi_cli.require()
    (fault,) = caught.value.faults
    assert "no route to host" in fault.what
    assert "--engine kubectl" in fault.fix


@needs_scripts
def test_the_cli_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standin = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(standin.bin))
    assert pulumi_cli.find() == standin.bin / "pulumi"
    assert str(pulumi_cli.require().version) == "3.272.0"


@needs_scripts
def test_a_cli_installed_by_an_earlier_run_is_taken(tmp_path: Path) -> None:
    install(tmp_path / "cache" / "pulumi-cli" / "bin", version="v3.300.1")
    assert pulumi_cli.find() == tmp_path / "cache" / "pulumi-cli" / "bin" / "pulumi"
    assert str(pulumi_cli.require().version) == "3.300.1"


@needs_scripts
@pytest.mark.parametrize("version", ["v3.205.0", "not a version"])
def test_an_old_cli_is_refused_by_name(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standin = install(tmp_path / "bin", version=version)
    monkeypatch.setenv("PATH", str(standin.bin))
    with pytest.raises(EnvironmentFault, match=pulumi_cli.MINIMUM_VERSION):
        pulumi_cli.require()
