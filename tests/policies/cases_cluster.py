"""Cases of the rules on rights, namespaces, availability and ways in."""

from __future__ import annotations

from tests.policies.support import DELETE

APP, CHAT = "Deployment/app", "Deployment/chat"
POD = "spec.template.spec"
_RULE = "rules[0]"
_REQUIRED = f"{POD}.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = f"{POD}.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"
_OWN = {
    "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "app"}}, "topologyKey": "kubernetes.io/hostname",
}
_OPEN = [(APP, f"{POD}.containers[0].env", [])]


def _grant(**rule: list[str]) -> list:
    return [("Role/reader", _RULE, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rule})]


_RELEASE = {"type": "kubernetes:helm.sh/v3:Release", "name": "keda", "properties": {"chart": "keda"}}

FAIL = [
    (
        "service-account-token",
        [(APP, f"{POD}.automountServiceAccountToken", True)],
        f"{POD}.automountServiceAccountToken",
        {},
    ),
    (
        "service-account-token",
        [(APP, f"{POD}.automountServiceAccountToken", DELETE)],
        f"{POD}.automountServiceAccountToken",
        {},
    ),
    ("service-account", [(APP, f"{POD}.serviceAccountName", "default")], f"{POD}.serviceAccountName", {}),
    ("service-account", [(APP, f"{POD}.serviceAccountName", DELETE)], f"{POD}.serviceAccountName", {}),
    (
        "service-account-field",
        [(APP, f"{POD}.serviceAccountName", DELETE), (APP, f"{POD}.serviceAccount", "app")],
        f"{POD}.serviceAccount",
        {},
    ),
    ("default-namespace", [(APP, "metadata.namespace", "default")], "metadata.namespace", {}),
    ("default-namespace", [("Service/app", "metadata.namespace", DELETE)], "metadata.namespace", {}),
    ("network-default-deny", [("NetworkPolicy/default-deny", "", DELETE)], "", {}),
    ("network-default-deny", [("NetworkPolicy/default-deny", "spec.policyTypes", ["Ingress"])], "", {}),
    ("network-default-deny", [("NetworkPolicy/default-deny", "spec.ingress", [{}])], "", {}),
    (
        "network-default-deny",
        [("NetworkPolicy/default-deny", "spec.podSelector", {"matchLabels": {"app.kubernetes.io/name": "app"}})],
        "",
        {},
    ),
    ("network-isolation", [("NetworkPolicy/default-deny", "", DELETE)], "", {}),
    ("disruption-budget", [("PodDisruptionBudget/app", "", DELETE)], "", {}),
    ("disruption-budget", [("PodDisruptionBudget/app", "metadata.namespace", "other")], "", {}),
    ("topology-spread", [(APP, f"{POD}.topologySpreadConstraints", [])], f"{POD}.topologySpreadConstraints", {}),
    *(
        (
            "topology-spread",
            [(APP, f"{POD}.topologySpreadConstraints", []), (APP, _REQUIRED, [{**_OWN, **wrong}])],
            f"{POD}.topologySpreadConstraints",
            {},
        )
        for wrong in ({"namespaces": ["elsewhere"]}, {"labelSelector": {"matchLabels": {"app": "other"}}})
    ),
    ("replica-minimum", [(CHAT, "spec.replicas", 1)], "spec.replicas", {}),
    ("autoscaler-minimum", [("HorizontalPodAutoscaler/app", "spec.minReplicas", 1)], "spec.minReplicas", {}),
    ("autoscaler-range", [("HorizontalPodAutoscaler/app", "spec.maxReplicas", 3)], "spec.maxReplicas", {}),
    ("disruption-possible", [("PodDisruptionBudget/chat", "spec.maxUnavailable", 0)], "spec.maxUnavailable", {}),
    ("disruption-possible", [("PodDisruptionBudget/app", "spec.minAvailable", "100%")], "spec.minAvailable", {}),
    ("disruption-budget-range", [("PodDisruptionBudget/app", "spec.minAvailable", 4)], "", {}),
    ("disruption-budget-range", [("PodDisruptionBudget/app", "spec.minAvailable", "120%")], "", {}),
    ("selector-match", [(APP, "spec.selector.matchLabels", {"app": "x"})], "spec.selector", {}),
    ("required-labels", [], "metadata.labels.owner", {"labels": ["owner"]}),
    ("required-labels", [], "metadata.annotations.email", {"annotations": ["email"]}),
    ("rbac-wildcard", _grant(verbs=["*"]), _RULE, {}),
    ("rbac-wildcard", _grant(resources=["pods/*"]), _RULE, {}),
    ("rbac-escalation", _grant(verbs=["impersonate"]), _RULE, {}),
    ("rbac-pod-exec", _grant(resources=["pods/exec"], verbs=["create"]), _RULE, {}),
    ("rbac-pod-exec", _grant(resources=["pods/attach"], verbs=["get"]), _RULE, {}),
    ("rbac-secrets", _grant(resources=["secrets"], verbs=["list"]), _RULE, {}),
    ("rbac-create-pods", _grant(resources=["deployments"], verbs=["create"]), _RULE, {}),
    (
        "rbac-admin-binding",
        [("RoleBinding/reader", "roleRef", {"kind": "ClusterRole", "name": "cluster-admin"})],
        "roleRef",
        {},
    ),
    ("rbac-admin-binding", _grant(apiGroups=["*"], resources=["*"], verbs=["*"]), "roleRef", {}),
    ("rbac-exec-binding", [("RoleBinding/reader", "roleRef", {"kind": "ClusterRole", "name": "edit"})], "roleRef", {}),
    ("rbac-exec-binding", [("RoleBinding/reader", "roleRef.name", "elsewhere")], "roleRef", {}),
    ("rbac-exec-binding", _grant(resources=["pods/exec"], verbs=["create"]), "roleRef", {}),
    ("public-authentication", _OPEN, "spec", {}),
    ("public-authentication", [("Service/chat", "spec.type", "LoadBalancer")], "spec", {}),
    ("public-tls", [("Ingress/app", "spec.tls", DELETE)], "spec.tls", {}),
    ("public-tls", [("Service/app", "spec.type", "LoadBalancer")], "spec.ports", {}),
    ("public-rate", [("Ingress/app", "metadata.annotations", {})], "spec", {}),
    ("opaque-release", [("keda", "", _RELEASE)], "", {}),
]

