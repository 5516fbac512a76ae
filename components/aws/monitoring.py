"""Monitoring: Prometheus, Grafana and the GPU exporter in the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components._aws import allow, document, pod_role
from components._base import Component
from components._kubernetes import KubernetesObject
from planner.plan import AwsPlan, ClusterPlan

__all__ = ["DCGM_VERSION", "STACK_VERSION", "Monitoring", "MonitoringArgs"]

STACK_VERSION = "88.5.3"
"""Of kube-prometheus-stack."""
DCGM_VERSION = "4.8.2"
_NAMESPACE, _NAME = "monitoring", "prometheus"
_CHARTS = "https://prometheus-community.github.io/helm-charts"
_DCGM_CHARTS = "https://nvidia.github.io/dcgm-exporter/helm-charts"
_ALERTMANAGER = f"{_NAME}-kube-prometheus-alertmanager"
_CLASS = "gp3"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What monitoring is given.

    Attributes:
        aws: account, region and the cluster's name.
        cluster: the plan's decisions: days and size.
        cluster_name: the cluster, as an output of what makes it.
        topic: name of the SNS topic for alerts; empty for none.
    """

    aws: AwsPlan
    cluster: ClusterPlan
    cluster_name: pulumi.Input[str]
    topic: str


class Monitoring(Component):
    """The Prometheus operator with Prometheus, Alertmanager and Grafana, and NVIDIA's exporter on nodes with GPUs.

    It reads PodMonitors, rules and dashboards of every namespace, so that workload stacks bring their own. Grafana is
    reached by ``kubectl port-forward``; its password is in a Secret that its chart makes.
    """

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        plan = args.aws
        # EKS brings no class for the driver that it installs, and the old default is neither gp3 nor encrypted.
        volumes = KubernetesObject(
            "storage.k8s.io/v1", "StorageClass", _CLASS,
            metadata={"name": _CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            provisioner="ebs.csi.eks.amazonaws.com" if args.cluster.auto_mode else "ebs.csi.aws.com",
            parameters={"type": "gp3", "encrypted": "true"},
            volumeBindingMode="WaitForFirstConsumer",
            allowVolumeExpansion=True,
            opts=self.child(),
        )
        ready: list[pulumi.Resource] = [volumes]
        if args.topic:
            publish = allow("Publish", ["sns:Publish"], [plan.arn("sns", args.topic)])
            _, rights = pod_role(
                self, f"{name}-alerts", plan=plan, cluster_name=args.cluster_name, namespace=_NAMESPACE,
                service_accounts=[_ALERTMANAGER], role_name=f"{plan.cluster_name}-{plan.region}-alerts",
                policy=document(publish),
            )  # fmt: skip
            ready += rights
        prometheus = k8s.helm.v3.Release(
            name, name=_NAME, namespace=_NAMESPACE, create_namespace=True, chart="kube-prometheus-stack",
            version=STACK_VERSION, repository_opts={"repo": _CHARTS}, values=_values(args), max_history=5, timeout=900,
            opts=self.child(depends_on=ready),
        )  # fmt: skip
        k8s.helm.v3.Release(
            f"{name}-gpus", name="dcgm-exporter", namespace=_NAMESPACE, chart="dcgm-exporter", version=DCGM_VERSION,
            repository_opts={"repo": _DCGM_CHARTS}, values=_exporter(), max_history=5,
            # Its ServiceMonitor is of a kind that the first chart brings.
            opts=self.child(depends_on=[prometheus]),
        )  # fmt: skip
        self.register_outputs({})


def _values(args: MonitoringArgs) -> dict[str, Any]:
    everywhere = {f"{kind}SelectorNilUsesHelmValues": False for kind in ("podMonitor", "rule", "serviceMonitor")}
    disk = {
        "accessModes": ["ReadWriteOnce"], "storageClassName": _CLASS,
        "resources": {"requests": {"storage": f"{args.cluster.monitoring_volume_gib}Gi"}},
    }  # fmt: skip
    # EKS runs these itself and shows nobody their metrics.
    managed = {part: {"enabled": False} for part in ("kubeControllerManager", "kubeEtcd", "kubeProxy", "kubeScheduler")}
    labels = "nodes=[llmagentos.dev/pool,node.kubernetes.io/instance-type]"
    return {
        **managed,
        "prometheus": {"prometheusSpec": {
            **everywhere, "retention": f"{args.cluster.monitoring_days}d",
            # A full disk stops Prometheus; the oldest samples go before that.
            "retentionSize": f"{round(args.cluster.monitoring_volume_gib * 0.85)}GB",
            "storageSpec": {"volumeClaimTemplate": {"spec": disk}},
            "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        }},
        "kube-state-metrics": {"metricLabelsAllowlist": [labels]},
        "grafana": {
            "sidecar": {"dashboards": {"enabled": True, "label": "grafana_dashboard", "searchNamespace": "ALL"}},
            "service": {"type": "ClusterIP"},
        },
        "alertmanager": {
            "serviceAccount": {"name": _ALERTMANAGER}, **({"config": _notices(args)} if args.topic else {}),
        },
    }  # fmt: skip


def _notices(args: MonitoringArgs) -> dict[str, Any]:
    """Alertmanager's configuration: every alert of ours to the topic, the one that always fires to nobody."""
    topic = {
        "topic_arn": args.aws.arn("sns", args.topic), "sigv4": {"region": args.aws.region},
        "subject": "LLMAgentOS: {{ .CommonLabels.alertname }}", "send_resolved": True,
    }  # fmt: skip
    return {
        "route": {
            "receiver": "people", "group_by": ["namespace", "alertname"], "group_wait": "30s", "repeat_interval": "12h",
            "routes": [{"receiver": "nobody", "matchers": ['alertname =~ "Watchdog|InfoInhibitor"']}],
        },
        "receivers": [{"name": "nobody"}, {"name": "people", "sns_configs": [topic]}],
    }  # fmt: skip


def _exporter() -> dict[str, Any]:
    # Of Karpenter, of EKS Auto Mode, and of our own node groups; any of them will do.
    marks = {
        "karpenter.k8s.aws/instance-gpu-manufacturer": "nvidia",
        "eks.amazonaws.com/instance-gpu-manufacturer": "nvidia",
        "nvidia.com/gpu.present": "true",
    }
    terms = [
        {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]} for key, value in marks.items()
    ]
    return {
        "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
        }},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "serviceMonitor": {"enabled": True},
    }  # fmt: skip
