"""Rights in the cluster: no wildcards, no way to more rights, no shell in other people's pods."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator

from ._model import KubeObject, Stack
from ._node import Node
from ._rule import Check, Context, Option, Rule, Violation, each_object

__all__ = ["RULES"]

_GUIDE = "https://kubernetes.io/docs/concepts/security/rbac-good-practices/"
_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_EVERYTHING = frozenset({"get", "list", "watch", "create", "update", "patch", "delete"})
# Roles that every cluster has: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
_BUILT_IN = {"cluster-admin": {"admin", "exec"}, "admin": {"exec"}, "edit": {"exec"}, "view": set()}
_NAMES = {
    "names": Option(
        schema={"type": "array", "items": {"type": "string"}},
        default=["system:*", "cluster-admin", "admin", "edit", "view", "gce:podsecuritypolicy:*"],
        about="names of roles and bindings that the cluster itself brings along (`system:` is reserved for it)",
    )
}


def _own(found: KubeObject, context: Context) -> bool:
    return any(fnmatch.fnmatchcase(found.name, pattern) for pattern in context.config["names"])


def _texts(rule: Node, field: str) -> list[str]:
    return [node.text or "" for node in rule.get(field).elements()]


def _is_admin(rule: Node) -> bool:
    verbs = set(_texts(rule, "verbs"))
    everywhere = "*" in _texts(rule, "apiGroups") and "*" in _texts(rule, "resources")
    return everywhere and ("*" in verbs or verbs >= _EVERYTHING)


def _is_exec(rule: Node) -> bool:
    """Whether it opens a shell. `get` counts: kubectl's WebSockets ask with it."""
    if not {"", "*"} & set(_texts(rule, "apiGroups")):
        return False
    resources = {"pods/exec", "pods/attach", "pods/*", "*", "*/exec", "*/attach", "*/*"}
    return bool(resources & set(_texts(rule, "resources"))) and bool(
        {"create", "get", "*"} & set(_texts(rule, "verbs"))
    )


def _rules(found: KubeObject) -> Iterator[Node]:
    return found.root.get("rules").elements()


def _each_rule(message: str, test: Callable[[Node], bool]) -> Check:
    def check(found: KubeObject, context: Context) -> Iterable[Violation]:
        if not _own(found, context):
            yield from (Violation(path=rule.path, message=message) for rule in _rules(found) if test(rule))

    return check


def _wildcard(rule: Node) -> bool:
    return any("*" in text for field in ("apiGroups", "resources", "verbs") for text in _texts(rule, field))


def _escalates(rule: Node) -> bool:
    return bool({"escalate", "bind", "impersonate"} & set(_texts(rule, "verbs")))


def _reads_secrets(rule: Node) -> bool:
    reads = {"get", "list", "watch", "*"} & set(_texts(rule, "verbs"))
    return bool(reads) and bool({"secrets", "*"} & set(_texts(rule, "resources"))) and not _texts(rule, "resourceNames")


def _creates_pods(rule: Node) -> bool:
    kinds = {"pods", "*", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"}
    return bool({"create", "*"} & set(_texts(rule, "verbs"))) and bool(kinds & set(_texts(rule, "resources")))


def _bindings(stack: Stack) -> Iterator[KubeObject]:
    return stack.of_kind(*_BINDINGS)


def _bound(right: str, message: str, test: Callable[[Node], bool], *, unknown: bool) -> Check:
    """Look at what the bound role grants; a role that is not in the stack is judged by name, or not at all."""

    def check(found: KubeObject, context: Context) -> Iterable[Violation]:
        if _own(found, context):
            return
        ref = found.root.get("roleRef")
        kind, name = ref.get("kind").text, ref.get("name").text or ""
        roles = [
            role for role in context.stack.of_kind(*_ROLES)
            if (role.kind, role.name) == (kind, name) and (kind == "ClusterRole" or role.namespace == found.namespace)
        ]
        built_in = _BUILT_IN.get(name) if kind == "ClusterRole" else None
        if right in (built_in or ()) or any(test(rule) for role in roles for rule in _rules(role)):
            yield Violation(path=ref.path, message=message)
        elif not roles and built_in is None and unknown and not name.startswith("system:"):
            yield Violation(
                path=ref.path, message="what the bound role grants cannot be checked: it is not part of the stack",
                fix="define the role in the stack, or bind a built-in one",
            )

    return check


def _rule(
    rule_id: str, title: str, why: str, fix: str, check: Check, source: str, *, controls: tuple[str, ...] = (),
    level: str = "mandatory", **cells: object,
) -> Rule:
    return Rule(
        id=rule_id, title=title, why=why, fix=fix, checks=(check,), sources=(source,), controls=controls, level=level,
        options=_NAMES, **(cells or {"cells": each_object(*_ROLES)}),  # type: ignore[arg-type]
    )


RULES = (
    _rule(
        "rbac-wildcard", "No role grants `*`.",
        "A wildcard also covers kinds and verbs that are added to the cluster later.",
        "list the groups, resources and verbs", _each_rule("the rule grants a wildcard", _wildcard),
        f"{_GUIDE}#least-privilege", controls=("cis-kubernetes/5.1.3", "nsa/rbac", "owasp-llm/LLM06:2025"),
    ),
    _rule(
        "rbac-escalation", "No role grants escalate, bind or impersonate.",
        "Each of them is a way to every other right in the cluster.",
        "remove the verb", _each_rule("the rule lets its holder take further rights", _escalates),
        f"{_GUIDE}#escalate-verb", controls=("cis-kubernetes/5.1.8",),
    ),
    _rule(
        "rbac-pod-exec", "No role grants a shell in pods.",
        "A shell in a pod has the pod's secrets and network.",
        "remove pods/exec and pods/attach", _each_rule("the rule allows exec into or attach to pods", _is_exec),
        f"{_GUIDE}#workload-creation", controls=("nsa/rbac",),
    ),
    _rule(
        "rbac-secrets", "No role reads all secrets.",
        "Whoever reads them holds the model hub's token, the API keys and every service account.",
        "name the secrets in resourceNames", _each_rule("the rule reads all secrets", _reads_secrets),
        f"{_GUIDE}#listing-secrets", controls=("cis-kubernetes/5.1.2",),
    ),
    _rule(
        "rbac-create-pods", "No role creates pods.",
        "Whoever creates pods can mount every secret of the namespace and use every service account.",
        "leave the creation of workloads to the deployment pipeline",
        _each_rule("the rule creates pods or workloads", _creates_pods),
        f"{_GUIDE}#workload-creation", controls=("cis-kubernetes/5.1.4",), level="advisory",
    ),
    _rule(
        "rbac-admin-binding", "Nobody is bound to full rights.",
        "A program with full rights hands them to whoever takes it over, a prompt included.",
        "bind a role with the rights that are needed",
        _bound("admin", "the bound role has all rights", _is_admin, unknown=False),
        f"{_GUIDE}#least-privilege", controls=("cis-kubernetes/5.1.1", "owasp-llm/LLM06:2025"), stack_cells=_bindings,
    ),
    _rule(
        "rbac-exec-binding", "Nobody is bound to a role that opens a shell in pods.",
        "A shell in a pod has the pod's secrets and network.",
        "bind a role without pods/exec and pods/attach",
        _bound("exec", "the bound role allows exec into or attach to pods", _is_exec, unknown=True),
        f"{_GUIDE}#workload-creation", controls=("nsa/rbac",), stack_cells=_bindings,
    ),
)
