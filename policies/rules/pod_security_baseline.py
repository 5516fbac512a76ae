"""Pod Security Standards, level baseline, control by control as the API server's own admission plugin checks them.

Control names are the plugin's check ids (k8s.io/pod-security-admission/policy, releases 1.34 to 1.36).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ._model import Pod
from ._node import Node
from ._rule import Check, Context, Option, Rule, Violation, each_pod

__all__ = ["RULES", "VERSION", "annotate", "relaxed_for_user_namespace", "security_contexts"]

CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")

VERSION = Option(
    schema={"type": "string", "enum": ["1.34", "1.35", "1.36"]},
    default="1.34",
    about="the Kubernetes release whose standard applies; from 1.35 pods in a user namespace (hostUsers: false) may "
    "run "
    "as root inside it",
)


def annotate(level: str, control: str, check: Check) -> Check:
    """Give a check its control's name, for findings and for the list of controls."""

    def named(pod: Pod, context: Context) -> Iterator[Violation]:
        for violation in check(pod, context):
            yield Violation(
                path=violation.path, message=violation.message, fix=violation.fix, control=f"pss/{level}/{control}"
            )

    named.__name__ = control
    return named


def security_contexts(pod: Pod) -> Iterator[Node]:
    """The pod's security context and those of all its containers."""
    yield pod.spec.get("securityContext")
    for container in pod.containers:
        yield container.security


def relaxed_for_user_namespace(pod: Pod, context: Context) -> bool:
    """Whether root inside the pod is not root outside (a relaxation of release 1.35)."""
    return context.config["kubernetes_version"] != "1.34" and pod.spec.get("hostUsers").flag is False


def _forbid(node: Node, allowed: Callable[[Node], bool], message: str) -> Iterator[Violation]:
    if node.exists and not allowed(node):
        yield Violation(path=node.path, message=message)


def _host_namespaces(pod: Pod, context: Context) -> Iterable[Violation]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        node = pod.spec.get(field)
        if node.flag:
            yield Violation(
                path=node.path, message=f"the pod shares the node's namespace ({field})", fix=f"remove {field}"
            )


def _privileged(pod: Pod, context: Context) -> Iterable[Violation]:
    for container in pod.containers:
        node = container.security.get("privileged")
        if node.flag:
            yield Violation(path=node.path, message="the container is privileged", fix="remove privileged")


def _capabilities(pod: Pod, context: Context) -> Iterable[Violation]:
    for container in pod.containers:
        for node in container.security.get("capabilities", "add").elements():
            yield from _forbid(
                node, lambda node: node.text in CAPABILITIES, "a capability beyond the container runtime's default "
                "is added"
            )


def _host_path(pod: Pod, context: Context) -> Iterable[Violation]:
    for volume in pod.spec.get("volumes").elements():
        yield from _forbid(volume.get("hostPath"), lambda node: False, "the volume mounts a path of the node")


def _host_ports(pod: Pod, context: Context) -> Iterable[Violation]:
    for container in pod.containers:
        for port in container.node.get("ports").elements():
            yield from _forbid(
                port.get("hostPort"), lambda node: node.number == 0, "the port is opened on the node itself"
            )


def _host_of_probes(pod: Pod, context: Context) -> Iterable[Violation]:
    for container in pod.containers:
        handlers = [container.node.get(probe) for probe in _PROBES]
        handlers += [container.node.get("lifecycle", hook) for hook in ("postStart", "preStop")]
        for handler in handlers:
            for kind in ("httpGet", "tcpSocket"):
                yield from _forbid(
                    handler.get(kind, "host"), lambda node: node.text == "",
                    "the kubelet is sent to another host than the pod (server-side request forgery)",
                )


def _app_armor(pod: Pod, context: Context) -> Iterable[Violation]:
    for security in security_contexts(pod):
        profile = security.get("appArmorProfile")
        if profile.exists and profile.get("type").text not in ("RuntimeDefault", "Localhost"):
            yield Violation(
                path=profile.get("type").path, message="the AppArmor profile is neither RuntimeDefault nor Localhost"
            )
    for key, value in pod.template.get("metadata", "annotations").items():
        if key.startswith(_APPARMOR):
            text = value.text or ""
            if text and text != "runtime/default" and not text.startswith("localhost/"):
                yield Violation(path=value.path, message="the AppArmor annotation is neither runtime/default nor "
                "localhost")


def _selinux(pod: Pod, context: Context) -> Iterable[Violation]:
    for security in security_contexts(pod):
        options = security.get("seLinuxOptions")
        yield from _forbid(
            options.get("type"), lambda node: node.text in _SELINUX_TYPES, "the SELinux type is not a container type"
        )
        for field in ("user", "role"):
            yield from _forbid(options.get(field), lambda node: node.text == "", f"the SELinux {field} is set")


def _proc_mount(pod: Pod, context: Context) -> Iterable[Violation]:
    if relaxed_for_user_namespace(pod, context):
        return
    yield from proc_mount(pod, context)


def proc_mount(pod: Pod, context: Context) -> Iterable[Violation]:
    """Unmasked /proc in any container."""
    for container in pod.containers:
        yield from _forbid(
            container.security.get("procMount"),
            lambda node: node.text == "Default",
            "the container's /proc is unmasked",
        )


def _seccomp(pod: Pod, context: Context) -> Iterable[Violation]:
    for security in security_contexts(pod):
        profile = security.get("seccompProfile")
        if profile.exists and profile.get("type").text not in ("RuntimeDefault", "Localhost"):
            yield Violation(
                path=profile.get("type").path, message="the seccomp profile is neither RuntimeDefault nor Localhost"
            )


def _sysctls(pod: Pod, context: Context) -> Iterable[Violation]:
    for sysctl in pod.spec.get("securityContext", "sysctls").elements():
        yield from _forbid(
            sysctl.get("name"), lambda node: node.text in _SYSCTLS, "a sysctl outside the safe set is changed"
        )


def _host_process(pod: Pod, context: Context) -> Iterable[Violation]:
    for security in security_contexts(pod):
        node = security.get("windowsOptions", "hostProcess")
        if node.flag:
            yield Violation(path=node.path, message="the Windows pod runs as a process of the node")


_CONTROLS: dict[str, Check] = {
    "appArmorProfile": _app_armor,
    "capabilities_baseline": _capabilities,
    "hostNamespaces": _host_namespaces,
    "hostPathVolumes": _host_path,
    "hostPorts": _host_ports,
    "hostProbesAndHostLifecycle": _host_of_probes,
    "privileged": _privileged,
    "procMount": _proc_mount,
    "seLinuxOptions": _selinux,
    "seccompProfile_baseline": _seccomp,
    "sysctls": _sysctls,
    "windowsHostProcess": _host_process,
}

RULES = (
    Rule(
        id="pod-security-baseline",
        title="Pods meet the Pod Security Standard `baseline`.",
        why="Each of its controls closes a known way from a container to the node and from there to every other pod.",
        fix="remove the field, or set one of the allowed values the standard names",
        sources=(
            "https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
            "https://github.com/kubernetes/pod-security-admission/tree/master/policy",
        ),
        controls=tuple(f"pss/baseline/{control}" for control in _CONTROLS),
        cells=each_pod,
        checks=tuple(annotate("baseline", control, check) for control, check in _CONTROLS.items()),
        options={"kubernetes_version": VERSION},
    ),
)
