"""Pod Security Standards, level restricted: what it demands beyond baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._assign import assign, keys_of
from ._model import Pod, Resource
from ._rule import Check, Context, Rule, Violation, each_pod
from .pod_security_baseline import VERSION, annotate, proc_mount, relaxed_for_user_namespace, security_contexts

__all__ = ["RULES"]

_VOLUMES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
)
_PROFILES = ("RuntimeDefault", "Localhost")


def _privilege_escalation(pod: Pod, context: Context) -> Iterable[Violation]:
    if pod.is_windows:
        return
    for container in pod.containers:
        node = container.security.get("allowPrivilegeEscalation")
        if node.flag is not False:
            yield Violation(
                path=node.path, message="the container may gain more privileges than its parent process",
                fix="set allowPrivilegeEscalation: false",
            )


def _capabilities(pod: Pod, context: Context) -> Iterable[Violation]:
    if pod.is_windows:
        return
    for container in pod.containers:
        capabilities = container.security.get("capabilities")
        drop = capabilities.get("drop")
        if "ALL" not in [node.text for node in drop.elements()]:
            yield Violation(path=drop.path, message="the container does not drop ALL capabilities", fix="drop: [ALL]")
        for node in capabilities.get("add").elements():
            if node.text != "NET_BIND_SERVICE":
                yield Violation(
                    path=node.path,
                    message="a capability other than NET_BIND_SERVICE is added",
                    fix="remove it from `add`",
                )


def _run_as_non_root(pod: Pod, context: Context) -> Iterable[Violation]:
    if relaxed_for_user_namespace(pod, context):
        return
    of_pod = pod.spec.get("securityContext", "runAsNonRoot")
    fix = "set runAsNonRoot: true for the pod, and nowhere false"
    if of_pod.flag is False:
        yield Violation(path=of_pod.path, message="the pod may run as root", fix=fix)
    for container in pod.containers:
        node = container.security.get("runAsNonRoot")
        if node.flag is False or (node.flag is None and not of_pod.flag):
            yield Violation(path=node.path, message="the container may run as root", fix=fix)


def _run_as_user(pod: Pod, context: Context) -> Iterable[Violation]:
    if relaxed_for_user_namespace(pod, context):
        return
    for security in security_contexts(pod):
        node = security.get("runAsUser")
        if node.number == 0:
            yield Violation(path=node.path, message="the user is root (0)", fix="name a user above 0, or none")


def _seccomp(pod: Pod, context: Context) -> Iterable[Violation]:
    if pod.is_windows:
        return
    of_pod = pod.spec.get("securityContext", "seccompProfile")
    fix = "set the pod's securityContext.seccompProfile.type to RuntimeDefault"
    if of_pod.exists and of_pod.get("type").text not in _PROFILES:
        yield Violation(path=of_pod.get("type").path, message="the pod's system calls are not filtered", fix=fix)
    for container in pod.containers:
        profile = container.security.get("seccompProfile")
        effective = profile if profile.exists else of_pod
        if effective.get("type").text not in _PROFILES:
            yield Violation(
                path=profile.get("type").path, message="the container's system calls are not filtered", fix=fix
            )


def _volumes(pod: Pod, context: Context) -> Iterable[Violation]:
    for volume in pod.spec.get("volumes").elements():
        sources = [kind for kind, source in volume.items() if kind != "name" and source.exists]
        if sources and not any(kind in _VOLUMES for kind in sources):  # the API server makes an empty one an emptyDir
            yield Violation(
                path=volume.path, message="the volume's type is not one that restricted pods may use",
                fix=f"use one of {', '.join(_VOLUMES)}",
            )


def _proc_mount(pod: Pod, context: Context) -> Iterable[Violation]:
    if context.config["kubernetes_version"] != "1.34":  # until then baseline alone has this control
        yield from proc_mount(pod, context)


def _harden(resource: Resource, properties: Any) -> Mapping[str, Any] | None:
    """Set what is merely missing and breaks nothing: no privilege escalation, the runtime's own seccomp filter.

    Values that somebody chose stay as they are, and are refused; dropping capabilities could break a program.
    """
    changed = False
    for pod in each_pod(resource):
        if pod.is_windows:
            continue
        profile = pod.spec.get("securityContext", "seccompProfile")
        if not profile.exists:
            assign(properties, (*keys_of(profile.path), "type"), "RuntimeDefault")
            changed = True
        for container in pod.containers:
            node = container.security.get("allowPrivilegeEscalation")
            if not node.exists:
                assign(properties, keys_of(node.path), False)
                changed = True
    return properties if changed else None


_CONTROLS: dict[str, Check] = {
    "allowPrivilegeEscalation": _privilege_escalation,
    "capabilities_restricted": _capabilities,
    "procMount_restricted": _proc_mount,
    "restrictedVolumes": _volumes,
    "runAsNonRoot": _run_as_non_root,
    "runAsUser": _run_as_user,
    "seccompProfile_restricted": _seccomp,
}

RULES = (
    Rule(
        id="pod-security-restricted",
        title="Pods meet the Pod Security Standard `restricted`.",
        why="Code that takes over a model server, for example through a poisoned model file, then starts without root, "
        "without capabilities and with filtered system calls.",
        fix="set the securityContext fields that the standard names",
        sources=(
            "https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
            "https://github.com/kubernetes/pod-security-admission/tree/master/policy",
        ),
        controls=tuple(f"pss/restricted/{control}" for control in _CONTROLS),
        cells=each_pod,
        checks=tuple(annotate("restricted", control, check) for control, check in _CONTROLS.items()),
        options={"kubernetes_version": VERSION},
        remediate=_harden,
    ),
)
