"""Asking the API server whether it would admit the pods of what is about to be applied."""

from __future__ import annotations

from collections.abc import Iterable

from llmos.checks.admission import pods_of
from llmos.engines.applyset import raise_refusal
from llmos.kube import Kube, KubeObject, as_list

__all__ = ["admit_pods"]


def admit_pods(kube: Kube, objects: Iterable[KubeObject]) -> None:
    """Ask the server to admit one pod of every template: Pod Security only warns about a Deployment, and its pods
    would then be refused one by one without anything failing."""
    pods = [pod for number, item in enumerate(objects) for pod in pods_of(item, number)]
    if pods:
        done = kube.run("create", "--dry-run=server", "-f", "-", stdin=as_list(pods), check=False)
        # A quota that the running pods have used up is no fault of the template.
        if done.returncode != 0 and "exceeded quota" not in done.stderr:
            raise_refusal(done.stderr)
