"""Buckets that hold weights: private, encrypted, versioned, over TLS only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ._model import Resource, Stack
from ._node import UNKNOWN
from ._rule import Check, Context, Rule, Violation
from .aws_access import statements

__all__ = ["RULES"]

_DOCS = "https://docs.aws.amazon.com/securityhub/latest/userguide/s3-controls.html"
_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_PUBLIC_BLOCK = ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",)
_ENCRYPTION = tuple(
    f"aws:s3/bucketServerSideEncryptionConfiguration{v}:BucketServerSideEncryptionConfiguration{v}" for v in ("", "V2")
)
_VERSIONING = tuple(f"aws:s3/bucketVersioning{v}:BucketVersioning{v}" for v in ("", "V2"))
_POLICY = ("aws:s3/bucketPolicy:BucketPolicy",)
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _buckets(stack: Stack) -> Iterator[Resource]:
    return (resource for resource in stack.resources if resource.type in _BUCKETS)


def _companions(bucket: Resource, stack: Stack, types: tuple[str, ...]) -> Iterator[Resource]:
    """Resources of these types that configure the bucket: by name, or by dependency while its name is not known."""
    name = bucket.root.get("bucket").raw
    for resource in stack.resources:
        if resource.type in types:
            named = resource.root.get("bucket").raw
            if bucket.urn in resource.dependencies or (named is not UNKNOWN and named and named == name):
                yield resource


def _private(bucket: Resource, context: Context) -> Iterable[Violation]:
    blocks = list(_companions(bucket, context.stack, _PUBLIC_BLOCK))
    missing = [field for field in _BLOCKS if not any(block.root.get(field).flag for block in blocks)]
    if missing:
        yield Violation(path="", message=f"public access is not blocked ({', '.join(missing)})")
    acl = bucket.root.get("acl")
    if (acl.text or "").startswith("public"):
        yield Violation(path=acl.path, message="the bucket's ACL is public")


def _encrypted(bucket: Resource, context: Context) -> Iterable[Violation]:
    inline = bucket.root.get("serverSideEncryptionConfiguration", "rule")
    rules = [inline] if inline.exists else []
    for found in _companions(bucket, context.stack, _ENCRYPTION):
        rules += list(found.root.get("rules").elements())
    kinds = [rule.get("applyServerSideEncryptionByDefault", "sseAlgorithm").text for rule in rules]
    if not any(kind in ("aws:kms", "aws:kms:dsse") for kind in kinds):
        yield Violation(path="", message="the bucket is not encrypted with a KMS key")


def _versioned(bucket: Resource, context: Context) -> Iterable[Violation]:
    if bucket.root.get("versioning", "enabled").flag:
        return
    found = _companions(bucket, context.stack, _VERSIONING)
    if not any(one.root.get("versioningConfiguration", "status").text == "Enabled" for one in found):
        yield Violation(path="", message="the bucket keeps no old versions")


def _tls_only(bucket: Resource, context: Context) -> Iterable[Violation]:
    for policy in _companions(bucket, context.stack, _POLICY):
        for statement in statements(policy.root.get("policy")):
            condition = (statement.get("Condition") or {}).get("Bool", {})
            if statement.get("Effect") == "Deny" and str(condition.get("aws:SecureTransport")).lower() == "false":
                return
    yield Violation(path="", message="no bucket policy denies requests without TLS")


def _rule(rule_id: str, title: str, why: str, fix: str, check: Check, *controls: str) -> Rule:
    return Rule(
        id=rule_id, title=title, why=why, fix=fix, checks=(check,), stack_cells=_buckets, sources=(_DOCS,),
        controls=tuple(f"aws-fsbp/{control}" for control in controls),
    )


RULES = (
    _rule(
        "bucket-private", "Buckets block public access.",
        "Weights and fine-tuning data of a company are what the model is worth.",
        "add a BucketPublicAccessBlock with all four settings", _private, "S3.1", "S3.8",
    ),
    _rule(
        "bucket-encryption", "Buckets are encrypted with a KMS key.",
        "Access can then be withdrawn and audited through the key.",
        "add a server-side encryption configuration with aws:kms", _encrypted, "S3.17",
    ),
    _rule(
        "bucket-versioning", "Buckets keep old versions.",
        "Weights that were replaced by mistake, or on purpose, can be restored and compared.",
        "add a BucketVersioning with status Enabled", _versioned, "S3.14",
    ),
    _rule(
        "bucket-tls", "Buckets refuse requests without TLS.",
        "Weights that cross the network in plain can be replaced on the way.",
        "add a bucket policy that denies aws:SecureTransport = false", _tls_only, "S3.5",
    ),
)