_NAMES = {"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": ["app", "chat"]}]}

PASS = [
    ("network-default-deny", [("NetworkPolicy/default-deny", "spec.podSelector", _NAMES)], {}),
    ("service-account-token", [(CHAT, f"{POD}.automountServiceAccountToken", DELETE)], {}),
    ("disruption-budget", [(CHAT, "spec.replicas", 1), ("PodDisruptionBudget/chat", "", DELETE)], {}),
    ("replica-minimum", [(APP, "spec.replicas", 1)], {}),
    ("network-isolation", [("NetworkPolicy/chat", "", DELETE)], {}),
    ("disruption-budget-range", [("PodDisruptionBudget/app", "spec.minAvailable", 3)], {}),
    (
        "topology-spread",
        [(APP, f"{POD}.topologySpreadConstraints", []), (APP, _REQUIRED, [_OWN])],
        {},
    ),
    (
        "topology-spread",
        [(APP, f"{POD}.topologySpreadConstraints", []), (APP, _PREFERRED, [{"weight": 1, "podAffinityTerm": _OWN}])],
        {},
    ),
    ("rbac-secrets", _grant(resources=["secrets"], resourceNames=["mine"]), {}),
    ("rbac-wildcard", [*_grant(verbs=["*"]), ("Role/reader", "metadata.name", "system:x")], {}),
    ("rbac-exec-binding", [("RoleBinding/reader", "roleRef", {"kind": "ClusterRole", "name": "view"})], {}),
    ("public-authentication", [("Service/app", "spec.type", "LoadBalancer")], {}),
    (
        "public-authentication",
        [*_OPEN, ("Ingress/app", 'metadata.annotations["nginx.ingress.kubernetes.io/auth-url"]', "x")],
        {},
    ),
    (
        "public-tls",
        [
            ("Service/app", "spec.type", "LoadBalancer"),
            (
                "Service/app",
                "metadata.annotations",
                {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"},
            ),
        ],
        {},
    ),
]

UNKNOWN_AT = [
    ("service-account-token", APP, f"{POD}.automountServiceAccountToken", {}),
    ("service-account", APP, f"{POD}.serviceAccountName", {}),
    ("service-account-field", APP, f"{POD}.serviceAccount", {}),
    ("default-namespace", APP, "metadata.namespace", {}),
    ("network-default-deny", "NetworkPolicy/default-deny", "spec.policyTypes", {}),
    ("network-isolation", "NetworkPolicy/default-deny", "spec.podSelector", {}),
    ("disruption-budget", "PodDisruptionBudget/app", "spec.selector", {}),
    ("topology-spread", APP, f"{POD}.topologySpreadConstraints", {}),
    ("replica-minimum", CHAT, "spec.replicas", {}),
    ("autoscaler-minimum", "HorizontalPodAutoscaler/app", "spec.minReplicas", {}),
    ("autoscaler-range", "HorizontalPodAutoscaler/app", "spec.maxReplicas", {}),
    ("disruption-possible", "PodDisruptionBudget/app", "spec.minAvailable", {}),
    ("disruption-budget-range", "PodDisruptionBudget/app", "spec.minAvailable", {}),
    ("selector-match", APP, "spec.selector", {}),
    ("required-labels", APP, "metadata.labels", {"labels": ["owner"]}),
    *((rule, "Role/reader", f"{_RULE}.verbs", {}) for rule in (
        "rbac-wildcard", "rbac-escalation", "rbac-secrets", "rbac-create-pods")),
    ("rbac-pod-exec", "Role/reader", f"{_RULE}.apiGroups", {}),
    ("rbac-admin-binding", "RoleBinding/reader", "roleRef.name", {}),
    ("rbac-exec-binding", "RoleBinding/reader", "roleRef", {}),
    ("public-authentication", "Service/app", "spec.type", {}),
    ("public-tls", "Service/app", "spec.type", {}),
    ("public-rate", "Service/app", "spec.type", {}),
]
