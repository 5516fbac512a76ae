"""Each resource as the API calls that create it, for checks against AWS's own service models and against moto.

The Pulumi provider is the Terraform provider underneath; what a resource calls when it is created was read from the
documentation of both and of each API. Ids of other resources stand in the parameters as the program was given them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.aws import calls_cluster, calls_network, calls_storage, calls_watching
from tests.aws.calls_support import SELF, Inputs, Makers

__all__ = ["CALLS", "SELF", "Call", "calls_of", "documented", "documents"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: service and operation as botocore names them, and its parameters."""

    service: str
    operation: str
    params: dict[str, Any]


CALLS: Makers = {
    **calls_network.CALLS, **calls_cluster.CALLS, **calls_storage.CALLS, **calls_watching.CALLS,
}  # fmt: skip


def calls_of(kind: str, inputs: Inputs) -> list[Call]:
    """The calls that create a resource of type ``aws:<kind>``; every type of the program must be known here."""
    return [
        Call(service=service, operation=operation, params={k: v for k, v in params.items() if v is not None})
        for service, operation, params in CALLS[kind](inputs)
    ]


_DOCUMENTS = {
    "ecr/repositoryPolicy:RepositoryPolicy": ("policy", "resource"),
    "iam/role:Role": ("assumeRolePolicy", "trust"),
    "iam/rolePolicy:RolePolicy": ("policy", "identity"),
    "kms/key:Key": ("policy", "resource"),
    "s3/bucketPolicy:BucketPolicy": ("policy", "resource"),
    "sns/topicPolicy:TopicPolicy": ("policy", "resource"),
    "sqs/queuePolicy:QueuePolicy": ("policy", "resource"),
}


def documented() -> set[str]:
    """Types that carry an IAM document."""
    return set(_DOCUMENTS)


def documents(kind: str, inputs: Inputs) -> Iterator[tuple[str, dict[str, Any]]]:
    """The IAM documents of a resource, with the part that they play: identity, trust or resource."""
    if kind in _DOCUMENTS:
        field, part = _DOCUMENTS[kind]
        yield part, json.loads(inputs[field])
