"""WeightFilling: a Job that copies a model's weights from the hub into the stack's bucket, once, and verifies them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._base import Component, Identity, meta
from components._fill import files, fill_flows, job_spec, short_hash
from components._hub import hub_egress
from components._kubernetes import KubernetesObject
from planner.plan import WeightsPlan

__all__ = ["WeightFilling", "WeightFillingArgs"]


@dataclass(frozen=True, kw_only=True)
class WeightFillingArgs:
    """What a filling is given.

    Attributes:
        identity: stack and namespace.
        weights: the plan's decisions: repositories, revisions, and how the hub is reached.
        store: the bucket, as the scripts name it.
        image: an image with Python, used where the plan names no other.
        pull_secret: Secret that pods pull with; empty for none.
    """

    identity: Identity
    weights: WeightsPlan
    store: str
    image: pulumi.Input[str]
    pull_secret: str


class WeightFilling(Component):
    """A Job with the rights to write, and what it needs. Pulumi waits until it is done; a second run of the same
    revision finds it complete and copies nothing."""

    job: pulumi.Resource

    def __init__(self, name: str, args: WeightFillingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        identity, weights = args.identity, args.weights
        pods = f"{weights.model}-fill"
        account = KubernetesObject(
            "v1", "ServiceAccount", pods, metadata=meta(identity, pods, "weights"),
            automountServiceAccountToken=False, opts=self.child(),
        )  # fmt: skip
        policy = KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy", pods,
            metadata=meta(identity, pods, "weights"),
            spec=fill_flows(weights, identity, name=pods, hub=hub_egress(weights.hub)),
            opts=self.child(),
        )
        content = files(weights, args.store)
        files_name = f"{pods}-{short_hash(content)}"
        script = KubernetesObject(
            "v1", "ConfigMap", f"{pods}-files", metadata={**meta(identity, pods, "weights"), "name": files_name},
            data=content, immutable=True, opts=self.child(),
        )  # fmt: skip
        spec = job_spec(
            identity, weights, name=pods, files_name=files_name, image=args.image, pull_secret=args.pull_secret
        )
        wait = {"pulumi.com/timeoutSeconds": str(weights.timeout_seconds + 60)}
        # A Job cannot be changed, only followed by another one, so its name holds a hash of all it does.
        self.job = KubernetesObject(
            "batch/v1", "Job", pods,
            metadata={**meta(identity, pods, "weights", annotations=wait), "name": f"{pods}-{short_hash(spec)}"},
            spec=spec,
            opts=self.child(depends_on=[account, policy, script]),
        )
        self.register_outputs({})
