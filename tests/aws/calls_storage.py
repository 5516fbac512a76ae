"""Buckets, queues and topics as API calls."""

from __future__ import annotations

from collections.abc import Iterator

from tests.aws.calls_support import Inputs, Makers, Row, one, up

__all__ = ["CALLS"]


def _queue(i: Inputs) -> Iterator[Row]:
    attributes = {
        "MessageRetentionPeriod": str(i["messageRetentionSeconds"]),
        "SqsManagedSseEnabled": str(i["sqsManagedSseEnabled"]).lower(),
    }
    yield "sqs", "CreateQueue", {"QueueName": i["name"], "Attributes": attributes}


def _queue_policy(i: Inputs) -> Iterator[Row]:
    yield "sqs", "SetQueueAttributes", {"QueueUrl": i["queueUrl"], "Attributes": {"Policy": i["policy"]}}


def _bucket(i: Inputs) -> Iterator[Row]:
    yield "s3", "CreateBucket", {"Bucket": i["bucket"]}


def _encryption(i: Inputs) -> Iterator[Row]:
    rules = []
    for rule in i["rules"]:
        by = rule["applyServerSideEncryptionByDefault"]
        default = {"SSEAlgorithm": by["sseAlgorithm"], "KMSMasterKeyID": by["kmsMasterKeyId"]}
        rules.append({"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": rule["bucketKeyEnabled"]})
    yield "s3", "PutBucketEncryption", {
        "Bucket": i["bucket"], "ServerSideEncryptionConfiguration": {"Rules": rules},
    }  # fmt: skip


def _private(i: Inputs) -> Iterator[Row]:
    block = {
        "BlockPublicAcls": i["blockPublicAcls"], "BlockPublicPolicy": i["blockPublicPolicy"],
        "IgnorePublicAcls": i["ignorePublicAcls"], "RestrictPublicBuckets": i["restrictPublicBuckets"],
    }  # fmt: skip
    yield "s3", "PutPublicAccessBlock", {"Bucket": i["bucket"], "PublicAccessBlockConfiguration": block}


def _versions(i: Inputs) -> Iterator[Row]:
    status = i["versioningConfiguration"]["status"]
    yield "s3", "PutBucketVersioning", {"Bucket": i["bucket"], "VersioningConfiguration": {"Status": status}}


def _owner(i: Inputs) -> Iterator[Row]:
    rules = [{"ObjectOwnership": i["rule"]["objectOwnership"]}]
    yield "s3", "PutBucketOwnershipControls", {"Bucket": i["bucket"], "OwnershipControls": {"Rules": rules}}


def _bucket_lifecycle(i: Inputs) -> Iterator[Row]:
    rules = [
        {
            "ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": rule["filter"]["prefix"]},
            "NoncurrentVersionExpiration": up(rule["noncurrentVersionExpiration"]),
            "AbortIncompleteMultipartUpload": up(rule["abortIncompleteMultipartUpload"]),
        }
        for rule in i["rules"]
    ]  # fmt: skip
    yield "s3", "PutBucketLifecycleConfiguration", {"Bucket": i["bucket"], "LifecycleConfiguration": {"Rules": rules}}


def _topic(i: Inputs) -> Iterator[Row]:
    yield "sns", "CreateTopic", {"Name": i["name"], "Attributes": {"KmsMasterKeyId": i["kmsMasterKeyId"]}}


def _topic_policy(i: Inputs) -> Iterator[Row]:
    yield "sns", "SetTopicAttributes", {
        "TopicArn": i["arn"], "AttributeName": "Policy", "AttributeValue": i["policy"],
    }  # fmt: skip


CALLS: Makers = {
    "s3/bucket:Bucket": _bucket,
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_lifecycle,
    "s3/bucketOwnershipControls:BucketOwnershipControls": _owner,
    "s3/bucketPolicy:BucketPolicy": one("s3", "PutBucketPolicy", Bucket="bucket", Policy="policy"),
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _private,
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _encryption,
    "s3/bucketVersioning:BucketVersioning": _versions,
    "sns/topic:Topic": _topic,
    "sns/topicPolicy:TopicPolicy": _topic_policy,
    "sns/topicSubscription:TopicSubscription": one(
        "sns", "Subscribe", TopicArn="topic", Protocol="protocol", Endpoint="endpoint"
    ),
    "sqs/queue:Queue": _queue,
    "sqs/queuePolicy:QueuePolicy": _queue_policy,
}
