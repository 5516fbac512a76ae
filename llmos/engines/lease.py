"""The Lease object that carries a stack's lock: read, written and deleted so that only one of two writers wins."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from llmos.engines.holder import Holder
from llmos.kube import Kube, KubeObject
from planner.faults import EnvironmentFault, Fault

__all__ = ["LeaseStore"]

_LEASES = "leases.coordination.k8s.io"
_LOST_RACE = ("(AlreadyExists)", "(Conflict)", "(NotFound)")
_TIMEOUT_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class LeaseStore:
    """Where the lock of one stack is kept: Lease ``llmagentos-<stack>`` in the stack's namespace."""

    kube: Kube
    stack: str
    namespace: str

    @property
    def name(self) -> str:
        return f"llmagentos-{self.stack}"

    @property
    def where(self) -> str:
        """The place, for messages."""
        return f"stack {self.stack}, namespace {self.namespace}"

    def read(self) -> KubeObject | None:
        """The Lease, or None."""
        found = self.kube.get(_LEASES, self.name, "-n", self.namespace)
        return found[0] if found else None

    def write(self, holder: Holder, *, over: KubeObject | None) -> KubeObject | None:
        """Write a new Lease, or one over exactly the version that was read; None when somebody else was faster.

        Raises:
            EnvironmentFault: the API server does not answer, or does not allow it.
        """
        done = self.kube.run(
            "replace" if over else "create", "--request-timeout=10s", "-o", "json", "-f", "-",
            stdin=json.dumps(self._object(holder, over)), check=False, timeout_seconds=_TIMEOUT_SECONDS,
        )
        if done.returncode == 0:
            return json.loads(done.stdout)
        if any(reason in done.stderr for reason in _LOST_RACE):
            return None
        said = " ".join(done.stderr.strip().splitlines()[-3:])
        fix = "allow get, create, update and delete of leases.coordination.k8s.io in this namespace, and repeat"
        what = f"the lock of the stack could not be written: {said}"
        raise EnvironmentFault(Fault(what=what, where=self.where, fix=fix))

    def delete(self, lease: KubeObject) -> None:
        """Delete exactly this Lease: not one that another run has made or renewed meanwhile.

        Raises:
            EnvironmentFault: the API server does not answer, or does not allow it.
        """
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{self.name}"
        same = {key: lease["metadata"][key] for key in ("uid", "resourceVersion")}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": same}
        done = self.kube.run(
            "delete", "--raw", path, "-f", "-", stdin=json.dumps(options), check=False, timeout_seconds=_TIMEOUT_SECONDS
        )
        if done.returncode != 0 and not any(reason in done.stderr for reason in _LOST_RACE):
            what, fix = done.stderr.strip(), f"delete Lease {self.name} there by hand"
            raise EnvironmentFault(Fault(what=what, where=self.where, fix=fix))

    def _object(self, holder: Holder, over: KubeObject | None) -> KubeObject:
        metadata = {
            "name": self.name, "namespace": self.namespace, "annotations": holder.annotations(),
            "labels": {"app.kubernetes.io/managed-by": "llmagentos", "app.kubernetes.io/instance": self.stack},
        }
        if over:
            metadata |= {key: over["metadata"][key] for key in ("resourceVersion", "uid")}
        spec = replace(holder, renewed=datetime.now(UTC)).spec()
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
