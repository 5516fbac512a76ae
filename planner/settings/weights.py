"""Settings of where a model's weights come from, how the hub is reached, and where they are kept."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from planner.settings._base import ImageRef, MemoryQuantity, SecretRef, Settings
from planner.settings.serving import KubeName

__all__ = ["LORA_RANKS", "Adapter", "CaBundle", "Claim", "Destination", "Hub", "Weights"]

Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Relative, no part of it empty or with a dot in front: files of a repository, and folders of a volume.
RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-][A-Za-z0-9_.+-]*(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)*$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s@/]+(/[^\s@]*)?$")]
Checksums = dict[RelativePath, Sha256]

# What vLLM 0.28 takes as --max-lora-rank.
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def _one_of(choices: dict[str, Any], what: str) -> None:
    given = [name for name, value in choices.items() if value]
    if len(given) != 1:
        raise ValueError(f"{what} needs exactly one of {', '.join(choices)}; got {', '.join(given) or 'none'}")


class CaBundle(Settings):
    """A key of a ConfigMap or Secret in the stack's namespace with certificates in PEM. It replaces the image's own
    list, so it must also hold the public authorities that are still needed."""

    config_map: KubeName | None = None
    """Name of the ConfigMap."""
    secret: KubeName | None = None
    """Name of the Secret, where the certificates are kept in one."""
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] = "ca.crt"
    """Key within it; ``ca.crt`` is what cert-manager and trust-manager write."""

    @model_validator(mode="after")
    def _one_place(self) -> CaBundle:
        _one_of({"config_map": self.config_map, "secret": self.secret}, "a CA bundle")
        return self


class Destination(Settings):
    """Where a NetworkPolicy lets downloads go: addresses, or pods of the cluster."""

    cidr: Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/\d{1,3}$")] | None = None
    """Address block, e.g. 10.20.0.5/32."""
    namespace: KubeName | None = None
    """Namespace of the pods."""
    labels: dict[str, str] = {}
    """Labels of the pods; all pods of the namespace without any."""
    ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], Field(min_length=1, strict=False)] = (443,)
    """TCP ports; of pods those that they listen on, which may differ from their Service's."""

    @model_validator(mode="after")
    def _addresses_or_pods(self) -> Destination:
        _one_of({"cidr": self.cidr, "namespace": self.namespace}, "a destination")
        if self.cidr and self.labels:
            raise ValueError("labels go with namespace, not with cidr")
        return self


class Hub(Settings):
    """How the model hub is reached. Stated for the stack, and for a model where that differs (key by key)."""

    endpoint: HttpUrl | None = None
    """Mirror that speaks the hub's protocol (``HF_ENDPOINT``); huggingface.co by default."""
    token: SecretRef | None = None
    """Hub token for gated and private models; a model's own ``token`` goes before it."""
    ca: CaBundle | None = None
    """Certificates of a company's authority, for a mirror, or a proxy that opens TLS."""
    proxy: Annotated[str, Field(pattern=r"^https?://[^\s@/]+/?$")] | None = None
    """Proxy for HTTP and HTTPS, without a password."""
    proxy_secret: SecretRef | None = None
    """The same in a Secret, for a proxy with user name and password: ``http://user:password@host:port``."""
    no_proxy: Annotated[tuple[Annotated[str, Field(pattern=r"^[^\s,]+$")], ...], Field(strict=False)] = ()
    """Hosts and suffixes that are asked directly; those of the cluster always are."""
    egress: Annotated[tuple[Destination, ...], Field(strict=False)] = ()
    """Where proxy or mirror are, as the network sees them. By default: the address in their URL, the namespace of a
    Service's URL, or public addresses on the URL's port (NetworkPolicy knows no host names)."""

    @model_validator(mode="after")
    def _reachable(self) -> Hub:
        if self.proxy and self.proxy_secret:
            raise ValueError("proxy and proxy_secret exclude each other")
        if self.proxy_secret and not self.egress:
            raise ValueError("the address of a proxy from a Secret is not known here; add egress: [{cidr, ports}]")
        return self


class Claim(Settings):
    """A PersistentVolumeClaim of the stack's namespace that exists already and stays when the stack goes."""

    name: KubeName
    """Its name."""
    access: Literal["ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce"] = "ReadWriteMany"
    """Its access mode, which cannot be read from here. ReadWriteOnce serves one fixed replica, and no more: pods on a
    second node would wait for the volume for ever."""


