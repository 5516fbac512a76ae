"""Kubernetes quantities such as ``500m``, ``16Gi`` or ``1e3`` as numbers.

Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re

from ._node import Node

__all__ = ["quantity"]

_FORM = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d+))?$")
_SCALE = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}


def quantity(node: Node) -> float | None:
    """The amount in the unit's base (bytes, cores, pieces), or None where there is none or it is malformed."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _FORM.match(str(value).strip())
    if found is None:
        return None
    number, suffix, exponent = found.groups()
    return float(number) * (_SCALE[suffix] if suffix else 10.0 ** int(exponent or 0))
