"""Cases of the rule on volumes that several replicas would want at once."""

from __future__ import annotations

from tests.policies.cases_models import CHAT, POD
from tests.policies.support import DELETE

_CLAIM = f"{POD}.volumes[0].persistentVolumeClaim.claimName"


def _claim(*modes: str, **edits: object) -> list:
    """A claim that the server mounts, with these access modes, and the server edited."""
    described = {"name": "weights", "namespace": "assistant"}
    asked = {"metadata": described, "spec": {"accessModes": [*modes]}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **asked}
    return [("PersistentVolumeClaim/weights", "", claim), *((CHAT, path, value) for path, value in edits.items())]


_ONE = {"spec.replicas": 1, "spec.strategy": {"type": "Recreate"}}
_SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
_NO_SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}

# (rule, edits, path of the finding, settings)
FAIL = [
    ("volume-sharing", _claim("ReadWriteOnce"), _CLAIM, {}),
    ("volume-sharing", _claim("ReadWriteOncePod"), _CLAIM, {}),
    # One replica, and the one that a rollout starts before it ends.
    ("volume-sharing", _claim("ReadWriteOnce", **{"spec.replicas": 1, "spec.strategy": DELETE}), _CLAIM, {}),
    ("volume-sharing", _claim("ReadWriteOnce", **{**_ONE, "spec.strategy": _SURGE}), _CLAIM, {}),
    ("volume-sharing", _claim("ReadWriteOnce", **{**_ONE, "spec.replicas": 2}), _CLAIM, {}),
]

PASS = [
    ("volume-sharing", _claim("ReadWriteMany"), {}),
    ("volume-sharing", _claim("ReadWriteOnce", "ReadWriteMany"), {}),
    ("volume-sharing", _claim("ReadWriteOnce", **_ONE), {}),
    ("volume-sharing", _claim("ReadWriteOnce", **{"spec.replicas": 1, "spec.strategy": _NO_SURGE}), {}),
    ("volume-sharing", _claim(), {}),
    # One that is not of this stack.
    ("volume-sharing", [(CHAT, "spec.replicas", 3)], {}),
]

# A server whose volumes are not known stands with all else that may not be known of it, in cases_models.
UNKNOWN_AT: list = []