class Weights(Settings):
    """Where weights are kept, and who puts them there."""

    volume: Literal["node", "replica", "shared"] | None = None
    """node: the node's disk, lost with the pod. replica: a volume for each pod, deleted with it. shared: one
    ReadWriteMany volume for all replicas, which stays. By default shared with a ``storage_class``, else node."""
    storage_class: KubeName | None = None
    """StorageClass of the volumes; shared needs one that offers ReadWriteMany. For volume replica the cluster's default
    class serves when none is named."""
    size: MemoryQuantity | None = None
    """Size of a volume (limit of the node's disk); by default from the size of the weights, or 200Gi when unknown."""
    claim: Claim | None = None
    """An existing claim instead of a volume of the stack's own."""
    image: ImageRef | None = None
    """An OCI image with the weights, by digest, mounted as a volume (Kubernetes 1.35, or feature gate ImageVolume)."""
    path: RelativePath | None = None
    """Folder of the model's files in the claim or image. With a claim: nothing is downloaded. In an image, by default,
    its root."""
    download: Literal["server", "init", "job"] = "server"
    """server: vLLM itself, at start. init: an init container, verified, after which vLLM is offline. job: a Job without
    a GPU fills the shared volume, verified; model servers then reach no network at all."""
    download_image: ImageRef | None = None
    """Image with Python 3.9 or newer for init and job; by default the server's own, which a GPU node pulls anyway."""
    sha256: Checksums = {}
    """SHA-256 by file for init and job: exactly these files are downloaded, and nothing but the file's content is
    trusted. Without: what the hub lists for the revision."""
    sha256_file: RelativePath | None = None
    """The same in a file beside the stack file, as ``sha256sum`` writes it."""

    @model_validator(mode="after")
    def _one_place(self) -> Weights:
        kept = {"volume": self.volume, "storage_class": self.storage_class, "size": self.size}
        for name, place in (("image", self.image), ("claim", self.claim)):
            also = [key for key, value in kept.items() if value]
            if place and also:
                raise ValueError(f"{name} says where weights are; {', '.join(also)} is for volumes of the stack's own")
        if self.image and self.claim:
            raise ValueError("weights are in an image or in a claim, not in both")
        if self.volume == "shared" and not self.storage_class:
            raise ValueError("volume shared needs a storage_class that offers ReadWriteMany, or an existing claim")
        if self.volume == "node" and self.storage_class:
            raise ValueError("volume node is the node's own disk and has no storage_class")
        return self

    @model_validator(mode="after")
    def _filled_by_one(self) -> Weights:
        if self.path and not (self.image or self.claim):
            raise ValueError("path is a folder in a claim or image; name one of them")
        ready = "an image" if self.image else "a claim with path" if self.path else ""
        pinned = bool(self.sha256 or self.sha256_file)
        if ready and (self.download != "server" or pinned):
            raise ValueError(f"{ready} holds the weights already; remove download and sha256")
        if self.sha256 and self.sha256_file:
            raise ValueError("sha256 and sha256_file exclude each other")
        if self.claim and self.claim.access == "ReadOnlyMany" and not self.path:
            raise ValueError("nothing can be downloaded into a ReadOnlyMany claim; name the path of its weights")
        many = self.claim.access == "ReadWriteMany" if self.claim else self.kept_in == "shared"
        if self.download == "job" and not many:
            raise ValueError(
                "a job fills a volume that it shares with all replicas; name a storage_class or a claim that are "
                "ReadWriteMany, or use init"
            )
        if self.download == "server" and (pinned or self.download_image):
            raise ValueError("sha256 and download_image go with download: init or job; vLLM verifies nothing itself")
        return self

    @property
    def kept_in(self) -> str:
        """node, replica, shared, claim or image."""
        if self.image or self.claim:
            return "image" if self.image else "claim"
        return self.volume or ("shared" if self.storage_class else "node")

    @property
    def given(self) -> bool:
        """Whether the weights are there before anything starts."""
        return bool(self.image or self.path)


class Adapter(Settings):
    """A LoRA adapter, served beside its base model as ``<model>/<adapter>``."""

    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+$")] | None = None
    """``organisation/name`` on the model hub."""
    revision: Revision | None = None
    """Commit of its repository; required with source."""
    path: RelativePath | None = None
    """Folder in the claim or image of the model's weights, instead of source."""
    image: ImageRef | None = None
    """An OCI image with the adapter's files in its root, by digest, instead of source."""
    rank: Annotated[int, Field(ge=1, le=LORA_RANKS[-1])]
    """Its rank (``r`` in adapter_config.json); the largest of a model sizes what vLLM reserves."""
    sha256: Checksums = {}
    """SHA-256 by file, as for the model's own weights."""
    sha256_file: RelativePath | None = None
    """The same in a file."""

    @model_validator(mode="after")
    def _one_source(self) -> Adapter:
        _one_of({"source": self.source, "path": self.path, "image": self.image}, "an adapter")
        if self.source and not self.revision:
            raise ValueError("an adapter from the hub needs its revision, 40 hex digits")
        if not self.source and (self.revision or self.sha256 or self.sha256_file):
            raise ValueError("revision and sha256 go with source")
        if self.sha256 and self.sha256_file:
            raise ValueError("sha256 and sha256_file exclude each other")
        return self

    @field_validator("sha256")
    @classmethod
    def _holds_weights(cls, sums: Checksums) -> Checksums:
        if sums and "adapter_model.safetensors" not in sums:
            raise ValueError("must name adapter_model.safetensors, the only weights of an adapter that are loaded")
        return sums
