"""What most commands begin with: the stack, the cluster it goes to, and the engine that does the work."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from llmos.cluster.info import NOT_ENFORCED
from llmos.cluster.reach import reach
from llmos.console import note
from llmos.engines import Choice, choose
from llmos.engines.base import ENGINE_LABEL, EngineRun
from llmos.kube import Kube
from llmos.paths import PROJECT_ROOT
from llmos.stacks import Stack, load_stack
from planner.faults import EnvironmentFault, Fault, UserFault
from planner.machine import local_cluster

__all__ = [
    "Session",
    "add_permission_arguments",
    "add_stack_arguments",
    "cluster_name",
    "confirm",
    "open_session",
    "require_pulumi",
    "with_image_env",
]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One command on one stack.

    Attributes:
        stack: file, settings and plan.
        engine: who does the work, and why.
        run: the same for the engine.
        kube: the cluster; None when it is not there (offline, or the embedded cluster is not running).
        cluster: what to call the cluster.
        simulated: whether pods only pretend to run.
        install: whether missing programs may be installed.
        policies: whether network policies are enforced, in words; of the embedded cluster.
    """

    stack: Stack
    engine: Choice
    run: EngineRun
    kube: Kube | None
    cluster: str
    simulated: bool
    install: bool
    policies: str = NOT_ENFORCED

    @property
    def network_policies(self) -> str:
        """Whether anything enforces network policies there, in words."""
        if self.stack.plan.target != "local":
            return "as the cluster's network plugin enforces them"
        return self.policies


def add_stack_arguments(parser: argparse.ArgumentParser, *, engine: bool = True) -> None:
    """The options of every command that works on a stack."""
    parser.add_argument("--stack", default="dev", metavar="NAME", help="stack name; its file is Pulumi.NAME.yaml")
    parser.add_argument("--file", type=Path, metavar="PATH", help="stack file elsewhere, called Pulumi.NAME.yaml")
    if engine:
        parser.add_argument(
            "--engine", choices=("auto", "pulumi", "kubectl"), default="auto",
            help="auto: pulumi where its CLI can be had, else kubectl",
        )


def add_permission_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the commands that change or preview a stack which let it do what is refused otherwise."""
    parser.add_argument(
        "--adopt", action="append", default=[], metavar="KIND/NAME",
        help="take over this object, which exists already; * and ? are wildcards; may be repeated",
    )
    parser.add_argument(
        "--allow-replace", action="append", default=[], metavar="KIND/NAME", type=_replaceable,
        help="let this Deployment, PersistentVolumeClaim, Namespace or Repository be deleted and created again, or "
        "removed where it is protected; may be repeated",
    )  # fmt: skip


def _replaceable(name: str) -> str:
    from llmos.engines.replaces import GUARDED

    kind, _, rest = name.partition("/")
    if kind not in GUARDED or not rest:
        raise argparse.ArgumentTypeError(f"`{name}` is not KIND/NAME with a kind of {', '.join(GUARDED)}")
    return name


def _allowed(args: argparse.Namespace) -> list[str]:
    return sorted(set(getattr(args, "allow_replace", ())))


def open_session(
    args: argparse.Namespace, *, start: bool, offline: bool = False, stack: Stack | None = None
) -> Session:
    """Load the stack and find its cluster.

    Args:
        args: the parsed command line.
        start: start the embedded cluster when target is local and it does not run.
        offline: reach no cluster at all.
        stack: the stack, when the caller has loaded it already.

    Raises:
        UserFault: the stack file is at fault.
        EnvironmentFault: the cluster does not answer, or cannot be started.
    """
    stack = stack or load_stack(args.stack, file=args.file)
    install = not args.no_install
    kube, cluster, simulated = None, cluster_name(stack), stack.plan.target == "local"
    policies = NOT_ENFORCED
    if simulated and not offline:
        if info := reach(start=start, install=install):
            kube = Kube(kubectl=info.kubectl, kubeconfig=info.kubeconfig, context=info.context)
            simulated, policies = info.simulated, info.network_policies
    elif not offline and stack.plan.aws is None:
        kube = _context(stack)
    owner = _owner(kube, stack)
    engine = choose(args.engine, owner=owner, install=install and start, obstacle=lambda: _build_obstacle(stack))
    note(f"engine: {engine.name} ({engine.why}); cluster: {cluster}{' (simulated nodes)' if simulated else ''}")
    run = EngineRun(
        stack=stack.name,
        stack_file=stack.file,
        environment=stack.plan.environment,
        namespace=stack.plan.namespace.name,
        kubeconfig=kube.kubeconfig if kube else None,
        context=kube.context if kube else None,
        kubectl=Path(kube.kubectl) if kube else None,
        offline=offline,
        allow_replace=(*stack.plan.allow_replace, *_allowed(args)),
        adopt=(*stack.plan.adopt, *getattr(args, "adopt", ())),
        force_conflicts=getattr(args, "force_conflicts", False),
        # The program lifts the engine's own protection of what this run may replace.
        env={"LLMOS_ALLOW_REPLACE": " ".join(_allowed(args))} if _allowed(args) else {},
        command=f"{args.command} --stack {stack.name}",
    )
    return Session(
        stack=stack, engine=engine, run=run, kube=kube, cluster=cluster, simulated=simulated, install=install,
        policies=policies,
    )  # fmt: skip


def _build_obstacle(stack: Stack) -> str:
    """Why the pulumi engine could not build this stack's images: its provider speaks to an engine's own BuildKit by
    Docker's buildx plugin only."""
    from llmos.images.engine import find_engine

    if stack.plan.builds.builder != "engine" or not any(image.build for image in stack.plan.images):
        return ""
    found = find_engine()
    return "" if found and found.buildx else "it builds images with Docker's buildx plugin, which is missing"


