"""What is stored about buckets, queues and topics."""

from __future__ import annotations

import json
from typing import Any

from tests.aws.readback_support import Found, Inputs, Readers

__all__ = ["READERS"]


def _queue(account: Any, i: Inputs) -> Found:
    client = account.client("sqs")
    url = client.get_queue_url(QueueName=i["name"])["QueueUrl"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    yield "retention", str(i["messageRetentionSeconds"]), found["MessageRetentionPeriod"]
    yield "encryption", "true", found["SqsManagedSseEnabled"]


def _queue_policy(account: Any, i: Inputs) -> Found:
    found = account.client("sqs").get_queue_attributes(QueueUrl=i["queueUrl"], AttributeNames=["Policy"])
    yield "document", json.loads(i["policy"]), json.loads(found["Attributes"]["Policy"])


def _bucket_policy(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_bucket_policy(Bucket=i["bucket"])
    yield "document", json.loads(i["policy"]), json.loads(found["Policy"])


def _bucket_encryption(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_bucket_encryption(Bucket=i["bucket"])["ServerSideEncryptionConfiguration"]
    by = found["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    yield "key", i["rules"][0]["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"], by["KMSMasterKeyID"]
    yield "kind", "aws:kms", by["SSEAlgorithm"]


def _bucket_private(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_public_access_block(Bucket=i["bucket"])["PublicAccessBlockConfiguration"]
    yield "blocked", [True] * 4, sorted(found.values())


def _bucket_versions(account: Any, i: Inputs) -> Found:
    yield "versions", "Enabled", account.client("s3").get_bucket_versioning(Bucket=i["bucket"])["Status"]


def _bucket_owner(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_bucket_ownership_controls(Bucket=i["bucket"])["OwnershipControls"]
    yield "owner", i["rule"]["objectOwnership"], found["Rules"][0]["ObjectOwnership"]


def _bucket_lifecycle(account: Any, i: Inputs) -> Found:
    (found,) = account.client("s3").get_bucket_lifecycle_configuration(Bucket=i["bucket"])["Rules"]
    (rule,) = i["rules"]
    yield "old versions", rule["noncurrentVersionExpiration"]["noncurrentDays"], (
        found["NoncurrentVersionExpiration"]["NoncurrentDays"]
    )
    yield "parts", rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"], (
        found["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    )


def _topic(account: Any, i: Inputs) -> Found:
    client = account.client("sns")
    (arn,) = [one["TopicArn"] for one in client.list_topics()["Topics"] if one["TopicArn"].endswith(f":{i['name']}")]
    found = client.get_topic_attributes(TopicArn=arn)["Attributes"]
    yield "key", i["kmsMasterKeyId"], found["KmsMasterKeyId"]


def _topic_policy(account: Any, i: Inputs) -> Found:
    found = account.client("sns").get_topic_attributes(TopicArn=i["arn"])["Attributes"]
    yield "document", json.loads(i["policy"]), json.loads(found["Policy"])


def _subscription(account: Any, i: Inputs) -> Found:
    found = account.client("sns").list_subscriptions_by_topic(TopicArn=i["topic"])["Subscriptions"]
    yield "address", True, (i["protocol"], i["endpoint"]) in [(one["Protocol"], one["Endpoint"]) for one in found]


READERS: Readers = {
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_lifecycle,
    "s3/bucketOwnershipControls:BucketOwnershipControls": _bucket_owner,
    "s3/bucketPolicy:BucketPolicy": _bucket_policy,
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket_private,
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket_encryption,
    "s3/bucketVersioning:BucketVersioning": _bucket_versions,
    "sns/topic:Topic": _topic,
    "sns/topicPolicy:TopicPolicy": _topic_policy,
    "sns/topicSubscription:TopicSubscription": _subscription,
    "sqs/queue:Queue": _queue,
    "sqs/queuePolicy:QueuePolicy": _queue_policy,
}
