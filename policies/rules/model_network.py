"""Who may talk to a model server, and whom it may talk to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from ._model import KubeObject, Pod, Stack
from ._node import Node
from ._rule import Context, Option, Rule, Violation, each_object
from ._select import selects
from ._serving import model_servers
from .exposure import GATEWAYS, backends, behind_internal_gateway, is_public

__all__ = ["RULES"]

_GUIDE = "https://docs.vllm.ai/en/stable/usage/security/"
_ADVISORIES = "https://github.com/vllm-project/vllm/security/advisories/"
# Ports of engines among themselves: torch.distributed and data parallel (29500), KV transfer (14579, NIXL 5600,
# Mooncake
# 50051/8998), vLLM's ZeroMQ (5557, 13345).
_PEER_PORTS = (29500, 14579, 5600, 8998, 50051, 5557, 13345, 29550)
# GCS, dashboard, client, dashboard agent, metrics export: https://docs.ray.io/en/latest/ray-core/configure.html#ports
_RAY_PORTS = {6379: "GCS", 8265: "dashboard and jobs", 10001: "client", 52365: "dashboard agent", 8076: "node manager"}
_RAY_NAMES = ("gcs", "gcs-server", "dashboard", "ray-client", "client", "redis")


def _model_pods(stack: Stack) -> Iterator[Pod]:
    for found in stack.workloads:
        yield from (pod for pod in found.pods if any(True for _ in model_servers(pod)))


def _policies(stack: Stack, pod: Pod, kind: str) -> Iterator[Node]:
    """Specs of the NetworkPolicies that select a pod and govern this direction."""
    for policy in stack.of_kind("NetworkPolicy"):
        spec = policy.root.get("spec")
        selector = spec.get("podSelector").value
        types = {node.text for node in spec.get("policyTypes").elements()}
        governs = kind in types or (not types and (kind == "Ingress" or spec.get("egress").exists))
        if policy.namespace == pod.owner.namespace and governs and selects(selector or {}, pod.labels):
            yield spec


def _private(pod: Pod, context: Context) -> Iterable[Violation]:
    specs = list(_policies(context.stack, pod, "Ingress"))
    if not specs:
        yield Violation(path="", message="no NetworkPolicy restricts who may reach the model server")
    for spec in specs:
        for rule in spec.get("ingress").elements():
            sources = list(rule.get("from").elements())
            if not sources:
                yield Violation(path="", message=f"a NetworkPolicy ({rule.path}) lets everybody reach the model server")
            for source in sources:
                yield from _source(source)
    yield from _published(pod, context)


def _source(source: Node) -> Iterable[Violation]:
    """A peer must be pods that are named by labels; a whole namespace, or addresses, are more than the application."""
    pods = source.get("podSelector").value
    if source.get("ipBlock").exists or not pods:
        yield Violation(
            path="",
            message=f"a NetworkPolicy ({source.path}) admits more than the application's and the monitoring's pods",
        )


def _published(pod: Pod, context: Context) -> Iterable[Violation]:
    for entry in context.stack.of_kind("Service", "Ingress", "HTTPRoute"):
        public = is_public(entry) if entry.kind == "Service" else not behind_internal_gateway(entry, context)
        if public and any(backend.template is pod.template for backend in backends(context.stack, entry)):
            yield Violation(
                path="", message=f"{entry.object} publishes the model server outside the cluster",
                fix="keep the Service ClusterIP; list a Gateway that outsiders cannot reach in `internal_gateways`",
            )


def _peers(pod: Pod, context: Context) -> Iterable[Violation]:
    for spec in _policies(context.stack, pod, "Ingress"):
        for rule in spec.get("ingress").elements():
            if _admits(rule.get("ports"), _PEER_PORTS) and not _only_peers(rule, pod):
                yield Violation(
                    path="", message=f"a NetworkPolicy ({rule.path}) opens the engine's internal ports to others"
                )


def _admits(ports: Node, wanted: tuple[int, ...]) -> bool:
    """Whether a rule's ports include one of these; no ports means all of them."""
    found = list(ports.elements())
    if not found:
        return True
    for port in found:
        low = port.get("port").number
        high = port.get("endPort").number or low
        if low is None and not port.get("port").exists:
            return True
        if low is not None and high is not None and any(low <= number <= high for number in wanted):
            return True
    return False


def _only_peers(rule: Node, pod: Pod) -> bool:
    sources = list(rule.get("from").elements())
    same = [
        selects(source.get("podSelector").value, pod.labels) and not source.get("ipBlock").exists for source in sources
    ]
    return bool(same) and all(same)


def _service_ports(found: KubeObject, context: Context) -> Iterable[Violation]:
    headless = found.root.get("spec", "clusterIP").value == "None"
    for port in found.root.get("spec", "ports").elements():
        numbers = {port.get("port").number, port.get("targetPort").number}
        ray = numbers & set(_RAY_PORTS) or port.get("targetPort").text in _RAY_NAMES
        if ray:
            yield Violation(path=port.path, message="the Service offers a port of Ray, which runs any job it is sent",
                            fix="remove the port; Ray's head is reached inside its own pods only")
        elif numbers & set(_PEER_PORTS) and not headless:
            yield Violation(path=port.path, message="the Service offers an internal port of the engine")


