"""What else a container should have: a read-only root, probes that can work, an unambiguous environment, quiet
ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from ._model import Container, Pod
from ._node import UNKNOWN
from ._rule import Check, Context, Rule, Violation, each_container, each_pod
from .images import DIGEST

__all__ = ["RULES"]

_PROBES_DOCS = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
_SERVING = frozenset(
    {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "DeploymentConfig"}
)
_SOCKETS = ("docker.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock", "podman.sock")


def _read_only_root(container: Container, context: Context) -> Iterable[Violation]:
    node = container.security.get("readOnlyRootFilesystem")
    if node.flag is not True and not container.pod.is_windows:
        yield Violation(path=node.path, message="the container can write to its own image's file system")


def _probe(name: str) -> Check:
    def check(container: Container, context: Context) -> Iterable[Violation]:
        if (
            container.role == "containers"
            and container.pod.owner.kind in _SERVING
            and not container.node.get(name).exists
        ):
            yield Violation(path=container.node.get(name).path, message=f"the container has no {name}")

    return check


def _probe_ports(container: Container, context: Context) -> Iterable[Violation]:
    ports = list(container.node.get("ports").elements())
    tcp = [port for port in ports if port.get("protocol").text in (None, "TCP")]
    names = {port.get("name").text for port in tcp}
    numbers = {port.get("containerPort").number for port in tcp}
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for kind in ("httpGet", "tcpSocket", "grpc"):
            node = container.node.get(probe, kind, "port")
            if node.number is not None:
                missing = bool(ports) and node.number not in numbers
            else:
                missing = node.exists and node.text not in names
            if missing:
                yield Violation(path=node.path, message=f"the {probe} asks a port that the container does not declare")


def _duplicates(container: Container, context: Context) -> Iterable[Violation]:
    names = Counter(variable.get("name").text for variable in container.node.get("env").elements())
    for name, count in names.items():
        if name and count > 1:
            yield Violation(path=container.node.get("env").path, message=f"the variable {name} is set {count} times")


def _pull_policy(container: Container, context: Context) -> Iterable[Violation]:
    policy = container.node.get("imagePullPolicy")
    if policy.text != "Always" and not DIGEST.search(container.node.get("image").text or ""):
        yield Violation(path=policy.path, message="an image without digest is not pulled again when a pod starts")


def _port(forbidden: Callable[[float], bool], message: str) -> Check:
    def check(container: Container, context: Context) -> Iterable[Violation]:
        for port in container.node.get("ports").elements():
            node = port.get("containerPort")
            if node.number is not None and forbidden(node.number):
                yield Violation(path=node.path, message=message)

    return check


def _runtime_socket(pod: Pod, context: Context) -> Iterable[Violation]:
    for volume in pod.spec.get("volumes").elements():
        if volume.raw is UNKNOWN:
            continue  # the baseline rule says that the volumes are unknown
        node = volume.get("hostPath", "path")
        if (node.text or "").rstrip("/").endswith(_SOCKETS):
            yield Violation(path=node.path, message="the container runtime's socket is mounted")


def _priority(pod: Pod, context: Context) -> Iterable[Violation]:
    node = pod.spec.get("priorityClassName")
    if not node.text:
        yield Violation(path=node.path, message="the pod names no priority class")


def _rule(
    rule_id: str, title: str, why: str, fix: str, check: Check, source: str, *, controls: tuple[str, ...] = (),
    level: str = "mandatory", pods: bool = False,
) -> Rule:
    cells = each_pod if pods else each_container
    return Rule(
        id=rule_id, title=title, why=why, fix=fix, checks=(check,), sources=(source,), controls=controls, cells=cells,
        level=level,  # type: ignore[arg-type]
    )


_NSA = "https://media.defense.gov/2022/Aug/29/2003066362/-1/-1/0/CTR_KUBERNETES_HARDENING_GUIDANCE_1.2_20220829.PDF"

RULES = (
    _rule(
        "read-only-root", "Containers cannot write to their root file system.",
        "An intruder who can write there can replace the program that runs, or leave tools behind.",
        "set readOnlyRootFilesystem: true and mount an emptyDir where the program must write", _read_only_root, _NSA,
        controls=("nsa/immutable-container-filesystems",),
    ),
    _rule(
        "liveness-probe", "Containers that serve have a liveness probe.",
        "A server that hangs, for example in a stuck GPU kernel, is otherwise never restarted.",
        "add a livenessProbe", _probe("livenessProbe"), _PROBES_DOCS,
    ),
    _rule(
        "readiness-probe", "Containers that serve have a readiness probe.",
        "Requests are otherwise sent to a server that still loads its model.",
        "add a readinessProbe", _probe("readinessProbe"), _PROBES_DOCS,
    ),
    _rule(
        "probe-port", "Probes ask a port that the container declares.",
        "A probe of a port that nobody serves restarts the container for ever.",
        "declare the port, or correct the probe", _probe_ports, _PROBES_DOCS,
    ),
    _rule(
        "duplicate-environment", "No environment variable is set twice.",
        "Only the last one counts, and a server-side apply may drop the other one next time.",
        "keep one of them", _duplicates,
        "https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/",
    ),
    _rule(
        "image-pull-policy", "An image without a digest is pulled whenever a pod starts.",
        "Replicas on nodes with an old copy otherwise run other software than the rest. For places where "
        "image-digest is off.",
        "pin the image by digest, or set imagePullPolicy: Always", _pull_policy,
        "https://kubernetes.io/docs/concepts/containers/images/#updating-images", level="disabled",
    ),
    _rule(
        "privileged-port", "Containers listen on ports from 1024.",
        "A lower port needs root or a capability that the restricted standard takes away.",
        "listen on a port from 1024; the Service may still offer 80",
        _port(lambda number: 0 < number < 1024, "the container listens on a port below 1024"),
        "https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports", level="advisory",
    ),
    _rule(
        "ssh-port", "No container serves SSH.",
        "A second way in, with its own accounts, bypasses the cluster's access control and audit.",
        "use kubectl exec or an ephemeral container",
        _port(lambda number: number == 22, "the container listens on the SSH port"), _NSA,
    ),
    _rule(
        "runtime-socket", "No pod mounts the container runtime's socket.",
        "Whoever can write to it starts privileged containers on the node.",
        "remove the volume; build images with BuildKit instead", _runtime_socket, _NSA,
        controls=("nsa/host-path",), pods=True,
    ),
    _rule(
        "priority-class", "Every pod names a priority class.",
        "Where GPUs are scarce, the scheduler should know which model may push another one out.",
        "set priorityClassName", _priority,
        "https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/", level="disabled", pods=True,
    ),
)
