"""Stack files: what is accepted, what is refused, and how the refusal reads."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from planner.faults import UserFault
from planner.settings import StackSettings, parse

SHORT = "{target: local, applications: {llm-app: {image: {build: ./app}}}}"


def parsed(text: str) -> StackSettings:
    return parse(yaml.safe_load(text), where="Pulumi.dev.yaml")


def faults(text: str) -> list[str]:
    with pytest.raises(UserFault) as caught:
        parsed(text)
    return [str(fault) for fault in caught.value.faults]


def with_application(**keys: Any) -> str:
    return yaml.safe_dump({"target": "local", "applications": {"a": {"image": {"build": "./app"}, **keys}}})


def with_model(**keys: Any) -> str:
    model = {"source": "Qwen/Qwen3-8B", "hardware": {"instance_type": "g6.xlarge"}, **keys}
    return yaml.safe_dump({**yaml.safe_load(SHORT), "models": {"m": model}})


def test_the_shortest_file_gives_the_reference_result() -> None:
    application = parsed(SHORT).applications["llm-app"]
    assert (application.replicas, application.port) == (3, 8000)
    assert (application.endpoint.type, application.endpoint.port) == ("LoadBalancer", 80)
    assert application.endpoint.auth == "api-key"


def test_settings_are_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        parsed(SHORT).target = "aws"  # type: ignore[misc]


def test_every_fault_of_a_file_stands_in_one_report() -> None:
    report = faults("""
        target: lokal
        enviroment: dev
        applications:
          one: {image: {ref: "repo/app:latest"}, replicas: {min: 5, max: 2}, model: chatt}
          two: {image: {build: ./app}, port: 80, env: {OPENAI_API_KEY: sk-notarealkey0123456789}}
        models:
          chat: {source: builtin:tiny, engine: llama.cpp}
    """)
    places = [line.split(": ")[1] for line in report]
    assert places == [
        "target", "applications.one.image.ref", "applications.one.replicas", "applications.two.port",
        "applications.two.env", "enviroment", "applications.one.model",
    ]


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (with_application(replica=3), "applications.a.replica", "did you mean `replicas`?"),
        (with_application(replicas={"min": 1, "maxx": 2}), "applications.a.replicas.maxx", "did you mean `max`?"),
        (with_application(replicas={"min": 5, "max": 2}), "applications.a.replicas", "min is 5 and max is 2"),
        (with_application(replicas="three"), "applications.a.replicas", "valid integer"),
        (with_application(port=80), "applications.a.port", "greater than or equal to 1024"),
        (with_application(endpoint={"type": "Loadbalancer"}), "applications.a.endpoint.type", "`LoadBalancer`?"),
        (with_application(resources={"memory": "12 GB"}), "applications.a.resources.memory", "512Mi or 4Gi"),
        (with_application(preset="customer-servis"), "applications.a.preset", "did you mean `customer-service`?"),
        (with_application(preset="code-assistant", command=["x"]), "applications.a", "exclude each other"),
        (with_application(image={"build": "a", "from": "lock"}), "applications.a.image", "exactly one of"),
        (with_application(image={"ref": "repo/app:v1"}), "applications.a.image.ref", "must end in a digest"),
        (with_application(image={"tag": "ghcr.io/t/app"}), "applications.a.image.tag", "image name with a tag"),
        (with_application(image={"tag": "host:5000/app"}), "applications.a.image.tag", "image name with a tag"),
        (with_application(image={"tag": "t/App:1"}), "applications.a.image.tag", "must be a lower-case image name"),
        (with_application(image={"tag": f"a:1@sha256:{'0' * 64}"}), "applications.a.image.tag", "goes under `ref`"),
        (with_application(image={"build": ".", "platforms": ["linux/arm"]}), "applications.a.image.platforms.0",
         "did you mean `linux/arm64`?"),
        (with_application(image={"tag": "a:1", "build": "."}), "applications.a.image", "got build, tag"),
        (with_application(model="chat"), "applications.a.model", "not defined under models"),
        (with_application(env={"A": "b"}, secrets={"A": {"secret": "s", "key": "k"}}), "applications.a", "in env and"),
        (with_model(revision="main"), "models.m.revision", "[0-9a-f]{40}"),
        (with_model(hardware=None), "models.m", "needs hardware"),
        (with_model(engine="llama.cpp"), "models.m", "runs on CPUs"),
        (with_model(extra_args=["--api-key=abc"]), "models.m.extra_args", "readable by everyone"),
        (with_model(autoscaling="keda"), "models.m.autoscaling", "no KEDA"),
        ("{target: kubernetes, environment: dev, applications: {}}", "context", "needs `context`"),
        ("{target: kubernetes, context: c, applications: {}}", "environment", "needs `environment`"),
        ("{target: aws, environment: prod, applications: {}}", "aws", "needs `aws`"),
        ("{target: moon, applications: {a: {image: {build: x}}}}", "target", "'local', 'kubernetes' or 'aws'"),
        ("{target: local, context: c, applications: {a: {image: {build: x}}}}", "context", "takes no context"),
        ("[1, 2]", "", "must be a map"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_a_way_out(text: str, path: str, words: str) -> None:
    matching = [fault for fault in faults(text) if words in fault]
    assert len(matching) == 1
    assert matching[0].startswith(f"Pulumi.dev.yaml{': ' + path if path else ''}: ")
    assert "\n  To fix: " in matching[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_TOKEN", "anything"), ("DB_PASSWORD", "qwerty99"), ("HARMLESS", "hf_" + "a" * 20),
        ("HARMLESS", "-----BEGIN RSA PRIVATE KEY-----"), ("X", "ghp_" + "b" * 20),
    ],
)  # fmt: skip
def test_a_secret_in_plain_text_is_refused_and_never_repeated(name: str, value: str) -> None:
    report = "\n".join(faults(with_application(env={name: value})))
    assert "plain text" in report
    assert value not in report.replace(name, "")


@pytest.mark.parametrize("name", ["MAX_TOKENS", "MAX_OUTPUT_TOKENS", "API_KEYS_FILE", "LOG_LEVEL"])
def test_names_that_only_resemble_secrets_are_accepted(name: str) -> None:
    assert parsed(with_application(env={name: "10"})).applications["a"].env == {name: "10"}


def test_models_on_gpus_need_nodes_of_the_cluster() -> None:
    company = "target: kubernetes\ncontext: c\nenvironment: prod\nregistry: {server: r}"
    text = with_model().replace("target: local", company)
    assert any("gpu_pool names none of this cluster" in fault for fault in faults(text))
    assert parsed(text + "gpu_pool: {kind: existing, selector: {gpu: l4}}").gpu_pool.kind == "existing"
