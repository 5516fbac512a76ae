"""What a build takes over from the machine, and what it must not."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from llmos.images import host


def _settings(listed: str) -> dict[str, list[str]]:
    parser = configparser.RawConfigParser()
    parser.read_string(host._as_pip_conf(listed))
    return {name: value.split() for name, value in parser["global"].items()}


def test_the_package_index_goes_into_the_build() -> None:
    listed = "global.index-url='https://user:pass%40word@index.test/simple'\nglobal.trusted-host='index.test'\n"
    assert _settings(listed) == {
        "index-url": ["https://user:pass%40word@index.test/simple"],
        "trusted-host": ["index.test"],
    }


def test_several_values_stay_several() -> None:
    assert _settings("global.extra-index-url='\\nhttps://one.test\\nhttps://two.test'") == {
        "extra-index-url": ["https://one.test", "https://two.test"]
    }


def test_variables_win_over_files_and_install_over_global() -> None:
    lines = [":env:.index-url='https://c.test'", "install.index-url='https://b.test'", "global.index-url='https://a.test'"]
    assert _settings("\n".join(lines)) == {"index-url": ["https://c.test"]}
    assert _settings("\n".join(lines[1:])) == {"index-url": ["https://b.test"]}


def test_paths_of_this_machine_stay_here() -> None:
    assert host._as_pip_conf("global.cert='/etc/ca.pem'\n:env:.find-links='/opt/wheels'\nglobal.cache-dir='/c'") == ""


def test_what_pip_really_prints_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://it's.test/simple")
    assert "index-url = https://it's.test/simple" in host.pip_configuration()


def test_the_ca_bundle_is_the_one_pip_would_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(host, "_SYSTEM_BUNDLES", ())
    assert host.ca_bundle() is None
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    second.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(second))
    monkeypatch.setenv("PIP_CERT", str(first))
    assert host.ca_bundle() == second  # a variable that leads nowhere is passed over
    first.touch()
    assert host.ca_bundle() == first


def test_only_proxy_variables_that_are_set_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in host._PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    assert host.proxy_names() == []
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "")
    assert host.proxy_names() == ["https_proxy"]
