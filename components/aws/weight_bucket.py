"""WeightBucket: the stack's own copy of weights in S3, and who may read and fill it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import allow, deny_without_tls, document, key, key_statement, pod_role
from components._base import Component, Identity
from planner.plan import AwsPlan

__all__ = ["WeightBucket", "WeightBucketArgs"]

_OLD_VERSION_DAYS = 30
_LEFT_PARTS_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class WeightBucketArgs:
    """What a bucket is given.

    Attributes:
        identity: stack and namespace; outside dev the bucket is kept whatever happens to the stack.
        aws: account, region, name of the bucket, and the models whose weights it holds.
    """

    identity: Identity
    aws: AwsPlan


class WeightBucket(Component):
    """A private bucket, encrypted by a key of the account's own, with old versions, over TLS only. Model servers may
    read it and filling Jobs write it, both through EKS Pod Identity and nothing else.

    Outputs:
        name: the bucket's name, once it may be used.
    """

    name: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: WeightBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._args = args
        plan, durable = args.aws, args.identity.durable
        self._alias = f"llmagentos/{args.identity.stack}/weights"
        encryption, alias = key(
            self, name, plan=plan, alias=self._alias, durable=durable,
            description=f"Weights of stack {args.identity.stack}",
        )  # fmt: skip
        bucket = aws.s3.Bucket(
            name,
            bucket=plan.bucket,
            force_destroy=not durable,
            opts=self.child(protect=durable, retain_on_delete=durable),
        )
        fence = self._fence(name, bucket, encryption)
        self.ready = [alias, *fence, *self._roles(name)]
        self.name = bucket.bucket
        self.register_outputs({"name": self.name})

    def _fence(self, name: str, bucket: aws.s3.Bucket, encryption: aws.kms.Key) -> list[pulumi.Resource]:
        arn = f"arn:{self._args.aws.partition}:s3:::{self._args.aws.bucket}"
        by_key = {"sse_algorithm": "aws:kms", "kms_master_key_id": encryption.arn}
        return [
            aws.s3.BucketOwnershipControls(
                f"{name}-owner", bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"},
                opts=self.child(),
            ),
            aws.s3.BucketPublicAccessBlock(
                f"{name}-private", bucket=bucket.bucket, block_public_acls=True, block_public_policy=True,
                ignore_public_acls=True, restrict_public_buckets=True, opts=self.child(),
            ),
            aws.s3.BucketServerSideEncryptionConfiguration(
                f"{name}-encryption",
                bucket=bucket.bucket,
                # One data key for many objects: a model of 200 files would otherwise ask KMS for each part.
                rules=[{"apply_server_side_encryption_by_default": by_key, "bucket_key_enabled": True}],
                opts=self.child(),
            ),
            aws.s3.BucketVersioning(
                f"{name}-versions", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"},
                opts=self.child(),
            ),
            aws.s3.BucketPolicy(
                f"{name}-policy",
                bucket=bucket.bucket,
                policy=document(deny_without_tls("s3:*", [arn, f"{arn}/*"])),
                opts=self.child(),
            ),
            aws.s3.BucketLifecycleConfiguration(
                f"{name}-lifecycle",
                bucket=bucket.bucket,
                rules=[
                    {
                        "id": "tidy",
                        "status": "Enabled",
                        "filter": {"prefix": ""},
                        "noncurrent_version_expiration": {"noncurrent_days": _OLD_VERSION_DAYS},
                        "abort_incomplete_multipart_upload": {"days_after_initiation": _LEFT_PARTS_DAYS},
                    }
                ],
                opts=self.child(),
            ),
        ]

    def _roles(self, name: str) -> list[pulumi.Resource]:
        plan, identity = self._args.aws, self._args.identity
        arn = f"arn:{plan.partition}:s3:::{plan.bucket}"
        # Without this right, and also under a condition on the prefix, S3 says "forbidden" of what is not there.
        look = allow("Look", ["s3:ListBucket"], [arn])
        objects = [f"{arn}/models/*"]
        rights = {
            "read": ([weights.model for weights in plan.weights], [
                look, allow("Read", ["s3:GetObject"], objects), key_statement(plan, self._alias, ["kms:Decrypt"]),
            ]),
            "fill": ([f"{weights.model}-fill" for weights in plan.weights], [
                look, allow("Fill", ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], objects),
                key_statement(plan, self._alias, ["kms:Decrypt", "kms:GenerateDataKey"]),
            ]),
        }  # fmt: skip
        ready: list[pulumi.Resource] = []
        for purpose, (accounts, statements) in rights.items():
            _, made = pod_role(
                self, f"{name}-{purpose}", plan=plan, namespace=identity.namespace, service_accounts=accounts,
                role_name=f"llmagentos-{identity.stack}-{plan.region}-{purpose}", policy=document(*statements),
            )  # fmt: skip
            ready += made
        return ready
