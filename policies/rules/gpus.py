"""GPUs: what is paid for is used, and nothing reaches around the device plugin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from ._model import Container, KubeObject, Stack
from ._pools import pools
from ._quantity import quantity
from ._rule import Context, Rule, Violation, each_container
from ._scale import demand_of, devices_of_container, gpu_resources
from ._serving import vllm_servers

__all__ = ["RULES"]

_HIDDEN = ("NVIDIA_VISIBLE_DEVICES", "LD_PRELOAD", "LD_AUDIT")
_PARALLEL = (("tensor-parallel-size", "tp"), ("pipeline-parallel-size", "pp"))
_DATA_PARALLEL = (("data-parallel-size-local", "dpl"), ("data-parallel-size", "dp"))


def _parallel(container: Container, context: Context) -> Iterable[Violation]:
    backend = container.flag("distributed-executor-backend")
    if backend is not None and backend.value == "ray":
        return  # Ray spreads one server over several pods, so this container has only some of its GPUs
    found = [flag for names in _PARALLEL if (flag := container.flag(*names)) is not None]
    # Engines on this node count; without that number all of them are here.
    found += [flag for names in _DATA_PARALLEL if (flag := container.flag(*names)) is not None][:1]
    wanted = math.prod(float(flag.value) if (flag.value or "").isdecimal() else math.nan for flag in found)
    gpus = devices_of_container(container)
    path = found[0].path if found else container.node.get("resources", "limits").path
    if not gpus and wanted > 1:
        yield Violation(path=path, message=f"{wanted:g} GPUs are used in parallel, but none is requested")
    elif gpus and wanted != gpus:
        end = "the others are paid for and idle" if gpus > wanted else "the server cannot start"
        message = f"tensor x pipeline parallel uses {wanted:g} GPUs and the container requests {gpus:g}: {end}"
        yield Violation(path=path, message=message)


def _requests_equal_limits(container: Container, context: Context) -> Iterable[Violation]:
    for resource in gpu_resources(container):
        limit = container.node.get("resources", "limits", resource)
        request = container.node.get("resources", "requests", resource)
        if request.exists and quantity(request) != quantity(limit):
            yield Violation(path=request.path, message="the GPU request differs from its limit, which no cluster "
            "accepts",
                            fix="set the limit only, or both to the same number")


def _overrides(container: Container, context: Context) -> Iterable[Violation]:
    for variable in container.node.get("env").elements():
        name = variable.get("name").text
        if name in _HIDDEN and not (name == _HIDDEN[0] and variable.get("value").value in ("void", "none")):
            yield Violation(path=variable.path, message=f"the environment sets {name}", fix=f"remove {name}")


def _rolling(stack: Stack) -> Iterator[KubeObject]:
    return stack.of_kind("Deployment")


def _surge(found: KubeObject, context: Context) -> Iterable[Violation]:
    """During a rollout the old pods and the surge run side by side; the pool must have room for both."""
    demand = demand_of(context.stack, found)
    strategy = found.root.get("spec", "strategy")
    if not demand.gpus:
        return
    limits = [pool.gpus for pool in pools(context.stack) if all(pool.accepts(pod) for pod in found.pods)]
    if not limits or strategy.get("type").text == "Recreate":
        return
    surge = _rounded_up(strategy.get("rollingUpdate", "maxSurge").value, demand.replicas)
    unavailable = strategy.get("rollingUpdate", "maxUnavailable").value
    needed = demand.gpus * (1 + surge / demand.replicas)
    if surge and needed > sum(limits) and unavailable in (0, "0", "0%"):
        yield Violation(
            path=strategy.path,
            message=f"a rollout needs {needed:g} GPUs (replicas and surge), the pool may have {sum(limits):g}, and "
            f"no old pod "
            "may stop first, so it never ends",
        )


def _rounded_up(value: object, replicas: int) -> int:
    """A surge as Kubernetes reads it: a number, or a share of the replicas rounded up; 25 % by default."""
    text = "25%" if value is None else str(value)
    if text.endswith("%"):
        return math.ceil(float(text[:-1]) / 100 * replicas)
    return int(float(text))


RULES = (
    Rule(
        id="gpu-parallelism",
        title="A model server requests exactly the GPUs it uses: tensor x pipeline parallel.",
        why="A GPU that is requested and not used is paid for and idle; one that is missing keeps the server from "
        "starting.",
        fix="set --tensor-parallel-size to the number of GPUs requested",
        sources=("https://docs.vllm.ai/en/stable/serving/parallelism_scaling/",),
        controls=("owasp-llm/LLM10:2025",),
        cells=vllm_servers,
        checks=(_parallel,),
    ),
    Rule(
        id="gpu-request",
        title="A container's GPU request equals its limit.",
        why="GPUs cannot be overcommitted; the API server refuses the pod, long after the Deployment was accepted.",
        fix="set the limit only",
        sources=("https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/#using-device-plugins",),
        cells=each_container,
        checks=(_requests_equal_limits,),
    ),
    Rule(
        id="gpu-override",
        title="No container overrides which GPUs it sees, or what is loaded before its program.",
        why="NVIDIA_VISIBLE_DEVICES reaches GPUs of other pods past the scheduler, and LD_PRELOAD was the way out of "
        "the "
        "container in CVE-2025-23266.",
        fix="remove the variable; the device plugin sets what is needed",
        sources=(
            "https://nvidia.custhelp.com/app/answers/detail/a_id/5659",
            "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html",
        ),
        controls=("owasp-llm/LLM03:2025",),
        cells=each_container,
        checks=(_overrides,),
    ),
    Rule(
        id="gpu-rollout",
        title="The surge of a rollout fits the GPU pool.",
        why="Otherwise the new pod waits for a GPU that only the old one could free, and the rollout never ends.",
        fix="set maxSurge: 0 and maxUnavailable: 1, or raise the pool's limit",
        sources=("https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-surge",),
        stack_cells=_rolling,
        checks=(_surge,),
    ),
)
