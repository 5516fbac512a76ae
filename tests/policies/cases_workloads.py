"""Cases of the rules on pods, containers, images and secrets."""

from __future__ import annotations

from tests.policies.support import DELETE

APP = "Deployment/app"
POD = "spec.template.spec"
C = f"{POD}.containers[0]"
_SEC = f"{C}.securityContext"
_ENV = f"{C}.env[2]"
_BASELINE, _RESTRICTED = "pod-security-baseline", "pod-security-restricted"
_PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc"


def _env(name: str, value: str) -> list:
    return [(APP, _ENV, {"name": name, "value": value})]


FAIL = [
    ("image-digest", [(APP, f"{C}.image", "registry.example.com/team/app:v1")], f"{C}.image", {}),
    ("image-digest", [(APP, f"{C}.image", "app@sha256:abc")], f"{C}.image", {}),
    (
        "image-digest",
        [("Deployment/chat", f"{POD}.initContainers[0].image", "x:v1")],
        f"{POD}.initContainers[0].image",
        {},
    ),
    (
        "image-digest",
        [("Deployment/chat", f"{POD}.volumes[0]", {"name": "weights", "image": {"reference": "reg/qwen:v1"}})],
        f"{POD}.volumes[0].image.reference",
        {},
    ),
    (
        "image-registry",
        [("Deployment/chat", f"{POD}.volumes[0]", {"name": "weights", "image": {"reference": "reg/qwen:v1"}})],
        f"{POD}.volumes[0].image.reference",
        {"registries": ["registry.example.com/*", "docker.io/vllm/*"]},
    ),
    ("image-tag", [(APP, f"{C}.image", "registry.example.com:5000/app")], f"{C}.image", {}),
    ("image-tag", [(APP, f"{C}.image", "app:latest")], f"{C}.image", {}),
    (
        "image-registry",
        [(APP, f"{C}.image", "busybox")],
        f"{C}.image",
        {"registries": ["registry.example.com/*", "docker.io/vllm/*"]},
    ),
    ("image-pull-policy", [(APP, f"{C}.image", "app:v1")], f"{C}.imagePullPolicy", {}),
    ("literal-secret", _env("DB_PASSWORD", "hunter2"), f"{_ENV}.value", {}),
    ("literal-secret", _env("HF_TOKEN", "abc"), f"{_ENV}.value", {}),
    ("literal-secret", _env("AZURE_BATCH_KEY", "xxx"), f"{_ENV}.value", {}),
    ("literal-secret", _env("apiKey", "xxx"), f"{_ENV}.value", {}),
    ("literal-secret", _env("HARMLESS", _PRIVATE_KEY), f"{_ENV}.value", {}),
    ("literal-secret", _env("URL", "postgres://user:pw@db/x"), f"{_ENV}.value", {}),
    ("literal-secret", [(APP, f"{C}.args", ["--api-key=abc"])], f"{C}.args[0]", {}),
    ("literal-secret", [(APP, f"{C}.args", ["--api-key", "abc"])], f"{C}.args[0]", {}),
    ("literal-secret", [(APP, f"{C}.args", ["--x=hf_" + "a" * 34])], f"{C}.args[0]", {}),
    ("literal-secret-configmap", [("ConfigMap/settings", "data.db_password", "x")], "data.db_password", {}),
    ("literal-secret-configmap", [("ConfigMap/settings", "data.note", _PRIVATE_KEY)], "data.note", {}),
    (_BASELINE, [(APP, f"{POD}.hostNetwork", True)], f"{POD}.hostNetwork", {}),
    (_BASELINE, [(APP, f"{POD}.hostPID", True)], f"{POD}.hostPID", {}),
    (_BASELINE, [(APP, f"{POD}.hostIPC", True)], f"{POD}.hostIPC", {}),
    (_BASELINE, [(APP, f"{_SEC}.privileged", True)], f"{_SEC}.privileged", {}),
    (_BASELINE, [(APP, f"{_SEC}.capabilities.add", ["SYS_ADMIN"])], f"{_SEC}.capabilities.add[0]", {}),
    (
        _BASELINE,
        [(APP, f"{POD}.volumes", [{"name": "x", "hostPath": {"path": "/"}}])],
        f"{POD}.volumes[0].hostPath",
        {},
    ),
    (_BASELINE, [(APP, f"{C}.ports[0].hostPort", 80)], f"{C}.ports[0].hostPort", {}),
    (_BASELINE, [(APP, f"{C}.livenessProbe.httpGet.host", "10.0.0.1")], f"{C}.livenessProbe.httpGet.host", {}),
    (
        _BASELINE,
        [(APP, f"{C}.lifecycle", {"preStop": {"tcpSocket": {"host": "x"}}})],
        f"{C}.lifecycle.preStop.tcpSocket.host",
        {},
    ),
    (_BASELINE, [(APP, f"{_SEC}.appArmorProfile", {"type": "Unconfined"})], f"{_SEC}.appArmorProfile.type", {}),
    (
        _BASELINE,
        [
            (
                APP,
                "spec.template.metadata.annotations",
                {"container.apparmor.security.beta.kubernetes.io/app": "unconfined"},
            )
        ],
        'spec.template.metadata.annotations["container.apparmor.security.beta.kubernetes.io/app"]',
        {},
    ),
    (_BASELINE, [(APP, f"{_SEC}.seLinuxOptions", {"type": "spc_t"})], f"{_SEC}.seLinuxOptions.type", {}),
    (_BASELINE, [(APP, f"{_SEC}.seLinuxOptions", {"user": "root"})], f"{_SEC}.seLinuxOptions.user", {}),
    (_BASELINE, [(APP, f"{_SEC}.procMount", "Unmasked")], f"{_SEC}.procMount", {}),
    (_BASELINE, [(APP, f"{_SEC}.seccompProfile", {"type": "Unconfined"})], f"{_SEC}.seccompProfile.type", {}),
    (
        _BASELINE,
        [(APP, f"{POD}.securityContext.sysctls", [{"name": "kernel.sem"}])],
        f"{POD}.securityContext.sysctls[0].name",
        {},
    ),
    (
        _BASELINE,
        [(APP, f"{POD}.securityContext.windowsOptions", {"hostProcess": True})],
        f"{POD}.securityContext.windowsOptions.hostProcess",
        {},
    ),
    (_RESTRICTED, [(APP, f"{_SEC}.allowPrivilegeEscalation", DELETE)], f"{_SEC}.allowPrivilegeEscalation", {}),
    (_RESTRICTED, [(APP, f"{_SEC}.capabilities", {"drop": ["all"]})], f"{_SEC}.capabilities.drop", {}),
    (_RESTRICTED, [(APP, f"{_SEC}.capabilities.add", ["CHOWN"])], f"{_SEC}.capabilities.add[0]", {}),
    (_RESTRICTED, [(APP, f"{POD}.securityContext.runAsNonRoot", DELETE)], f"{_SEC}.runAsNonRoot", {}),
    (_RESTRICTED, [(APP, f"{POD}.securityContext.runAsNonRoot", False)], f"{POD}.securityContext.runAsNonRoot", {}),
    (_RESTRICTED, [(APP, f"{_SEC}.runAsNonRoot", False)], f"{_SEC}.runAsNonRoot", {}),
    (_RESTRICTED, [(APP, f"{_SEC}.runAsUser", 0)], f"{_SEC}.runAsUser", {}),
    (_RESTRICTED, [(APP, f"{POD}.securityContext.seccompProfile", DELETE)], f"{_SEC}.seccompProfile.type", {}),
    (
        _RESTRICTED,
        [(APP, f"{POD}.securityContext.seccompProfile.type", "Unconfined")],
        f"{POD}.securityContext.seccompProfile.type",
        {},
    ),
    (_RESTRICTED, [(APP, f"{POD}.volumes", [{"name": "x", "nfs": {"server": "a"}}])], f"{POD}.volumes[0]", {}),
    (
        _RESTRICTED,
        [(APP, f"{POD}.hostUsers", False), (APP, f"{_SEC}.procMount", "Unmasked")],
        f"{_SEC}.procMount",
        {"kubernetes_version": "1.35"},
    ),
    ("read-only-root", [(APP, f"{_SEC}.readOnlyRootFilesystem", False)], f"{_SEC}.readOnlyRootFilesystem", {}),
    ("liveness-probe", [(APP, f"{C}.livenessProbe", DELETE)], f"{C}.livenessProbe", {}),
    ("readiness-probe", [(APP, f"{C}.readinessProbe", DELETE)], f"{C}.readinessProbe", {}),
    ("probe-port", [(APP, f"{C}.livenessProbe.httpGet.port", "web")], f"{C}.livenessProbe.httpGet.port", {}),
    (
        "probe-port",
        [(APP, f"{C}.readinessProbe", {"tcpSocket": {"port": 9}})],
        f"{C}.readinessProbe.tcpSocket.port",
        {},
    ),
    ("probe-port", [(APP, f"{C}.ports[0].protocol", "UDP")], f"{C}.livenessProbe.httpGet.port", {}),
    ("duplicate-environment", _env("LOG_LEVEL", "x"), f"{C}.env", {}),
    ("privileged-port", [(APP, f"{C}.ports[0].containerPort", 80)], f"{C}.ports[0].containerPort", {}),
    ("ssh-port", [(APP, f"{C}.ports[0].containerPort", 22)], f"{C}.ports[0].containerPort", {}),
    (
        "runtime-socket",
        [(APP, f"{POD}.volumes", [{"name": "x", "hostPath": {"path": "/run/containerd/containerd.sock"}}])],
        f"{POD}.volumes[0].hostPath.path",
        {},
    ),
    ("priority-class", [(APP, f"{POD}.priorityClassName", DELETE)], f"{POD}.priorityClassName", {}),
    *(
        (f"{name}-{kind}", [(APP, f"{C}.resources.{kind}.{name}", DELETE)], f"{C}.resources.{kind}.{name}", {})
        for name in ("cpu", "memory")
        for kind in ("requests", "limits")
    ),
    ("memory-limits", [(APP, f"{C}.resources.limits.memory", "lots")], f"{C}.resources.limits.memory", {}),
]

