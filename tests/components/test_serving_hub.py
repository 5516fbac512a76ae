"""Where weights come from: hub, mirror, token, certificates, proxy, and what the network lets through."""

from __future__ import annotations

from typing import Any

import pytest

from tests.components.serving import egress, env, model_pod, mounts, objects, server, volume


def test_by_default_the_public_hub_is_reached_and_nothing_private() -> None:
    made = objects()
    assert egress(made) == [("0.0.0.0/0", {}, (443,))]
    assert not {"HF_ENDPOINT", "HTTPS_PROXY", "SSL_CERT_FILE", "HF_HUB_OFFLINE"} & env(server()).keys()


def test_mirror_token_certificates_and_proxy_reach_the_server_that_downloads() -> None:
    hub = {
        "endpoint": "https://hub.corp.example/hf/", "token": {"secret": "hub", "key": "token"},
        "ca": {"config_map": "corp-ca"}, "proxy": "http://10.1.2.3:3128", "no_proxy": [".corp.example"],
    }  # fmt: skip
    pod = model_pod(stack={"hub": hub})
    values = env(pod["containers"][0])
    assert values["HF_ENDPOINT"] == "https://hub.corp.example/hf" and values["HF_HUB_DISABLE_XET"] == "1"
    assert values["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "token"}}
    assert values["SSL_CERT_FILE"] == values["REQUESTS_CA_BUNDLE"] == "/etc/hub-ca/ca.crt"
    assert values["HTTPS_PROXY"] == values["HTTP_PROXY"] == "http://10.1.2.3:3128"
    assert values["NO_PROXY"] == "localhost,127.0.0.1,::1,.svc,.cluster.local,.corp.example"
    assert volume(pod, "hub-ca")["configMap"] == {"name": "corp-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert mounts(pod["containers"][0])["hub-ca"] == {"name": "hub-ca", "mountPath": "/etc/hub-ca", "readOnly": True}


def test_certificates_and_a_proxys_password_may_stand_in_secrets() -> None:
    hub = {
        "ca": {"secret": "corp-ca", "key": "bundle.pem"}, "proxy_secret": {"secret": "proxy", "key": "url"},
        "egress": [{"cidr": "10.9.0.0/28", "ports": [8080]}],
    }  # fmt: skip
    pod = model_pod(stack={"hub": hub})
    assert volume(pod, "hub-ca")["secret"]["secretName"] == "corp-ca"
    values = env(pod["containers"][0])
    assert values["HTTPS_PROXY"] == {"secretKeyRef": {"name": "proxy", "key": "url"}}
    assert values["SSL_CERT_FILE"] == "/etc/hub-ca/bundle.pem" and ".svc" in values["NO_PROXY"]


def test_a_models_own_keys_go_before_those_of_the_stack() -> None:
    stack = {"hub": {"endpoint": "https://one.example", "token": {"secret": "stack", "key": "t"}}}
    values = env(server(stack=stack, hub={"endpoint": "https://two.example"}))
    assert (values["HF_ENDPOINT"], values["HF_TOKEN"]["secretKeyRef"]["name"]) == ("https://two.example", "stack")
    assert env(server(stack=stack, token={"secret": "own", "key": "t"}))["HF_TOKEN"]["secretKeyRef"]["name"] == "own"


@pytest.mark.parametrize(
    ("hub", "reached"),
    [
        ({"endpoint": "https://10.1.2.3:8443/hf"}, ("10.1.2.3/32", {}, (8443,))),
        ({"endpoint": "http://[fd00::7]"}, ("fd00::7/128", {}, (80,))),
        ({"endpoint": "http://mirror.models.svc:8080"}, ("models", {}, (8080,))),
        ({"endpoint": "https://hub.corp.example"}, ("0.0.0.0/0", {}, (443,))),
        ({"endpoint": "https://hub.corp.example", "proxy": "http://10.1.2.3:3128"}, ("10.1.2.3/32", {}, (3128,))),
        ({"egress": [{"namespace": "models", "labels": {"a": "b"}, "ports": [80]}]}, ("models", {"a": "b"}, (80,))),
    ],
)
def test_the_network_leads_to_mirror_or_proxy_and_no_further(hub: dict[str, Any], reached: Any) -> None:
    assert egress(objects(stack={"hub": hub})) == [reached]
