"""Ways in from outside the cluster: authenticated, encrypted, limited in rate."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ._model import Container, KubeObject, Pod, Stack
from ._node import Node, UnknownAt
from ._rule import Context, Option, Rule, Violation
from ._select import selects

__all__ = ["GATEWAYS", "RULES", "backends", "behind_internal_gateway", "is_public", "public_entries"]

_KEY_NAME = re.compile(r"(?:^|_)API_?KEYS?$|(?:^|_)AUTH_(?:TOKENS?|KEYS?|SECRET)$|OIDC_|OAUTH2?_|JWT_", re.IGNORECASE)
_PROXIES = ("*oauth2-proxy*", "*pomerium*", "*authelia*", "*kube-rbac-proxy*", "*vouch-proxy*")
_INTERNAL = {
    "service.beta.kubernetes.io/aws-load-balancer-internal": ("true", "0.0.0.0/0"),
    "service.beta.kubernetes.io/aws-load-balancer-scheme": ("internal",),
    "networking.gke.io/load-balancer-type": ("Internal", "internal"),
    "service.beta.kubernetes.io/azure-load-balancer-internal": ("true",),
}
_INGRESS_AUTH = (
    "nginx.ingress.kubernetes.io/auth-url", "nginx.ingress.kubernetes.io/auth-secret",
    "nginx.ingress.kubernetes.io/auth-tls-secret", "alb.ingress.kubernetes.io/auth-type",
)
_INGRESS_RATE = (
    "nginx.ingress.kubernetes.io/limit-rps", "nginx.ingress.kubernetes.io/limit-rpm",
    "nginx.ingress.kubernetes.io/limit-connections",
)
_TLS_SERVICE = (
    "service.beta.kubernetes.io/aws-load-balancer-ssl-cert",
    "service.beta.kubernetes.io/do-loadbalancer-certificate-id",
    "service.beta.kubernetes.io/oci-load-balancer-tls-secret",
)


def _annotation(found: KubeObject, name: str) -> Node:
    return found.root.get("metadata", "annotations", name)


def is_public(found: KubeObject) -> bool:
    """Whether a Service is reachable from outside the cluster."""
    spec = found.root.get("spec")
    if spec.get("type").text == "NodePort" or any(spec.get("externalIPs").elements()):
        return True
    if spec.get("type").text != "LoadBalancer":
        return False
    return not any(_annotation(found, name).value in values for name, values in _INTERNAL.items())


def public_entries(stack: Stack) -> Iterator[KubeObject]:
    """Services, Ingresses and routes that outsiders can reach. One whose type is unknown counts."""
    for found in stack.of_kind("Service", "Ingress", "HTTPRoute", "GRPCRoute", "TCPRoute"):
        if found.kind != "Service":
            yield found
            continue
        try:
            if is_public(found):
                yield found
        except UnknownAt:
            yield found


def behind_internal_gateway(entry: KubeObject, context: Context) -> bool:
    """Whether a route is attached to Gateways only that the environment calls internal."""
    if not entry.kind.endswith("Route"):
        return False
    parents = [
        f"{parent.get('namespace').text or entry.namespace}/{parent.get('name').text}"
        for parent in entry.root.get("spec", "parentRefs").elements()
    ]
    known = context.config["internal_gateways"]
    return bool(parents) and all(any(fnmatch.fnmatchcase(name, one) for one in known) for name in parents)


GATEWAYS = {
    "internal_gateways": Option(
        schema={"type": "array", "items": {"type": "string"}}, default=[],
        about="Gateways that nobody reaches from outside the cluster, as namespace/name with wildcards; a stack does "
        "not show what the Gateways listen on that it attaches routes to",
    )
}


def _reports_unknown(found: KubeObject) -> None:
    """Let the framework report an entry that is here only because its type is unknown."""
    if found.kind == "Service":
        is_public(found)


def backends(stack: Stack, entry: KubeObject) -> Iterator[Pod]:
    """The pods behind a Service, or behind the Services and InferencePools that an Ingress or route names."""
    names = {entry.name} if entry.kind == "Service" else set(_service_names(entry.root.get("spec")))
    for service in stack.of_kind("Service", *(() if entry.kind == "Service" else ("InferencePool",))):
        if service.name in names and service.namespace == entry.namespace:
            path = ("selector",) if service.kind == "Service" else ("selector", "matchLabels")
            selector = service.root.get("spec", *path).value
            for workload in stack.workloads:
                yield from (
                    pod
                    for pod in workload.pods
                    if selector
                    and workload.namespace == service.namespace
                    and selects({"matchLabels": selector}, pod.labels)
                )


def _service_names(node: Node) -> Iterator[str]:
    """Names under ``backend.service``, ``defaultBackend.service`` and ``backendRefs``, wherever they stand."""
    if isinstance(node.raw, dict):
        for key, child in node.items():
            if key == "service" and child.get("name").text:
                yield child.get("name").text or ""
            elif key == "backendRefs":
                yield from (name for ref in child.elements() if (name := ref.get("name").text))
            else:
                yield from _service_names(child)
    elif isinstance(node.raw, list):
        for child in node.elements():
            yield from _service_names(child)


def _authenticates(container: Container, names: Iterable[str]) -> bool:
    """Evidence in what is deployed: an authenticating proxy, or keys of callers handed over from a Secret."""
    raw = container.node.get("image").raw
    if isinstance(raw, str) and any(fnmatch.fnmatchcase(raw, pattern) for pattern in _PROXIES):
        return True
    for variable in container.node.get("env").elements():
        name = variable.get("name").text or ""
        by_reference = variable.get("valueFrom", "secretKeyRef").exists
        if by_reference and (_KEY_NAME.search(name) or name in names) and not name.startswith("VLLM_"):
            return True
    return False


def _authentication(entry: KubeObject, context: Context) -> Iterable[Violation]:
    _reports_unknown(entry)
    if behind_internal_gateway(entry, context):
        return
    if entry.kind == "Ingress" and any(_annotation(entry, name).exists for name in _INGRESS_AUTH):
        return
    pods = list(backends(context.stack, entry))
    names = context.config["variables"]
    if pods and all(any(_authenticates(container, names) for container in pod.containers) for pod in pods):
        return
    behind = "the pods behind it are given no callers' keys" if pods else "nothing behind it is known to ask for keys"
    yield Violation(path="spec", message=f"it is reachable from outside, and {behind}")


def _encryption(entry: KubeObject, context: Context) -> Iterable[Violation]:
    _reports_unknown(entry)
    if behind_internal_gateway(entry, context):
        return
    spec = entry.root.get("spec")
    if entry.kind == "Ingress":
        if not any(True for _ in spec.get("tls").elements()):
            yield Violation(path=spec.get("tls").path, message="the Ingress has no tls section", fix="add spec.tls")
    elif entry.kind == "Service":
        ports = [port.get("port").number for port in spec.get("ports").elements()]
        terminated = any(_annotation(entry, name).exists for name in _TLS_SERVICE)
        if not terminated and any(port not in (443, 6443, 8443) for port in ports or [None]):
            yield Violation(path=spec.get("ports").path, message="the Service takes connections without TLS",
                            fix="put an Ingress or Gateway with TLS in front and make the Service ClusterIP")
    else:
        yield from _listeners(entry, context.stack)


def _listeners(route: KubeObject, stack: Stack) -> Iterable[Violation]:
    parents = route.root.get("spec", "parentRefs")
    names = {parent.get("name").text for parent in parents.elements()}
    gateways = [gateway for gateway in stack.of_kind("Gateway") if gateway.name in names]
    if len(gateways) < len(names) or not names:
        message = "its Gateway is not part of the stack, so nobody can see here whether it uses TLS"
        yield Violation(path=parents.path, message=message)
    for gateway in gateways:
        for listener in gateway.root.get("spec", "listeners").elements():
            if listener.get("protocol").text not in ("HTTPS", "TLS"):
                yield Violation(path=parents.path, message=f"the route's {gateway.object} listens without TLS")


def _rate(entry: KubeObject, context: Context) -> Iterable[Violation]:
    _reports_unknown(entry)
    if behind_internal_gateway(entry, context):
        return
    if any(_annotation(entry, name).exists for name in _INGRESS_RATE):
        return
    for pod in backends(context.stack, entry):
        for container in pod.containers:
            for variable in container.node.get("env").elements():
                name = (variable.get("name").text or "").upper()
                if "RATE_LIMIT" in name or "REQUESTS_PER" in name:
                    return
    yield Violation(path="spec", message="nothing limits how many requests a caller may send")


def _options() -> Mapping[str, Option]:
    about = "names of environment variables that hold callers' keys, beside the usual ones (API_KEYS, AUTH_TOKEN)"
    schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    return {"variables": Option(schema=schema, default=[], about=about), **GATEWAYS}


RULES = (
    Rule(
        id="public-authentication",
        title="Whatever is reachable from outside asks callers for a key or a login.",
        why="An open endpoint is found within hours; its GPUs then work for others and answer whatever they are asked.",
        fix="set auth: api-key for the endpoint, put an authenticating proxy in front, or make the Service ClusterIP",
        sources=(
            "https://genai.owasp.org/llmrisk/llm102025-unbounded-consumption/",
            "https://docs.vllm.ai/en/stable/usage/security/#api-key-authentication-limitations",
        ),
        controls=("owasp-llm/LLM10:2025", "nsa/network-separation"),
        stack_cells=public_entries,
        checks=(_authentication,),
        options=_options(),
    ),
    Rule(
        id="public-tls",
        title="Whatever is reachable from outside is encrypted.",
        why="Prompts, answers and API keys otherwise cross the network in plain.",
        fix="terminate TLS at an Ingress, Gateway or load balancer",
        sources=("https://kubernetes.io/docs/concepts/services-networking/ingress/#tls",),
        controls=("nsa/encryption", "owasp-llm/LLM02:2025"),
        stack_cells=public_entries,
        checks=(_encryption,),
        options=GATEWAYS,
    ),
    Rule(
        id="public-rate",
        title="Whatever is reachable from outside limits the rate of requests.",
        why="One caller in a loop otherwise takes the GPUs of all others, or scales them to the maximum.",
        fix="set a rate limit at the Ingress (limit-rps) or in the application (RATE_LIMIT_...)",
        sources=("https://genai.owasp.org/llmrisk/llm102025-unbounded-consumption/",),
        controls=("owasp-llm/LLM10:2025",),
        level="advisory",
        stack_cells=public_entries,
        checks=(_rate,),
        options=GATEWAYS,
    ),
)
