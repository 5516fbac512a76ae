"""Looking at an EKS cluster: what runs there is asked of the cluster itself, also where Pulumi reaches it by itself."""

from __future__ import annotations

import dataclasses

from llmos.kube import Kube
from llmos.paths import cache_dir
from llmos.process import run
from llmos.session import Session

__all__ = ["with_eks"]


def with_eks(session: Session) -> Session:
    """The session of a stack of target aws with its cluster; any other one as it is.

    The kubeconfig is one in the cache, made by the AWS CLI: the user's own is neither read nor changed.

    Raises:
        EnvironmentFault: the AWS CLI is missing, its login has expired, or it does not know the cluster.
    """
    aws = session.stack.plan.aws
    if aws is None or session.kube is not None:
        return session
    file = cache_dir() / "eks" / f"{aws.cluster_name}.{aws.region}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    run(
        ["aws", "eks", "update-kubeconfig", "--name", aws.cluster_name, "--region", aws.region,
         "--kubeconfig", file, "--alias", aws.cluster_name],
        where=session.cluster, fix="install the AWS CLI, and log in (aws sso login) as a role that the cluster lets in",
    )  # fmt: skip
    return dataclasses.replace(session, kube=Kube(kubeconfig=file, context=aws.cluster_name))
