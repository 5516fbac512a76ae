"""A stack's life by the command line and the real Pulumi engine: what others changed, what others made, and what is
refused."""

from __future__ import annotations

import json
from typing import Any

from llmos.daemons import wait_until
from llmos.kube import KubeObject
from tests.e2e.engine_stacks import NEEDED, EngineStack, application, engine_stack

__all__ = ["engine_stack"]

pytestmark = NEEDED

def legacy_service(name: str) -> KubeObject:
    """A Service that somebody else made, for pods of their own."""
    ports = [{"name": "web", "port": 80, "targetPort": 8000}]
    spec = {"type": "ClusterIP", "selector": {"app": "legacy"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"team": "a"}}, "spec": spec}


def replicas(stack: EngineStack) -> int:
    deployment = stack.live("deployment", "web")
    assert deployment is not None
    return int(deployment["spec"]["replicas"])


def refused(stack: EngineStack, rule: str) -> set[str]:
    """Objects that a preview refuses by a rule."""
    document = json.loads(stack.run("preview", "--json", code=1).stdout)
    return {row["object"] for row in document["policy"] if (row["rule"], row["level"]) == (rule, "mandatory")}


def planned(stack: EngineStack) -> set[str]:
    """What a preview would do to objects."""
    return {row["action"] for row in json.loads(stack.run("preview", "--json").stdout)["objects"]}


def test_from_the_first_up_to_destroy(engine_stack: EngineStack) -> None:
    stack = engine_stack
    stack.write({"web": application(env={"ONE": "1"})})
    is_created_and_left_alone(stack)
    a_value_moves_into_a_secret(stack)
    changes_of_others_are_found_named_and_undone(stack)
    a_count_passes_to_an_autoscaler_and_back(stack)
    what_exists_is_taken_over_only_by_name(stack)
    a_replace_is_refused(stack)
    goes_in_order(stack)


def is_created_and_left_alone(stack: EngineStack) -> None:
    assert planned(stack) == {"create"}
    assert stack.live("namespace", stack.namespace) is None, "a preview creates nothing"
    written = stack.file.read_bytes()
    stack.run("up")
    assert replicas(stack) == 2
    assert stack.file.read_bytes() == written, "what the CLI adds to a stack file does not reach the user's"
    assert "nothing changed" in stack.run("up").stderr
    assert stack.run("diff").stdout == "0 objects differ\n"


def a_value_moves_into_a_secret(stack: EngineStack) -> None:
    """Of an object that was created and never updated: its fields still have two managers of the provider's."""
    stack.kubectl("create", "secret", "generic", "given", "--from-literal=one=1")
    stack.write({"web": application(secrets={"ONE": {"secret": "given", "key": "one"}})})
    assert planned(stack) == {"same", "update"}
    stack.run("up")
    deployment = stack.live("deployment", "web")
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (variable,) = [each for each in container["env"] if each["name"] == "ONE"]
    assert variable == {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "given", "key": "one"}}}
    stack.write({"web": application()})
    stack.run("up")


def changes_of_others_are_found_named_and_undone(stack: EngineStack) -> None:
    stack.kubectl("scale", "deployment", "web", "--replicas=5")
    stack.kubectl("delete", "poddisruptionbudget", "web")
    said = stack.run("refresh").stdout
    assert f"changed since: Deployment {stack.namespace}/web" in said
    assert f"gone: PodDisruptionBudget {stack.namespace}/web" in said

    said = stack.run("up", code=1).stderr
    assert "somebody by hand, with kubectl (through `scale`), set .spec.replicas" in said
    assert said.count("error:") == 1 and "pulumi-kubernetes" not in said, "its own conflicts are nobody's"
    assert replicas(stack) == 5 and stack.live("poddisruptionbudget", "web") is None, "nothing half done"

    stack.run("up", "--force-conflicts")
    assert replicas(stack) == 2 and stack.live("poddisruptionbudget", "web")


def a_count_passes_to_an_autoscaler_and_back(stack: EngineStack) -> None:
    stack.write({"web": application(replicas={"min": 3, "max": 4})})
    stack.run("up")
    # The real controller, which raises what is below the minimum without any metric.
    assert wait_until(lambda: replicas(stack) == 3, timeout_seconds=60)
    assert planned(stack) == {"same"}, "the autoscaler's count is left alone"

    stack.write({"web": application()})
    stack.run("up")
    assert replicas(stack) == 2 and stack.live("horizontalpodautoscaler", "web") is None


def what_exists_is_taken_over_only_by_name(stack: EngineStack) -> None:
    made: dict[str, Any] = {}
    for name in ("other", "third"):
        stack.apply(legacy_service(name))
        made[name] = stack.live("service", name)
    third = application(replicas=1, endpoint={"type": "ClusterIP", "create": False})
    stack.write({
        "web": application(), "third": third,
        "other": application(replicas=1, endpoint={"type": "ClusterIP"}),
    })  # fmt: skip
    assert refused(stack, "no-adopt") == {f"Service/{stack.namespace}/other"}
    stack.run("up", code=1)
    assert stack.live("deployment", "other") is None, "refused before anything is changed"

    stack.run("up", "--adopt", "Service/other", "--force-conflicts")
    taken, left = stack.live("service", "other"), stack.live("service", "third")
    assert taken and taken["metadata"]["uid"] == made["other"]["metadata"]["uid"]
    assert taken["spec"]["selector"]["app.kubernetes.io/name"] == "other" and taken["metadata"]["labels"]["team"] == "a"
    assert left == made["third"]
    assert planned(stack) == {"same"}, "taken over once, it is the stack's"

    stack.write({"web": application()})
    stack.run("up")
    assert stack.live("service", "other") is None and stack.live("service", "third") == made["third"]


def a_replace_is_refused(stack: EngineStack) -> None:
    elsewhere = f"{stack.namespace}-2"
    stack.write({"web": application()}, namespace={"name": elsewhere})
    names = {f"Deployment/{stack.namespace}/web", f"Namespace/{stack.namespace}"}
    assert refused(stack, "no-replace") == names
    said = stack.run("up", code=1).stderr
    assert "--allow-replace Deployment/web" in said and stack.live("namespace", elsewhere) is None
    assert replicas(stack) == 2
    stack.write({"web": application()})


def goes_in_order(stack: EngineStack) -> None:
    said = stack.run("destroy").stderr
    gone = [line.split()[1] for line in said.splitlines() if line.startswith("  deleted ")]
    places = {kind: gone.index(kind) for kind in gone}
    assert places["Service"] < places["Deployment"] < places["ServiceAccount"], "callers first, then pods"
    assert places["Deployment"] < places["LimitRange"] and gone[-1] == "Namespace"
    assert stack.live("namespace", stack.namespace) is None
