"""What runs of a stack, where, since when, and how to reach it. Shared by ``up`` and ``status``."""

from __future__ import annotations

import base64
import http.client
import json
import shlex
import urllib.error
import urllib.request
from collections.abc import Sequence

from llmos import report
from llmos.console import warn
from llmos.images import trial
from llmos.kube import Kube, KubeObject
from llmos.paths import PROJECT_ROOT
from llmos.session import Session
from planner.faults import LlmosError
from planner.plan import ApplicationPlan

__all__ = ["show_state"]

_ANSWER_SECONDS = 5
# What the trial container's in-process model is called.
_TRIAL_MODEL = "tiny-random"
# Go template that reads one key of a Secret.
_DECODED = "{{.data.%s | base64decode}}"


def show_state(session: Session, *, start_trial: bool = True) -> bool:
    """Print the table of workloads and how to reach each application; returns whether anything is deployed.

    Args:
        session: stack and cluster; ``session.kube`` must answer.
        start_trial: on simulated nodes, run one real container of each application beside the cluster, so that there is
            something to talk to.
    """
    kube, plan = session.kube, session.stack.plan
    assert kube is not None, "callers check that the cluster answers"
    label = f"app.kubernetes.io/instance={session.stack.name}"
    deployments = kube.get("deployments", "-n", plan.namespace.name, "-l", label)
    if not deployments:
        return False
    pods, nodes = kube.get("pods", "-n", plan.namespace.name, "-l", label), kube.get("nodes")
    console = report.console()
    console.print(report.workloads_table(deployments, pods, nodes, plan))
    for application in plan.applications:
        for line in _reach(session, application, deployments, start_trial=start_trial):
            console.print(line, soft_wrap=True)
    return True


def _reach(
    session: Session, application: ApplicationPlan, deployments: Sequence[KubeObject], *, start_trial: bool
) -> list[str]:
    kube, namespace = session.kube, session.stack.plan.namespace.name
    assert kube is not None
    found = kube.get("service", application.name, "-n", namespace)
    if not found:
        return [f"{application.name}: its Service is missing"]
    address = _address(found[0])
    service = f"{address or 'no address yet'}:{application.endpoint_port} -> {application.port}"
    if not session.simulated:
        url = f"http://{address}:{application.endpoint_port}"
        reached = bool(address) and _answers(url)
        line = f"{application.name}: {url if reached else f'Service {service}, which does not answer from here'}"
        sample = reached and _is_sample(session, application)
        return [line, *_try_it(application, namespace, url, kube, sample=sample)]
    lines = [f"{application.name}: Service {service} (simulated: pods on simulated nodes do not answer)"]
    url = _trial_url(session, application, deployments, start=start_trial)
    if url:
        sample = _is_sample(session, application)
        model = "with its in-process tiny model" if sample else "without its model server"
        lines.append(f"  one real container of the same image, {model}: {url}")
        lines += _try_it(application, namespace, url, kube, sample=sample, model=_TRIAL_MODEL)
    return lines


def _is_sample(session: Session, application: ApplicationPlan) -> bool:
    """Whether it is the sample application, whose API is known here."""
    build = session.stack.plan.image(application.image).build
    return bool(application.preset) or bool(build and (PROJECT_ROOT / build / "src" / "assistant").is_dir())


def _address(service: KubeObject) -> str:
    """External address of a Service of type LoadBalancer; the cluster's own for others."""
    if service["spec"]["type"] != "LoadBalancer":
        return service["spec"].get("clusterIP", "")
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return (ingress[0].get("ip") or ingress[0].get("hostname", "")) if ingress else ""


def _answers(url: str) -> bool:
    """Whether something there speaks HTTP; any status counts, since a key may be asked for."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=_ANSWER_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, http.client.HTTPException):
        return False


def _try_it(
    application: ApplicationPlan, namespace: str, url: str, kube: Kube, *, sample: bool, model: str = ""
) -> list[str]:
    """A command line that really works: with the key read from the cluster when it runs, never printed. Of somebody's
    own application only the key is known, not what it can be asked."""
    asked = model or application.adapter or application.model or _TRIAL_MODEL
    body = json.dumps({"model": asked, "messages": [{"role": "user", "content": "Hello"}]})
    call = f"curl {url}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'"
    if "API_KEYS" not in application.secrets:
        return [f"  {call}"] if sample else []
    secret, key = application.secrets["API_KEYS"]
    read = f"{shlex.join(kube.command('-n', namespace, 'get', 'secret', secret))} -o go-template='{_DECODED % key}'"
    return [f"  KEY=$({read})", *([f'  {call} -H "Authorization: Bearer $KEY"'] if sample else [])]


def _trial_url(
    session: Session, application: ApplicationPlan, deployments: Sequence[KubeObject], *, start: bool
) -> str:
    """Address of the application's trial container; empty when there is none."""
    if not start:
        return trial.running(session.stack.name).get(application.name, "")
    deployment = next((item for item in deployments if item["metadata"]["name"] == application.name), None)
    if deployment is None:
        return ""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    # The model server's pods are simulated as well, so the container answers by its own tiny model.
    env = {e["name"]: e["value"] for e in container["env"] if "value" in e and not e["name"].startswith("BACKEND_")}
    try:
        return trial.ensure_running(
            stack=session.stack.name,
            application=application.name,
            ref=container["image"],
            env=env,
            secrets=_secrets(session, container),
            container_port=application.port,
            ready_path="/readyz",
            install=session.install,
        )
    except LlmosError as error:
        warn(f"no container of {application.name} to try: {error.faults[0].what}")
        return ""


def _secrets(session: Session, container: KubeObject) -> dict[str, str]:
    """Values of the container's secret variables, read from the cluster; they go to the container and nowhere else."""
    kube, namespace = session.kube, session.stack.plan.namespace.name
    assert kube is not None
    values = {}
    for entry in container["env"]:
        ref = entry.get("valueFrom", {}).get("secretKeyRef")
        if ref:
            found = kube.get("secret", ref["name"], "-n", namespace)
            data = found[0].get("data", {}) if found else {}
            values[entry["name"]] = base64.b64decode(data.get(ref["key"], "")).decode("utf-8")
    return values
