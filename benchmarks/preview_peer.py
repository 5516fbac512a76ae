"""The dev stack as plain Pulumi: one call for each resource, nothing decided and nothing shared.

The program that somebody would write by hand, and what ``benchmarks.preview`` compares ours with. ``benchmarks._peer``
writes it down, so that its objects stay those of the dev stack; after a change of that stack that is meant:
``python3 -m llmos test -- tests/components --update-golden``.
"""

# ruff: noqa: E501
import os
import secrets

import pulumi
import pulumi_docker_build as docker_build
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apiextensions import CustomResource

cluster = k8s.Provider(
    "cluster",
    kubeconfig=os.environ.get("KUBECONFIG"),
    cluster_identifier="llmagentos-local-embedded",
    enable_server_side_apply=True,
)
images = docker_build.Provider("images")

assistant_image = docker_build.Image(
    "assistant",
    build_args={"SOURCE_DATE_EPOCH": "315532801"},
    build_on_preview=False,
    builder={"name": "default"},
    context={"location": "./app"},
    dockerfile={"location": "./app/Dockerfile"},
    exec_=True,
    network="host",
    push=True,
    secrets={name: pulumi.Output.secret(text) for name, text in {}.items()},
    tags=["127.0.0.1:5000/dev/assistant:latest"],
    opts=pulumi.ResourceOptions(provider=images, retain_on_delete=True),
)
assistant_image_ref = pulumi.Output.concat("127.0.0.1:5000/dev/assistant@", assistant_image.digest)

namespace = k8s.core.v1.Namespace(
    "namespace",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "namespace",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "namespace",
            "app.kubernetes.io/part-of": "llmagentos",
            "llmagentos.dev/engine": "pulumi",
            "pod-security.kubernetes.io/audit": "restricted",
            "pod-security.kubernetes.io/audit-version": "latest",
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "latest",
            "pod-security.kubernetes.io/warn": "restricted",
            "pod-security.kubernetes.io/warn-version": "latest",
        },
        "name": "assistant",
    },
    opts=pulumi.ResourceOptions(provider=cluster),
)

k8s.apps.v1.Deployment(
    "assistant",
    metadata={
        "annotations": {"pulumi.com/timeoutSeconds": "2500"},
        "labels": {
            "app.kubernetes.io/component": "application",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "assistant",
        "namespace": "assistant",
    },
    spec={
        "progressDeadlineSeconds": 600,
        "replicas": 3,
        "revisionHistoryLimit": 5,
        "selector": {
            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "assistant"},
        },
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"},
        "template": {
            "metadata": {
                "labels": {
                    "app.kubernetes.io/component": "application",
                    "app.kubernetes.io/instance": "dev",
                    "app.kubernetes.io/managed-by": "llmagentos",
                    "app.kubernetes.io/name": "assistant",
                    "app.kubernetes.io/part-of": "llmagentos",
                },
            },
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "env": [
                            {"name": "BACKEND_MODEL", "value": "tiny"},
                            {"name": "BACKEND_URL", "value": "http://tiny:8080"},
                            {"name": "DRAIN_SECONDS", "value": "108"},
                            {"name": "LOG_LEVEL", "value": "info"},
                            {"name": "PORT", "value": "8000"},
                            {"name": "PRESET", "value": "customer-service"},
                            {
                                "name": "API_KEYS",
                                "valueFrom": {"secretKeyRef": {"key": "keys", "name": "assistant-api-keys"}},
                            },
                        ],
                        "image": assistant_image_ref,
                        "imagePullPolicy": "IfNotPresent",
                        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                        "livenessProbe": {
                            "failureThreshold": 4,
                            "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 15,
                            "timeoutSeconds": 10,
                        },
                        "name": "application",
                        "ports": [{"containerPort": 8000, "name": "http", "protocol": "TCP"}],
                        "readinessProbe": {
                            "failureThreshold": 2,
                            "httpGet": {"path": "/readyz", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 5,
                            "timeoutSeconds": 5,
                        },
                        "resources": {
                            "limits": {"cpu": "2000m", "memory": "512Mi"},
                            "requests": {"cpu": "500m", "memory": "512Mi"},
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": True,
                            "runAsGroup": 10001,
                            "runAsNonRoot": True,
                            "runAsUser": 10001,
                        },
                        "startupProbe": {
                            "failureThreshold": 60,
                            "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 2,
                            "timeoutSeconds": 5,
                        },
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                        "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}],
                    },
                ],
                "enableServiceLinks": False,
                "securityContext": {
                    "fsGroup": 10001,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "runAsGroup": 10001,
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "serviceAccountName": "assistant",
                "terminationGracePeriodSeconds": 118,
                "topologySpreadConstraints": [
                    {
                        "labelSelector": {
                            "matchLabels": {
                                "app.kubernetes.io/instance": "dev",
                                "app.kubernetes.io/name": "assistant",
                            },
                        },
                        "maxSkew": 1,
                        "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "ScheduleAnyway",
                    },
                    {
                        "labelSelector": {
                            "matchLabels": {
                                "app.kubernetes.io/instance": "dev",
                                "app.kubernetes.io/name": "assistant",
                            },
                        },
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                    },
                ],
                "volumes": [{"emptyDir": {"sizeLimit": "256Mi"}, "name": "tmp"}],
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace], ignore_changes=['spec.replicas']),
)

