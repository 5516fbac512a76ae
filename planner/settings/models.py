"""Settings of the models that are served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from planner.settings._arguments import argument_faults
from planner.settings._base import ImageRef, Name, SecretRef, Settings
from planner.settings.hardware import Hardware
from planner.settings.serving import Gateway, LlmD
from planner.settings.traffic import Traffic
from planner.settings.weights import Adapter, Hub, Weights

__all__ = ["BUILTIN_TINY", "Hardware", "Model", "ModelReplicas", "ModelSpread", "Slo"]

BUILTIN_TINY = "builtin:tiny"


class Slo(Settings):
    """Service level objective of one request, at the 90th percentile."""

    ttft_ms: Annotated[int, Field(gt=0, le=600_000)] = 500
    """Time to first token; 500 ms feels immediate to a person in a chat."""
    tpot_ms: Annotated[int, Field(gt=0, le=60_000)] = 50
    """Time per output token after the first; 50 ms is 20 tokens/s, faster than people read."""


class ModelReplicas(Settings):
    """Replicas of a model server."""

    min: Annotated[int, Field(ge=0, le=1000)] = 1
    """Replicas kept without load; 0 needs autoscaling keda and a gateway that holds requests (``gateway.queue``)."""
    max: Annotated[int, Field(ge=1, le=1000)] = 1
    """Replicas at most; counts only with an autoscaler."""

    @model_validator(mode="after")
    def _ordered(self) -> ModelReplicas:
        if self.min > self.max:
            raise ValueError(f"min is {self.min} and max is {self.max}; min must not exceed max")
        return self


class ModelSpread(Settings):
    """How far the replicas of a model are kept apart. By default they are spread where that is possible."""

    one_per_node: bool = False
    """true: no two replicas on a node, even where that takes more nodes."""
    zones: Annotated[int, Field(ge=1, le=10)] = 1
    """Zones that must hold a replica; more than one needs ``gpu_pool.zones``."""


class Model(Settings):
    """One model behind an OpenAI-compatible server."""

    source: Annotated[str, Field(pattern=r"^(builtin:tiny|[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+)$")]
    """``organisation/name`` on the model hub, or ``builtin:tiny`` (random weights, nonsense text, for tests)."""
    config: Annotated[str, Field(min_length=1)] | None = None
    """The model's ``config.json`` as a file, relative to the folder of the stack file, for a model that the catalogue
    does not know; its size and speed follow from it."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """Commit of the model's repository; policies demand it because a branch can be moved to other weights."""
    engine: Literal["vllm", "llama.cpp"] = "vllm"
    """vLLM on GPUs, llama.cpp on CPUs."""
    image: ImageRef | None = None
    """Server image by digest; by default the pinned one of the engine."""
    context_tokens: Annotated[int, Field(ge=128, le=10_000_000)] = 8192
    """Longest prompt plus answer; sizes the KV cache."""
    max_sequences: Annotated[int, Field(ge=1, le=4096)] = 256
    """Requests computed at once; more wait in the queue, where the autoscaler sees them. 256 is vLLM's own default on
    most GPUs, stated so that an upgrade does not move it."""
    batched_tokens: Annotated[int, Field(ge=128, le=1_000_000)] | None = None
    """Tokens computed in one step; the engine's own default by GPU when absent. hardware auto sets what it sized."""
    quantization: Literal["auto", "none", "fp8", "awq", "gptq", "bitsandbytes"] = "auto"
    """Weight precision. auto: as the checkpoint was published."""
    slo: Slo = Slo()
    """Latency that users are promised."""
    traffic: Traffic | None = None
    """Expected load; without it one replica is assumed to suffice."""
    replicas: Annotated[int, Field(ge=1, le=1000)] | ModelReplicas = 1
    """A fixed number or a range."""
    hardware: Hardware | Literal["auto"] | None = None
    """GPU hardware of one replica; required for vLLM. auto: chosen by ``llmos size`` and kept in the lock."""
    spread: ModelSpread = ModelSpread()
    """How far replicas are kept apart."""
    quality_steps: Annotated[tuple[Literal["fp8"], ...], Field(strict=False)] = ()
    """With hardware auto: lower weight precisions that may be chosen although they cost quality; none by default.
    vLLM makes fp8 of any checkpoint while it loads. For 4 bits name a checkpoint that was quantised beforehand."""
    autoscaling: Literal["fixed", "keda"] = "fixed"
    """fixed: ``replicas.min`` all the time. keda: between min and max by queue length and KV-cache use."""
    serving: Literal["deployment", "kserve", "llm-d"] = "deployment"
    """Who runs the model server's pods. deployment: a Deployment of the stack. kserve: an InferenceService of KServe.
    llm-d: a Deployment whose replicas are chosen by llm-d's endpoint picker behind a gateway."""
    llm_d: LlmD | None = None
    """The endpoint picker; with ``serving: llm-d``."""
    gateway: Gateway | None = None
    """A gateway in front of the model server, which this program does not bring; applications then call it."""
    weights: Weights = Weights()
    """Where weights are kept, and who puts them there."""
    adapters: dict[Name, Adapter] = {}
    """LoRA adapters by name; an application asks for one as ``model: <model>/<adapter>``."""
    hub: Hub | None = None
    """How the hub is reached for this model; keys that it leaves out are those of the stack."""
    token: SecretRef | None = None
    """Hub token for gated models."""
    extra_args: tuple[str, ...] = Field(default=(), strict=False)
    """Arguments appended to vLLM's own; policies still apply. One that a setting sets is refused; ``--load-format``,
    ``--enable-prefix-caching`` and ``--gpu-memory-utilization`` take the place of the program's."""
    pod_overrides: dict[str, Any] = {}
    """Merged last into the pod's spec; policies still apply."""

    @property
    def minimum_replicas(self) -> int:
        """Replicas kept without load."""
        return self.replicas if isinstance(self.replicas, int) else self.replicas.min

    @property
    def maximum_replicas(self) -> int:
        """Replicas that can be reached; ``fixed`` never leaves the minimum."""
        if isinstance(self.replicas, int) or self.autoscaling == "fixed":
            return self.minimum_replicas
        return self.replicas.max

    @model_validator(mode="after")
    def _engine_fits(self) -> Model:
        if self.engine == "vllm" and self.source == BUILTIN_TINY:
            raise ValueError("builtin:tiny is a GGUF file for llama.cpp; set engine: llama.cpp")
        if self.engine == "vllm" and self.hardware is None:
            raise ValueError("engine vllm needs hardware, e.g. {instance_type: g6.xlarge, gpus: 1}, or auto")
        if self.engine == "llama.cpp" and self.hardware is not None:
            raise ValueError("engine llama.cpp runs on CPUs; remove hardware")
        if self.engine == "llama.cpp" and self.source != BUILTIN_TINY:
            raise ValueError("engine llama.cpp serves source builtin:tiny only; use engine: vllm for hub models")
        return self

    @model_validator(mode="after")
    def _sizable(self) -> Model:
        history = self.traffic.history if self.traffic else None
        if self.hardware != "auto":
            if history is not None and history.requests_per_second_per_replica is None:
                raise ValueError(
                    "a history with stated hardware needs requests_per_second_per_replica in it; with hardware auto it "
                    "is what sizing found"
                )
            if self.quality_steps:
                raise ValueError("quality_steps goes with hardware: auto; state the precision as quantization")
            return self
        if self.traffic is None:
            raise ValueError(
                "hardware auto needs traffic, e.g. {requests_per_second: 2, input_tokens: 800, output_tokens: 200}"
            )
        if self.quantization not in ("auto", "none", "fp8"):
            raise ValueError(
                f"hardware auto takes quantization auto, none or fp8, not {self.quantization}; vLLM finds the format "
                "of a checkpoint that was quantised beforehand by itself"
            )
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> Model:
        if self.engine == "llama.cpp" and (self.weights != Weights() or self.adapters or self.hub or self.extra_args):
            raise ValueError("builtin:tiny comes with its image; remove weights, adapters, hub and extra_args")
        claim = self.weights.claim
        if claim and claim.access == "ReadWriteOnce" and self.replicas != 1:
            raise ValueError(
                f"claim {claim.name} is ReadWriteOnce, which one pod can use, and replicas is not 1: others would wait "
                "for it for ever; use a ReadWriteMany claim, or weights: {volume: replica}"
            )
        return self

    @model_validator(mode="after")
    def _adapters_fit(self) -> Model:
        for name, adapter in self.adapters.items():
            if adapter.source and self.weights.download == "server":
                other = "name its image or path" if self.weights.given else "set weights.download to init or job"
                raise ValueError(f"adapter {name}: vLLM downloads adapters unpinned, so nobody downloads it; {other}")
            if adapter.path and not self.weights.given:
                raise ValueError(f"adapter {name}: path is a folder beside weights in an image, or a claim with path")
        return self

    @model_validator(mode="after")
    def _handed_on(self) -> Model:
        if self.serving != "deployment" and self.engine != "vllm":
            raise ValueError(f"serving {self.serving} runs vLLM; builtin:tiny needs serving: deployment")
        if self.serving == "llm-d" and not (self.llm_d and self.gateway and self.gateway.parent):
            raise ValueError(
                "serving llm-d needs llm_d: {image: <endpoint picker by digest>} and the gateway in front: "
                "{url, labels, port, parent: {name, namespace}}"
            )
        if self.llm_d and self.serving != "llm-d":
            raise ValueError("llm_d goes with serving: llm-d")
        return self

    @model_validator(mode="after")
    def _wakes_up(self) -> Model:
        if self.minimum_replicas > 0:
            return self
        if self.autoscaling != "keda":
            raise ValueError("replicas.min is 0 and autoscaling fixed, which would never serve; set autoscaling: keda")
        if self.gateway is None or self.gateway.queue is None:
            raise ValueError(
                "replicas.min is 0 and no gateway holds requests while no replica runs, so the first would be refused "
                "and nothing would start one; add gateway: {url, labels, port, queue: {query}}, or set min to 1"
            )
        return self

    @field_validator("hardware", mode="before")
    @classmethod
    def _map_or_auto(cls, hardware: Any) -> Any:
        if hardware is None or hardware == "auto" or isinstance(hardware, Mapping | Hardware):
            return hardware
        raise ValueError("must be auto, or a map such as {instance_type: g6.xlarge, gpus: 1}")

    @field_validator("extra_args")
    @classmethod
    def _no_key_and_nothing_twice(cls, args: tuple[str, ...]) -> tuple[str, ...]:
        if any(arg.split("=")[0] in {"--api-key", "--hf-token"} for arg in args):
            raise ValueError("a key on the command line is readable by everyone on the node; use `token` or a Secret")
        faults = argument_faults(args)
        if faults:
            raise ValueError("; ".join(faults))
        return args