PASS = [
    ("image-registry", [], {"registries": ["registry.example.com/*", "docker.io/vllm/*"]}),
    ("image-tag", [(APP, f"{C}.image", "localhost:5000/app:v1")], {}),
    ("image-pull-policy", [(APP, f"{C}.image", "app"), (APP, f"{C}.imagePullPolicy", "Always")], {}),
    *(
        ("literal-secret", _env(name, value), {})
        for name, value in (
            ("MAX_TOKENS", "512"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("API_KEYS_FILE", "/etc/keys/keys"),
            ("SECRETARY", "Ann"),
            ("DB_PASSWORD", ""),
            ("DB_PASSWORD", "$(OTHER)"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/var/key.json"),
        )
    ),
    ("literal-secret", [(APP, f"{C}.args", ["--api-key=$(API_KEY)", "--max-tokens=5", "--token-file", "/x"])], {}),
    (_BASELINE, [(APP, f"{_SEC}.capabilities.add", ["NET_BIND_SERVICE"])], {}),
    (
        _BASELINE,
        [(APP, f"{POD}.hostUsers", False), (APP, f"{_SEC}.procMount", "Unmasked")],
        {"kubernetes_version": "1.35"},
    ),
    (
        _RESTRICTED,
        [
            (APP, f"{POD}.os", {"name": "windows"}),
            (APP, f"{_SEC}.capabilities", DELETE),
            (APP, f"{_SEC}.allowPrivilegeEscalation", DELETE),
            (APP, f"{POD}.securityContext.seccompProfile", DELETE),
        ],
        {},
    ),
    (_RESTRICTED, [(APP, f"{POD}.hostUsers", False), (APP, f"{_SEC}.runAsUser", 0)], {"kubernetes_version": "1.35"}),
    (_RESTRICTED, [(APP, f"{POD}.volumes", [{"name": "x"}])], {}),
    ("read-only-root", [(APP, f"{POD}.os", {"name": "windows"}), (APP, f"{_SEC}.readOnlyRootFilesystem", DELETE)], {}),
    ("runtime-socket", [(APP, f"{POD}.volumes", [{"name": "x", "hostPath": {"path": "/var/run/thing.sock"}}])], {}),
]

UNKNOWN_AT = [
    ("image-digest", APP, f"{POD}.volumes", {}),
    *((rule, APP, f"{C}.image", {}) for rule in ("image-digest", "image-tag", "image-pull-policy")),
    ("image-registry", APP, f"{C}.image", {"registries": ["x/*"]}),
    ("literal-secret", APP, f"{C}.env[1].value", {}),
    ("literal-secret-configmap", "ConfigMap/settings", "data.GREETING", {}),
    (_BASELINE, APP, f"{_SEC}.privileged", {}),
    (_RESTRICTED, APP, f"{_SEC}.allowPrivilegeEscalation", {}),
    ("read-only-root", APP, f"{_SEC}.readOnlyRootFilesystem", {}),
    ("liveness-probe", APP, f"{C}.livenessProbe", {}),
    ("readiness-probe", APP, f"{C}.readinessProbe", {}),
    ("probe-port", APP, f"{C}.readinessProbe.httpGet.port", {}),
    ("duplicate-environment", APP, f"{C}.env[0].name", {}),
    ("privileged-port", APP, f"{C}.ports[0].containerPort", {}),
    ("ssh-port", APP, f"{C}.ports[0].containerPort", {}),
    ("runtime-socket", APP, f"{POD}.volumes", {}),
    ("priority-class", APP, f"{POD}.priorityClassName", {}),
    *(
        (f"{name}-{kind}", APP, f"{C}.resources.{kind}.{name}", {})
        for name in ("cpu", "memory")
        for kind in ("requests", "limits")
    ),
]
