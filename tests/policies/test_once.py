"""One conversion a resource: without it, a thousand manifests take several times as long."""

from __future__ import annotations

from google.protobuf import struct_pb2
from pulumi_policy import policy as sdk

import policies.rules  # noqa: F401  importing the rules installs the memory


def _struct() -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update({"a": {"b": "c"}})
    return message


def test_the_sdk_converts_a_message_once() -> None:
    message = _struct()
    first = sdk.json_format.MessageToDict(message)
    assert sdk.json_format.MessageToDict(message) is first
    assert sdk.deserialize_properties(first) is sdk.deserialize_properties(first)
    properties = sdk.deserialize_properties(first)
    assert sdk.unknown_checking_proxy(properties) is sdk.unknown_checking_proxy(properties)


def test_another_message_with_the_same_content_is_another_one() -> None:
    first, second = _struct(), _struct()
    assert sdk.json_format.MessageToDict(first) is not sdk.json_format.MessageToDict(second)


def test_remediation_gets_a_copy_of_its_own() -> None:
    plain = sdk.json_format.MessageToDict(_struct())
    changed = sdk.deserialize_properties(plain, True)
    changed["a"]["b"] = "changed"
    assert plain == {"a": {"b": "c"}}
    assert sdk.deserialize_properties(plain, True)["a"]["b"] == "c"
