"""EcrRegistry: one ECR repository for each image that the stack builds."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import allow, document, key
from components._base import Component, Identity
from planner.plan import AwsPlan

__all__ = ["EcrRegistry", "EcrRegistryArgs", "lifecycle"]

_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@dataclass(frozen=True, kw_only=True)
class EcrRegistryArgs:
    """What the registry is given.

    Attributes:
        identity: the stack; outside dev images are kept whatever happens to it.
        aws: account, region, repositories and who may pull.
    """

    identity: Identity
    aws: AwsPlan


class EcrRegistry(Component):
    """Repositories with tags that cannot be moved, scanned on push, encrypted by a key of the account's own.

    Outputs:
        server: host and path.
        pull_secret: empty; nodes pull by their role.
    """

    server: pulumi.Output[str]
    pull_secret: str

    def __init__(self, name: str, args: EcrRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        plan, durable = args.aws, args.identity.durable
        self._prefix = f"{plan.registry_server}/{plan.registry_name}"
        encryption, _ = key(
            self, name, plan=plan, alias=f"{plan.registry_name}/images", durable=durable,
            description=f"Images of {plan.registry_name}",
        )  # fmt: skip
        for image in plan.repositories:
            repository = aws.ecr.Repository(
                image,
                name=f"{plan.registry_name}/{image}",
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration={"scan_on_push": True},
                encryption_configurations=[{"encryption_type": "KMS", "kms_key": encryption.arn}],
                force_delete=not durable,
                opts=self.child(protect=args.identity.guarded("Repository", image), retain_on_delete=durable),
            )
            aws.ecr.LifecyclePolicy(
                image, repository=repository.name, policy=lifecycle(plan.untagged_days), opts=self.child()
            )
            aws.ecr.RepositoryPolicy(image, repository=repository.name, policy=_pullers(plan), opts=self.child())
        self.server, self.pull_secret = pulumi.Output.from_input(self._prefix), ""
        self.register_outputs({"server": self.server})

    def repository(self, image: str) -> str:
        """Name of the repository of an image, e.g. ``<server>/llmagentos/dev/assistant``."""
        return f"{self._prefix}/{image}"


def lifecycle(untagged_days: int) -> str:
    """Images without a tag go; no other rule exists.

    That is what keeps the digests which locks name: each was pushed with a tag, a tag of these repositories cannot be
    moved, so the image keeps it until somebody deletes it by hand. A count limit on tagged images, as is usual, would
    count builds and not know what is deployed. The parts of a multi-platform image have no tags of their own, and ECR
    keeps them as long as the index that names them.
    """
    rule = {
        "rulePriority": 1,
        "description": f"Untagged images, {untagged_days} days after they were pushed",
        "selection": {
            "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": untagged_days,
        },
        "action": {"type": "expire"},
    }  # fmt: skip
    return json.dumps({"rules": [rule]}, sort_keys=True)


def _pullers(plan: AwsPlan) -> str:
    """The cluster's nodes, and accounts that the stack file names, may pull; pushing is left to IAM policies.

    Roles are named in a condition: as a principal, one that is made later is refused, and one that was made again is
    another one.
    """
    roles = {plan.gpu_nodes.role} if plan.gpu_nodes else set()
    roles.add(plan.node_role)
    nodes = {"ArnEquals": {"aws:PrincipalArn": [plan.arn("iam", f"role/{role}", region="") for role in sorted(roles)]}}
    statements = [allow("Pull", _PULL, [], nodes, Principal={"AWS": [plan.arn("iam", "root", region="")]})]
    others = [plan.arn("iam", "root", region="", account=account) for account in plan.pullers]
    if others:
        statements.append(allow("PullOfOthers", _PULL, [], Principal={"AWS": others}))
    for statement in statements:
        # The repository that a policy is attached to is its resource; ECR refuses to have it named.
        del statement["Resource"]
    return document(*statements)