def _egress(pod: Pod, context: Context) -> Iterable[Violation]:
    specs = list(_policies(context.stack, pod, "Egress"))
    if not specs:
        yield Violation(path="", message="no NetworkPolicy restricts what the model server may reach")
    for spec in specs:
        for rule in spec.get("egress").elements():
            yield from _destination(rule, context.config["ports"])


# EKS Pod Identity on the machine: it hands a pod the rights of its own role and nothing else
# (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html).
_IDENTITY_AGENTS = ("169.254.170.23/32", "fd00:ec2::23/128")


def _destination(rule: Node, allowed: list[float]) -> Iterable[Violation]:
    ports = list(rule.get("ports").elements())
    for peer in list(rule.get("to").elements()) or [Node({}, rule.path)]:
        block = peer.get("ipBlock", "cidr").text
        inside = peer.get("podSelector").exists or peer.get("namespaceSelector").exists
        if inside or (block in _IDENTITY_AGENTS and [port.get("port").number for port in ports] == [80]):
            continue
        where = "everywhere" if block is None else "outside addresses"
        if not ports:
            yield Violation(
                path="", message=f"a NetworkPolicy ({rule.path}) lets the model server reach {where} on any port"
            )
        elif any(port.get("port").number not in allowed for port in ports):
            known = ", ".join(f"{number:g}" for number in sorted(allowed))
            yield Violation(
                path="",
                message=f"a NetworkPolicy ({rule.path}) lets the model server reach {where} on ports other than "
                f"{known}",
                fix="name allowed ports; add that of a proxy or mirror to `ports` of this rule",
            )
        elif block is None or _reaches_metadata(peer):
            yield Violation(
                path="",
                message=f"a NetworkPolicy ({rule.path}) lets the model server reach {where}, private networks and the "
                "cloud's metadata service included",
            )


def _reaches_metadata(peer: Node) -> bool:
    """Whether link-local addresses, such as 169.254.169.254, are inside the block and not excepted."""
    try:
        block: Any = ipaddress.ip_network(peer.get("ipBlock", "cidr").text or "", strict=False)
        excepted = [
            ipaddress.ip_network(node.text or "", strict=False) for node in peer.get("ipBlock", "except").elements()
        ]
    except ValueError:
        return True
    if block.version != 4:
        return False
    metadata = ipaddress.ip_address("169.254.169.254")
    return metadata in block and not any(metadata in network for network in excepted)


RULES = (
    Rule(
        id="model-server-private",
        title="A model server is reachable from its application and from monitoring only.",
        why="Its API key does not cover /invocations, /pause or /update_weights, so the network is what protects it.",
        fix="select the application's pods in a NetworkPolicy, and keep the Service ClusterIP",
        sources=(f"{_GUIDE}#api-key-authentication-limitations",),
        controls=("owasp-llm/LLM10:2025", "owasp-llm/LLM04:2025"),
        stack_cells=_model_pods,
        checks=(_private,),
        options=GATEWAYS,
    ),
    Rule(
        id="model-server-peers",
        title="Ports for KV transfer and distributed inference are open to peers only.",
        why="They have no authentication, and some of them unpickle what they receive (CVE-2025-32444, "
        "CVE-2025-47277).",
        fix="name the ports of each ingress rule; open internal ports to the server's own pods only",
        sources=(
            f"{_ADVISORIES}GHSA-hj4w-hm2g-p6w5",
            f"{_ADVISORIES}GHSA-hjq4-87xh-g4fv",
            f"{_GUIDE}#inter-node-communication",
        ),
        controls=("owasp-llm/LLM03:2025",),
        stack_cells=_model_pods,
        checks=(_peers,),
    ),
    Rule(
        id="internal-port-service",
        title="No Service offers ports of Ray or of the engine's internals.",
        why="Ray runs any job it is sent and has no authentication by design (CVE-2023-48022).",
        fix="remove the port from the Service",
        sources=(
            "https://nvd.nist.gov/vuln/detail/CVE-2023-48022",
            "https://docs.ray.io/en/latest/ray-security/index.html",
        ),
        controls=("owasp-llm/LLM03:2025",),
        cells=each_object("Service"),
        checks=(_service_ports,),
    ),
    Rule(
        id="model-server-egress",
        title="A model server reaches DNS, the model store and telemetry only.",
        why="Code that came in with a model cannot send data out, nor ask the cloud's metadata service for "
        "credentials.",
        fix="list destinations by pods, or by address blocks that except private and link-local networks, on named "
        "ports",
        sources=(
            "https://kubernetes.io/docs/concepts/services-networking/network-policies/",
            f"{_GUIDE}#1-network-isolation",
        ),
        controls=("owasp-llm/LLM02:2025", "owasp-llm/LLM03:2025"),
        stack_cells=_model_pods,
        checks=(_egress,),
        options={
            "ports": Option(
                schema={"type": "array", "items": {"type": "number"}},
                default=[53, 443],
                about="ports it may reach outside the cluster",
            )
        },
    ),
)
