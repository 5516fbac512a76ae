"""Weights by way of S3: what is copied into the stack's bucket, and how model servers then find it."""

from __future__ import annotations

import dataclasses

from planner.plan.aws_types import ArtifactPlan, WeightsPlan
from planner.plan.hub import EgressPlan, HubPlan
from planner.plan.types import ModelPlan
from planner.settings.aws import AwsSettings

__all__ = ["from_store", "plan_store", "store_endpoint"]

# Where the agent of EKS Pod Identity answers on every node.
_AGENT = "169.254.170.23/32"


def plan_store(aws: AwsSettings, models: tuple[ModelPlan, ...]) -> tuple[WeightsPlan, ...]:
    """One copy for each model on GPUs whose weights are not in a volume or image already; its adapters with it."""
    if aws.weights.source != "s3":
        return ()
    on_gpus = [model for model in models if model.engine == "vllm" and model.weights.download != "none"]
    return tuple(_weights(aws, model) for model in on_gpus)


def _weights(aws: AwsSettings, model: ModelPlan) -> WeightsPlan:
    own = ArtifactPlan(source=model.source, revision=model.revision, sha256=model.weights.sha256)
    adapters = [
        ArtifactPlan(source=adapter.source, revision=adapter.revision, sha256=adapter.sha256)
        for adapter in model.adapters if adapter.source
    ]  # fmt: skip
    return WeightsPlan(
        model=model.name,
        artifacts=(own, *adapters),
        hub=model.hub,
        image=model.image,
        image_ref=aws.weights.image or model.weights.download_image,
        timeout_seconds=2 * model.load_timeout_seconds,
    )


def store_endpoint(bucket: str, region: str, partition: str) -> str:
    """The bucket as the scripts beside the model servers name it."""
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return f"s3+https://{bucket}.s3.{region}.{suffix}"


def from_store(model: ModelPlan, endpoint: str) -> ModelPlan:
    """The model with its weights fetched from the bucket and verified, instead of asked of the hub. Servers need no
    token of the hub, and reach nothing but S3 and the agent that gives them the rights to read it."""
    downloads = (EgressPlan(labels={}, ports=(443,)), EgressPlan(cidr=_AGENT, labels={}, ports=(80,)))
    hub = HubPlan(
        endpoint=endpoint, token=("", ""), ca=("", "", ""), proxy="", proxy_secret=("", ""), no_proxy=(),
        egress=downloads,
    )  # fmt: skip
    by_whom = "init" if model.weights.download == "server" else model.weights.download
    return dataclasses.replace(
        model, hub=hub, weights=dataclasses.replace(model.weights, download=by_whom, download_image="")
    )
