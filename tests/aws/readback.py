"""What a service has stored about a resource, beside what the program asked for: triples (what, asked for, stored)."""

from __future__ import annotations

from tests.aws import readback_cluster, readback_network, readback_storage, readback_watching
from tests.aws.readback_support import Readers

__all__ = ["READERS"]

READERS: Readers = {
    **readback_network.READERS, **readback_cluster.READERS, **readback_storage.READERS, **readback_watching.READERS,
}  # fmt: skip
