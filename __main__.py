"""The Pulumi program: load settings, make the plan, build the stack, export."""

import json
from pathlib import Path

import pulumi

from components.stack import Machine, make_stack
from planner.faults import LlmosError, UserFault
from planner.lock import parse_lock
from planner.machine import locks_dir, stack_folder, told
from planner.plan import awaited, make_plan
from planner.settings import parse

stack, project = pulumi.get_stack(), Path(__file__).parent
lock_file = locks_dir(project) / f"{stack}.json"
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
machine = Machine(**told(plan, project=project))
for name, value in make_stack(plan, machine).summary.items():
    pulumi.export(name, value)
