"""How the script that fetches weights talks to a hub: tokens, faults, proxies, certificates."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.fake_hub import running_hub
from tests.components.fetcher import FILES, Fetcher, ended, loaded

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs in containers of Linux")


def test_a_token_goes_to_the_hub_and_nowhere_else(fetcher: Fetcher) -> None:
    fetcher.hub.token = "hf_token"
    assert fetcher(env={"HF_TOKEN": "hf_token"})[0] == 0
    assert {authorization for host, *_, authorization in fetcher.hub.seen if host == "cdn"} == {""}
    assert {authorization for host, *_, authorization in fetcher.hub.seen if host == "hub"} == {"Bearer hf_token"}


@pytest.mark.parametrize(
    ("env", "said"), [({}, "without a token nobody may"), ({"HF_TOKEN": "old"}, "the token may not")]
)
def test_a_gated_model_says_what_is_missing(fetcher: Fetcher, env: dict[str, str], said: str) -> None:
    fetcher.hub.token = "hf_token"
    code, text = fetcher(env=env)
    assert code == 1 and said in text and "licence" in text and "old" not in text


def test_a_hub_that_stumbles_is_asked_again(fetcher: Fetcher) -> None:
    fetcher.hub.answers = [503, 429, 500]
    assert fetcher()[0] == 0 and fetcher.complete


def test_a_hub_that_stays_away_ends_it_for_now(fetcher: Fetcher) -> None:
    fetcher.hub.answers = [503] * 999
    code, said = fetcher()
    assert code == 2 and "HTTP 503" in said and not fetcher.complete


def test_the_list_may_not_go_on_elsewhere(fetcher: Fetcher) -> None:
    endpoint, fetcher.hub.endpoint = fetcher.hub.endpoint, "http://elsewhere.example"
    order = fetcher.order(endpoint=endpoint)
    code, said = ended(fetcher.run_script("fetch", str(order), env={"HF_TOKEN": "t"}))
    assert code == 1 and "goes on at another host" in said


def test_a_proxy_of_the_environment_carries_everything(fetcher: Fetcher) -> None:
    """Nobody could resolve this host: the proxy, here the hub itself, is asked for the whole address."""
    order = fetcher.order(endpoint="http://hub.invalid")
    fetcher.hub.files = {"model.safetensors": b"w" * 100}
    code, said = ended(fetcher.run_script("fetch", str(order), env={"HTTP_PROXY": fetcher.hub.endpoint}))
    assert code == 0, said
    assert fetcher.files == {"model.safetensors": b"w" * 100}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_companys_certificates_are_trusted_where_they_are_stated(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with running_hub(tls=tls, files=dict(FILES)) as hub:
        fetcher = Fetcher(tmp_path, hub)
        code, said = fetcher(env={"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(tmp_path / "none")})
        assert code == 2 and "certificate verify failed" in said.lower()
        code, said = fetcher(env={"SSL_CERT_FILE": str(certificate)})
        assert code == 0, said


def test_a_redirect_never_leaves_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    client = loaded("hub_client", monkeypatch)
    request = client.urllib.request.Request("https://hub.example/x")
    with pytest.raises(client.Never, match="without encryption"):
        client._Redirects().redirect_request(request, None, 302, "Found", {}, "http://cdn.example/x")
