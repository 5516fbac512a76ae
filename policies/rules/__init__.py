"""The rules of the pack, one concern a module. A rule reads resource properties only, and only those of its resource
or stack."""

from __future__ import annotations

from . import (
    availability,
    aws_access,
    aws_cluster,
    aws_entries,
    aws_machines,
    aws_registry,
    aws_storage,
    budgets,
    containers,
    exposure,
    gpus,
    images,
    model_network,
    model_server,
    models,
    namespaces,
    opaque,
    pod_security_baseline,
    pod_security_restricted,
    rbac,
    replacement,
    resources,
    secrets,
    service_accounts,
    signatures,
    volumes,
)
from ._once import install
from ._policy import policy_of

__all__ = ["POLICIES", "RULES"]

RULES = tuple(
    rule
    for module in (
        budgets, models, model_server, model_network, gpus, exposure, images, signatures, secrets,
        pod_security_baseline, pod_security_restricted,
        containers, resources, volumes, service_accounts, namespaces, availability, rbac, replacement,
        aws_registry, aws_cluster, aws_machines, aws_access, aws_entries, aws_storage, opaque,
    )
    for rule in module.RULES
)

install()
POLICIES = [policy_of(rule) for rule in RULES]