k8s.core.v1.Secret(
    "assistant-api-keys",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "api-keys",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant-api-keys",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "assistant-api-keys",
        "namespace": "assistant",
    },
    string_data={"keys": pulumi.Output.secret(secrets.token_urlsafe(32))},
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace], ignore_changes=['stringData', 'data']),
)

k8s.core.v1.ServiceAccount(
    "assistant",
    automount_service_account_token=False,
    metadata={
        "labels": {
            "app.kubernetes.io/component": "application",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "assistant",
        "namespace": "assistant",
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.networking.v1.NetworkPolicy(
    "assistant-egress",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "application",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant-egress",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "assistant-egress",
        "namespace": "assistant",
    },
    spec={
        "egress": [
            {
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                    },
                ],
            },
            {
                "ports": [{"port": 8080, "protocol": "TCP"}],
                "to": [
                    {
                        "podSelector": {
                            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "tiny"},
                        },
                    },
                ],
            },
        ],
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "assistant"},
        },
        "policyTypes": ["Egress"],
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.autoscaling.v2.HorizontalPodAutoscaler(
    "assistant",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "autoscaler",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "assistant",
        "namespace": "assistant",
    },
    spec={
        "behavior": {
            "scaleDown": {
                "policies": [{"periodSeconds": 60, "type": "Pods", "value": 1}],
                "stabilizationWindowSeconds": 300,
            },
            "scaleUp": {
                "policies": [
                    {"periodSeconds": 15, "type": "Percent", "value": 100},
                    {"periodSeconds": 15, "type": "Pods", "value": 4},
                ],
                "stabilizationWindowSeconds": 0,
            },
        },
        "maxReplicas": 10,
        "metrics": [
            {
                "resource": {"name": "cpu", "target": {"averageUtilization": 70, "type": "Utilization"}},
                "type": "Resource",
            },
        ],
        "minReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "assistant"},
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.policy.v1.PodDisruptionBudget(
    "assistant",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "autoscaler",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "assistant",
        "namespace": "assistant",
    },
    spec={
        "maxUnavailable": 1,
        "selector": {
            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "assistant"},
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.policy.v1.PodDisruptionBudget(
    "chat",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "autoscaler",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "chat",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "chat",
        "namespace": "assistant",
    },
    spec={
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "chat"}},
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.policy.v1.PodDisruptionBudget(
    "tiny",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "autoscaler",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "tiny",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "tiny",
        "namespace": "assistant",
    },
    spec={
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "tiny"}},
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.core.v1.Service(
    "assistant",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "endpoint",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant",
            "app.kubernetes.io/part-of": "llmagentos",
            "llmagentos.dev/auth": "api-key",
        },
        "name": "assistant",
        "namespace": "assistant",
    },
    spec={
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8000}],
        "selector": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "assistant"},
        "type": "LoadBalancer",
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.networking.v1.NetworkPolicy(
    "assistant-ingress",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "endpoint",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "assistant-ingress",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "assistant-ingress",
        "namespace": "assistant",
    },
    spec={
        "ingress": [{"ports": [{"port": 8000, "protocol": "TCP"}]}],
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "assistant"},
        },
        "policyTypes": ["Ingress"],
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

