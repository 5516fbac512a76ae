"""The Pulumi program: load settings, make the plan, build the stack, export."""

import json
import os
from pathlib import Path

import pulumi

from components.stack import Machine, make_stack
from planner.faults import LlmosError, UserFault
from planner.lock import parse_lock
from planner.machine import (
    commit_epochs,
    content_tags,
    local_kubeconfig,
    local_registry,
    locks_dir,
    registry_logins,
    stack_folder,
)
from planner.plan import awaited, make_plan
from planner.settings import parse

stack, project = pulumi.get_stack(), Path(__file__).parent
lock_file = locks_dir(project) / f"{stack}.json"
ca_file = os.environ.get("LLMOS_CA_BUNDLE", "")
try:
    settings = parse(pulumi.Config("llmagentos").require_object("stack"), where=f"Pulumi.{stack}.yaml")
    lock = json.loads(lock_file.read_text(encoding="utf-8")) if lock_file.exists() else {}
    lock = parse_lock(lock, where=f"locks/{stack}.json")
    plan = make_plan(settings, stack=stack, lock=lock, folder=stack_folder(project))
    if not pulumi.runtime.is_dry_run() and (missing := awaited(plan)):
        raise UserFault(missing)
except LlmosError as error:
    # RunError is what Pulumi prints without a traceback.
    raise pulumi.RunError(str(error)) from None
local = settings.target == "local"
# ECR's tags cannot be moved, so each build has its own.
tagged = [i.build for i in plan.images if i.build and plan.aws and plan.aws.repositories]
build_salt = repr((plan.builds, os.environ.get("LLMOS_BASE_IMAGE"), [(i.build, i.platforms) for i in plan.images]))
committed = [i.build for i in plan.images if i.build and plan.builds.timestamps == "commit"]
machine = Machine(
    kubeconfig=local_kubeconfig() if local else "",
    registry=local_registry(plan.registry.server) if local else "",
    base_image=os.environ.get("LLMOS_BASE_IMAGE", ""),
    ca_bundle=Path(ca_file).read_text(encoding="utf-8") if ca_file else "",
    pip_config=os.environ.get("LLMOS_PIP_CONFIG", ""),
    source_commit=os.environ.get("LLMOS_SOURCE_COMMIT", ""),
    registry_logins=registry_logins() if any(image.tag for image in plan.images) else (),
    commit_epochs=commit_epochs(committed, project=project),
    allow_replace=tuple(os.environ.get("LLMOS_ALLOW_REPLACE", "").split()),
    content_tags=content_tags(tagged, project=project, salt=build_salt),
)
for name, value in make_stack(plan, machine).summary.items():
    pulumi.export(name, value)
