"""Reading each resource once instead of once for every rule.

The SDK converts the same request from protobuf to dicts and wraps it again for every policy: with some fifty rules
that is
nine tenths of the time of a preview. Requests are immutable and rules do not change what they read, so the conversion
of
a message is kept as long as the message itself. Only validation is affected: remediation works on copies of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from pulumi_policy import policy as sdk

__all__ = ["install", "once"]

_KEPT = 4096  # more resources than a stack has; the oldest is dropped first


def once(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remember a function's results by the identity of its argument, which is kept alive so that it stays its own."""
    known: OrderedDict[int, tuple[Any, Any]] = OrderedDict()

    def remembered(argument: Any) -> Any:
        entry = known.get(id(argument))
        if entry is None or entry[0] is not argument:
            entry = (argument, function(argument))
            known[id(argument)] = entry
            while len(known) > _KEPT:
                known.popitem(last=False)
        return entry[1]

    return remembered


class _JsonFormat:
    """The one function of protobuf's json_format that the SDK's policy module calls."""

    MessageToDict = staticmethod(once(json_format.MessageToDict))


_sdk_deserialize = sdk.deserialize_properties
_deserialize_once = once(_sdk_deserialize)


def _deserialize(properties: Any, proxy_secrets: bool = False) -> Any:
    return _sdk_deserialize(properties, True) if proxy_secrets else _deserialize_once(properties)


def install() -> None:
    """Let the SDK's validation remember its conversions. A newer SDK without these names is merely slower."""
    for name, replacement in (
        ("json_format", _JsonFormat),
        ("deserialize_properties", _deserialize),
        ("unknown_checking_proxy", once(sdk.unknown_checking_proxy)),
    ):
        if hasattr(sdk, name):
            setattr(sdk, name, replacement)