def with_image_env(session: Session, *, make: bool) -> EngineRun:
    """The run as the pulumi engine needs it, which builds images itself: see ``pulumi_images.image_env``."""
    from llmos.engines.pulumi_images import image_env
    from llmos.images.options import options_of

    built = [image for image in session.stack.plan.images if image.build]
    env = image_env(
        [PROJECT_ROOT / image.build for image in built],
        options=options_of({}, session.stack.plan.builds, project=PROJECT_ROOT, stated=True),
        platforms=built[0].platforms if built else (), make=make, install=session.install,
    )  # fmt: skip
    return dataclasses.replace(session.run, env={**session.run.env, **env})


def confirm(args: argparse.Namespace, stack: Stack, *, question: str) -> None:
    """Have a person agree before a cluster that others may use is changed; the embedded one needs no question.

    Raises:
        UserFault: nobody can be asked, or the answer is no.
    """
    if args.yes or stack.plan.target == "local":
        return
    where = cluster_name(stack)
    if not sys.stdin.isatty():
        raise UserFault(
            Fault(what="this changes a cluster, and without a terminal nobody can be asked", where=where, fix="--yes")
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserFault(Fault(what="not confirmed; nothing was changed", where=where, fix="answer y, or add --yes"))


def cluster_name(stack: Stack) -> str:
    """What to call the cluster that a stack goes to."""
    if stack.plan.aws:
        return f"EKS {stack.plan.aws.cluster_name} in {stack.plan.aws.region}"
    return f"embedded `{local_cluster()}`" if stack.plan.target == "local" else f"context {stack.plan.context}"


def require_pulumi(session: Session, command: str) -> None:
    """Refuse to change AWS by the kubectl engine: it knows Kubernetes objects only.

    Raises:
        EnvironmentFault: the stack's target is aws, and the Pulumi CLI is not to be had or not wanted.
    """
    if session.stack.plan.aws and session.engine.name != "pulumi":
        raise EnvironmentFault(
            Fault(
                what=f"`{command}` of target aws needs the pulumi engine, and this is kubectl ({session.engine.why})",
                where=session.stack.file.name, nearest="without it: preview, which asks nobody",
                fix="install the Pulumi CLI (https://www.pulumi.com/docs/install/) and leave --engine out",
            )
        )


def _one_kubeconfig(variable: str) -> Path | None:
    """The file that KUBECONFIG names; None where it names several, which only kubectl itself can merge."""
    files = [part for part in variable.split(os.pathsep) if part]
    return Path(files[0]) if len(files) == 1 else None


def _context(stack: Stack) -> Kube:
    kube = Kube(kubeconfig=_one_kubeconfig(os.environ.get("KUBECONFIG", "")), context=stack.plan.context)
    try:
        kube.version()
    except EnvironmentFault as error:
        fault = error.faults[0]
        raise EnvironmentFault(
            Fault(
                what=fault.what, where=f"{stack.file.name}: context {stack.plan.context}",
                nearest="without a cluster: python3 -m llmos preview --offline", fix=fault.fix,
            )
        ) from error
    return kube


def _owner(kube: Kube | None, stack: Stack) -> str:
    namespaces = kube.get("namespace", stack.plan.namespace.name) if kube else []
    return namespaces[0]["metadata"].get("labels", {}).get(ENGINE_LABEL, "") if namespaces else ""
