"""Base images by way of the copies that the cluster's ECR keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmos.deployer import deployer_policy
from planner.base_images import cached_bases, default_base
from planner.machine import told
from planner.plan import through_cache
from tests.aws.stacks import ROOT, faults, of_kind, plan, program, raw, variant

SERVER = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DIGEST = "sha256:" + "a" * 64
HOSTS = st.sampled_from(["ghcr.io", "localhost:5000", "nvcr.io", "example.com"])
PATHS = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}(:[a-z0-9]{1,8})?", fullmatch=True)


def cached(*registries: str, **more: Any) -> dict[str, Any]:
    changes = {"aws": {"cluster": {"name": "llmagentos", "caches": list(registries)}}}
    return variant(variant(raw("aws-dev"), changes), more)


@pytest.mark.parametrize(("reference", "expected"), [
    ("python:3.11", "llmagentos-docker-hub/library/python:3.11"),
    (f"python:3.11@{DIGEST}", f"llmagentos-docker-hub/library/python:3.11@{DIGEST}"),
    ("docker.io/python", "llmagentos-docker-hub/library/python"),
    ("docker.io/vllm/vllm-openai:v1", "llmagentos-docker-hub/vllm/vllm-openai:v1"),
    ("bitnami/python:3", "llmagentos-docker-hub/bitnami/python:3"),
    ("public.ecr.aws/docker/library/python:3", "llmagentos-ecr-public/docker/library/python:3"),
    ("quay.io/centos/centos:9", "llmagentos-quay/centos/centos:9"),
    ("registry.k8s.io/pause:3.10", "llmagentos-kubernetes/pause:3.10"),
])  # fmt: skip
def test_a_reference_leads_to_its_copy(reference: str, expected: str) -> None:
    aws = plan(cached("docker-hub", "ecr-public", "kubernetes", "quay")).aws
    assert aws and through_cache(aws, reference) == f"{SERVER}/{expected}"


@given(host=HOSTS, path=PATHS)
def test_what_the_cache_does_not_keep_is_left_as_it_is(host: str, path: str) -> None:
    aws = plan(cached("quay")).aws
    assert aws and through_cache(aws, f"{host}/{path}") == f"{host}/{path}"
    assert through_cache(aws, path) == path, "Docker Hub is not kept"


def test_the_prefixes_are_those_that_the_cluster_stack_makes(cluster: dict[str, Any]) -> None:
    made = plan(cluster, "cluster").cluster
    asked = plan(cached("ecr-public", "kubernetes", "quay")).aws
    assert made and asked
    assert {cache.upstream: cache.prefix for cache in made.caches} == asked.cache_prefixes


def test_a_build_takes_the_dockerfiles_base_image_from_the_cache() -> None:
    base = default_base(ROOT / "app" / "Dockerfile")
    (image,) = of_kind(program(cached("docker-hub"), "aws-dev"), "Image").values()
    assert base and image.inputs["buildArgs"]["BASE_IMAGE"] == f"{SERVER}/llmagentos-docker-hub/library/{base}"
    (image,) = of_kind(program(cached("quay"), "aws-dev"), "Image").values()
    assert "BASE_IMAGE" not in image.inputs.get("buildArgs", {})


def test_a_base_image_of_the_stack_file_is_taken_from_there_too() -> None:
    stated = {"applications": {"assistant": {"image": {"base_image": f"quay.io/acme/python@{DIGEST}"}}}}
    (image,) = of_kind(program(cached("quay", **stated), "aws-dev"), "Image").values()
    assert image.inputs["buildArgs"]["BASE_IMAGE"] == f"{SERVER}/llmagentos-quay/acme/python@{DIGEST}"


def test_another_base_image_is_another_tag() -> None:
    """Tags cannot be moved, and the push of another image under the same one would be refused."""
    tags = {told(plan(found), project=ROOT)["content_tags"]["./app"] for found in (
        raw("aws-dev"), cached("docker-hub"),
        cached("docker-hub", applications={"assistant": {"image": {"base_image": f"python@{DIGEST}"}}}),
    )}  # fmt: skip
    assert len(tags) == 3


def test_a_dockerfile_without_the_argument_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM python:3\n")
    assert cached_bases(plan(cached("docker-hub")), ["app", "gone"], project=tmp_path) == {}


def test_the_deployer_may_have_ecr_fetch_what_a_build_asks_for() -> None:
    settings = cached("docker-hub", "quay")
    policy = deployer_policy(plan(settings), program(settings, "aws-dev"))
    (statement,) = [statement for statement in policy["Statement"] if statement["Sid"] == "Caches"]
    assert {"ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:BatchGetImage"} <= set(statement["Action"])
    assert [arn.partition(":repository/")[2] for arn in statement["Resource"]] == [
        "llmagentos-docker-hub/*", "llmagentos-quay/*",
    ]  # fmt: skip
    assert "Caches" not in json.dumps(deployer_policy(plan(raw("aws-dev")), program(raw("aws-dev"), "aws-dev")))


def test_a_login_for_the_cache_stands_in_stacks_with_another_registry_too() -> None:
    settings = cached("docker-hub", registry={"server": "ghcr.io/acme", "pull_secret": "regcred"})
    (images,) = [r for r in program(settings, "aws-dev").resources if r.type == "pulumi:providers:docker-build"]
    assert SERVER in str(images.inputs["registries"])


def test_a_registry_that_ecr_does_not_copy_is_refused() -> None:
    (fault,) = faults(cached("ghcr"))
    assert "aws.cluster.caches.0" in fault
