"""Signatures of the client with which containers talk to S3, held against those of AWS's own."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tests.support import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs in containers of Linux")

SCRIPTS = ROOT / "components" / "files"
BUCKET = "llmagentos-test-123456789012-us-east-1"


@pytest.fixture(scope="module")
def client() -> ModuleType:
    for name in ("hub_client", "s3_client"):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return module


CHARACTERS = st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"])
PATHS = st.text(CHARACTERS, min_size=1, max_size=30).filter(lambda text: "//" not in text)


@given(
    method=st.sampled_from(["GET", "PUT", "POST"]), key=PATHS, token=st.booleans(),
    body=st.binary(max_size=50), number=st.integers(1, 10_000),
)
def test_signatures_are_those_of_aws_own_client(
    client: ModuleType, method: str, key: str, token: bool, body: bytes, number: int
) -> None:
    """Held against botocore's, at the same moment."""
    host = f"{BUCKET}.s3.eu-central-1.amazonaws.com"
    path = f"/{client.urllib.parse.quote(key, safe='/-_.~')}"
    query = f"partNumber={number}&uploadId=a-b.c_d"
    keys = {"AccessKeyId": "AKIATEST", "SecretAccessKey": "secret", "Token": "session" if token else ""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_credentials", lambda: keys)
        ours = client._signed(method, host, path, query, body)
    request = AWSRequest(method=method, url=f"https://{host}{path}?{query}", data=body, headers={
        "x-amz-content-sha256": ours["x-amz-content-sha256"],
    })  # fmt: skip
    signer = S3SigV4Auth(
        Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"] or None), "s3", "eu-central-1"
    )
    request.context["timestamp"] = ours["x-amz-date"]
    if keys["Token"]:
        request.headers["X-Amz-Security-Token"] = keys["Token"]
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert signer.signature(text, request) == ours["Authorization"].rpartition("Signature=")[2]