CustomResource(
    "gpu-pool-class",
    api_version='karpenter.kwok.sh/v1alpha1',
    kind='KWOKNodeClass',
    metadata={
        "labels": {
            "app.kubernetes.io/component": "gpu-pool",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "gpu-pool",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "llmagentos-dev-gpu",
    },
    opts=pulumi.ResourceOptions(provider=cluster),
)

CustomResource(
    "gpu-pool",
    api_version='karpenter.sh/v1',
    kind='NodePool',
    metadata={
        "annotations": {"pulumi.com/timeoutSeconds": "1800"},
        "labels": {
            "app.kubernetes.io/component": "gpu-pool",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "gpu-pool",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "llmagentos-dev-gpu",
    },
    spec={
        "disruption": {"consolidateAfter": "30s", "consolidationPolicy": "WhenEmpty"},
        "limits": {"nvidia.com/gpu": "2"},
        "template": {
            "metadata": {"labels": {"llmagentos.dev/pool": "llmagentos-dev-gpu"}},
            "spec": {
                "expireAfter": "720h",
                "nodeClassRef": {
                    "group": "karpenter.kwok.sh",
                    "kind": "KWOKNodeClass",
                    "name": "llmagentos-dev-gpu",
                },
                "requirements": [
                    {
                        "key": "node.kubernetes.io/instance-type",
                        "operator": "In",
                        "values": ["g6.xlarge"],
                    },
                    {
                        "key": "karpenter.sh/capacity-type",
                        "operator": "In",
                        "values": ["on-demand"],
                    },
                    {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
                ],
                "taints": [{"effect": "NoSchedule", "key": "nvidia.com/gpu", "value": "true"}],
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster),
)

k8s.apps.v1.Deployment(
    "chat",
    metadata={
        "annotations": {"pulumi.com/timeoutSeconds": "1463"},
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "chat",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "chat",
        "namespace": "assistant",
    },
    spec={
        "progressDeadlineSeconds": 728,
        "replicas": 1,
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "chat"}},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"},
        "template": {
            "metadata": {
                "labels": {
                    "app.kubernetes.io/component": "model-server",
                    "app.kubernetes.io/instance": "dev",
                    "app.kubernetes.io/managed-by": "llmagentos",
                    "app.kubernetes.io/name": "chat",
                    "app.kubernetes.io/part-of": "llmagentos",
                },
            },
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "args": [
                            "--model=Qwen/Qwen3-8B",
                            "--served-model-name=chat",
                            "--port=8000",
                            "--revision=b968826d9c46dd6066d109eabc6255188de91218",
                            "--tokenizer-revision=b968826d9c46dd6066d109eabc6255188de91218",
                            "--max-model-len=8192",
                            "--max-num-seqs=256",
                            "--tensor-parallel-size=1",
                            "--load-format=safetensors",
                            "--download-dir=/weights",
                            "--enable-prefix-caching",
                            "--shutdown-timeout=600",
                        ],
                        "env": [
                            {"name": "DO_NOT_TRACK", "value": "1"},
                            {"name": "HF_HOME", "value": "/weights/hub"},
                            {"name": "HF_HUB_DISABLE_TELEMETRY", "value": "1"},
                            {"name": "HOME", "value": "/cache"},
                            {"name": "TORCHINDUCTOR_CACHE_DIR", "value": "/cache/inductor"},
                            {"name": "TRITON_CACHE_DIR", "value": "/cache/triton"},
                            {"name": "USER", "value": "vllm"},
                            {"name": "VLLM_CACHE_ROOT", "value": "/cache/vllm"},
                            {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
                            {"name": "XDG_CACHE_HOME", "value": "/cache"},
                        ],
                        "image": "docker.io/vllm/vllm-openai:v0.28.0@sha256:61fc8a896b0a4fbbbdc063bc4b0dbc25ce98e02b5050c24aeb7830ac02039b14",
                        "imagePullPolicy": "IfNotPresent",
                        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                        "livenessProbe": {
                            "failureThreshold": 4,
                            "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 15,
                            "timeoutSeconds": 10,
                        },
                        "name": "server",
                        "ports": [{"containerPort": 8000, "name": "http", "protocol": "TCP"}],
                        "readinessProbe": {
                            "failureThreshold": 2,
                            "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 5,
                            "timeoutSeconds": 5,
                        },
                        "resources": {
                            "limits": {"cpu": "3000m", "memory": "12288Mi", "nvidia.com/gpu": "1"},
                            "requests": {"cpu": "3000m", "memory": "12288Mi", "nvidia.com/gpu": "1"},
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": True,
                            "runAsGroup": 10001,
                            "runAsNonRoot": True,
                            "runAsUser": 10001,
                        },
                        "startupProbe": {
                            "failureThreshold": 73,
                            "httpGet": {"path": "/v1/models", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 10,
                            "timeoutSeconds": 5,
                        },
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                        "volumeMounts": [
                            {"mountPath": "/weights", "name": "weights"},
                            {"mountPath": "/cache", "name": "cache"},
                            {"mountPath": "/tmp", "name": "tmp"},
                            {"mountPath": "/dev/shm", "name": "shm"},
                        ],
                    },
                ],
                "enableServiceLinks": False,
                "nodeSelector": {
                    "llmagentos.dev/pool": "llmagentos-dev-gpu",
                    "node.kubernetes.io/instance-type": "g6.xlarge",
                },
                "securityContext": {
                    "fsGroup": 10001,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "runAsGroup": 10001,
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "serviceAccountName": "chat",
                "terminationGracePeriodSeconds": 615,
                "tolerations": [{"effect": "NoSchedule", "key": "nvidia.com/gpu", "operator": "Exists"}],
                "topologySpreadConstraints": [
                    {
                        "labelSelector": {
                            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "chat"},
                        },
                        "maxSkew": 1,
                        "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "ScheduleAnyway",
                    },
                    {
                        "labelSelector": {
                            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "chat"},
                        },
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                    },
                ],
                "volumes": [
                    {"emptyDir": {"sizeLimit": "22Gi"}, "name": "weights"},
                    {"emptyDir": {"sizeLimit": "10Gi"}, "name": "cache"},
                    {"emptyDir": {"sizeLimit": "2Gi"}, "name": "tmp"},
                    {"emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}, "name": "shm"},
                ],
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.apps.v1.Deployment(
    "tiny",
    metadata={
        "annotations": {"pulumi.com/timeoutSeconds": "358"},
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "tiny",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "tiny",
        "namespace": "assistant",
    },
    spec={
        "progressDeadlineSeconds": 120,
        "replicas": 1,
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "tiny"}},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"},
        "template": {
            "metadata": {
                "labels": {
                    "app.kubernetes.io/component": "model-server",
                    "app.kubernetes.io/instance": "dev",
                    "app.kubernetes.io/managed-by": "llmagentos",
                    "app.kubernetes.io/name": "tiny",
                    "app.kubernetes.io/part-of": "llmagentos",
                },
            },
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "args": ["--port=8080", "--served-model-name=tiny", "--context-tokens=2048"],
                        "command": ["python3", "-m", "assistant.model_server"],
                        "env": [{"name": "DRAIN_SECONDS", "value": "103"}],
                        "image": assistant_image_ref,
                        "imagePullPolicy": "IfNotPresent",
                        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                        "livenessProbe": {
                            "failureThreshold": 4,
                            "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 15,
                            "timeoutSeconds": 10,
                        },
                        "name": "server",
                        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
                        "readinessProbe": {
                            "failureThreshold": 2,
                            "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 5,
                            "timeoutSeconds": 5,
                        },
                        "resources": {
                            "limits": {"cpu": "2000m", "memory": "512Mi"},
                            "requests": {"cpu": "500m", "memory": "512Mi"},
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": True,
                            "runAsGroup": 10001,
                            "runAsNonRoot": True,
                            "runAsUser": 10001,
                        },
                        "startupProbe": {
                            "failureThreshold": 60,
                            "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
                            "periodSeconds": 2,
                            "timeoutSeconds": 5,
                        },
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                        "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}],
                    },
                ],
                "enableServiceLinks": False,
                "securityContext": {
                    "fsGroup": 10001,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "runAsGroup": 10001,
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "serviceAccountName": "tiny",
                "terminationGracePeriodSeconds": 118,
                "topologySpreadConstraints": [
                    {
                        "labelSelector": {
                            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "tiny"},
                        },
                        "maxSkew": 1,
                        "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "ScheduleAnyway",
                    },
                    {
                        "labelSelector": {
                            "matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "tiny"},
                        },
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                    },
                ],
                "volumes": [{"emptyDir": {"sizeLimit": "256Mi"}, "name": "tmp"}],
            },
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.core.v1.Service(
    "chat",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "chat",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "chat",
        "namespace": "assistant",
    },
    spec={
        "ports": [{"name": "http", "port": 8000, "protocol": "TCP", "targetPort": "http"}],
        "selector": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "chat"},
        "type": "ClusterIP",
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.core.v1.Service(
    "tiny",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "tiny",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "tiny",
        "namespace": "assistant",
    },
    spec={
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "targetPort": "http"}],
        "selector": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "tiny"},
        "type": "ClusterIP",
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.core.v1.ServiceAccount(
    "chat",
    automount_service_account_token=False,
    metadata={
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "chat",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "chat",
        "namespace": "assistant",
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.core.v1.ServiceAccount(
    "tiny",
    automount_service_account_token=False,
    metadata={
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "tiny",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "tiny",
        "namespace": "assistant",
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.networking.v1.NetworkPolicy(
    "chat",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "chat",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "chat",
        "namespace": "assistant",
    },
    spec={
        "egress": [
            {
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                    },
                ],
            },
            {
                "ports": [{"port": 443, "protocol": "TCP"}],
                "to": [
                    {
                        "ipBlock": {
                            "cidr": "0.0.0.0/0",
                            "except": [
                                "10.0.0.0/8",
                                "172.16.0.0/12",
                                "192.168.0.0/16",
                                "169.254.0.0/16",
                                "100.64.0.0/10",
                            ],
                        },
                    },
                ],
            },
        ],
        "ingress": [],
        "podSelector": {"matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "chat"}},
        "policyTypes": ["Ingress", "Egress"],
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.networking.v1.NetworkPolicy(
    "tiny",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "tiny",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "tiny",
        "namespace": "assistant",
    },
    spec={
        "egress": [],
        "ingress": [
            {
                "from": [
                    {
                        "podSelector": {
                            "matchLabels": {
                                "app.kubernetes.io/instance": "dev",
                                "app.kubernetes.io/name": "assistant",
                            },
                        },
                    },
                ],
                "ports": [{"port": 8080, "protocol": "TCP"}],
            },
        ],
        "podSelector": {"matchLabels": {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/name": "tiny"}},
        "policyTypes": ["Ingress", "Egress"],
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.core.v1.LimitRange(
    "namespace-limits",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "namespace",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "stack",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "stack",
        "namespace": "assistant",
    },
    spec={
        "limits": [
            {
                "default": {"cpu": "500m", "memory": "512Mi"},
                "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
                "type": "Container",
            },
        ],
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.core.v1.ResourceQuota(
    "namespace-quota",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "namespace",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "stack",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "stack",
        "namespace": "assistant",
    },
    spec={
        "hard": {
            "pods": "25",
            "requests.cpu": "14",
            "requests.memory": "32Gi",
            "requests.nvidia.com/gpu": "2",
        },
    },
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)

k8s.networking.v1.NetworkPolicy(
    "namespace-default-deny",
    metadata={
        "labels": {
            "app.kubernetes.io/component": "namespace",
            "app.kubernetes.io/instance": "dev",
            "app.kubernetes.io/managed-by": "llmagentos",
            "app.kubernetes.io/name": "default-deny",
            "app.kubernetes.io/part-of": "llmagentos",
        },
        "name": "default-deny",
        "namespace": "assistant",
    },
    spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[namespace]),
)
