"""ClusterStack: the wiring of a cluster stack. It turns a plan into an EKS cluster and decides nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components._aws import aws_provider, kubeconfig
from components._base import Component
from components.aws.addons import EksAddons, EksAddonsArgs
from components.aws.alarms import Alarms, AlarmsArgs
from components.aws.device_plugin import DevicePlugin, DevicePluginArgs
from components.aws.eks_cluster import EksCluster, EksClusterArgs
from components.aws.general_nodes import GeneralNodes, GeneralNodesArgs
from components.aws.karpenter import Karpenter, KarpenterArgs
from components.aws.load_balancer_controller import LoadBalancerController, LoadBalancerControllerArgs
from components.aws.managed_monitoring import ManagedMonitoring, ManagedMonitoringArgs
from components.aws.monitoring import Monitoring, MonitoringArgs
from components.aws.network import Network, NetworkArgs
from components.aws.network_policies import NetworkPolicies
from components.aws.node_group import NodeGroup, NodeGroupArgs
from components.aws.pull_through_cache import PullThroughCache, PullThroughCacheArgs
from components.aws.spending_limit import SpendingLimit, SpendingLimitArgs
from planner.plan import Plan, node_role, subnet_tag

__all__ = ["ClusterStack", "ClusterStackArgs"]

# Before there are nodes: without them a node never becomes ready. After: they run on nodes, and an add-on that does
# not run fails.
_BEFORE_NODES = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni")
_ON_SYSTEM_NODES = ("aws-ebs-csi-driver", "coredns")
# It does not tolerate the system nodes' taint.
_ON_GENERAL_NODES = ("metrics-server",)


@dataclass(frozen=True, kw_only=True)
class ClusterStackArgs:
    """What a cluster stack is given: the plan, with its parts ``aws`` and ``cluster``."""

    plan: Plan


class ClusterStack(Component):
    """An EKS cluster with all that workload stacks expect of it.

    It is a stack of its own because its controllers have to outlive what they look after: load balancers and nodes are
    removed by them, and their finalizers would wait for ever once they are gone.

    Outputs:
        summary: name, kubeconfig (without credentials), network and list price, for ``pulumi stack output``.
    """

    summary: dict[str, Any]

    def __init__(self, name: str, args: ClusterStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        plan = args.plan
        assert plan.aws and plan.cluster
        self._stack = plan.stack
        self._aws, self._cluster, self._durable = plan.aws, plan.cluster, plan.environment != "dev"
        account = pulumi.ResourceOptions(providers=[aws_provider(self._aws)])
        super().__init__(
            name, props={"stack": plan.stack, "environment": plan.environment},
            opts=pulumi.ResourceOptions.merge(opts, account),
        )
        self._tag = subnet_tag(self._aws.cluster_name)
        network = Network(
            "network", NetworkArgs(aws=self._aws, network=self._cluster.network, subnet_tag=self._tag), self.child()
        )
        cluster = EksCluster(
            "cluster",
            EksClusterArgs(
                aws=self._aws, cluster=self._cluster, subnet_ids=network.private_subnet_ids, durable=self._durable,
                cache_prefixes=[cache.prefix for cache in self._cluster.caches],
            ),
            self.child(depends_on=network.routes),
        )
        config = kubeconfig(self._aws, endpoint=cluster.endpoint, certificate=cluster.certificate)
        inside = self._inside(config, cluster)
        PullThroughCache("cache", PullThroughCacheArgs(caches=self._cluster.caches), self.child())
        if self._cluster.auto_mode:
            self._auto_nodes(network, cluster, inside)
        else:
            self._nodes(network, cluster, inside)
        self._watch(network, cluster, inside)
        self.summary = {
            "cluster": self._aws.cluster_name,
            "kubeconfig": config,
            "vpc": network.vpc_id,
            "subnets": network.private_subnet_ids,
            "security_group": cluster.security_group_id,
            "usd_per_month": plan.usd_per_month,
        }
        self.register_outputs(self.summary)

    def _inside(self, config: pulumi.Output[str], cluster: EksCluster) -> pulumi.ProviderResource:
        return k8s.Provider(
            "cluster",
            kubeconfig=config,
            cluster_identifier=self._aws.arn("eks", f"cluster/{self._aws.cluster_name}"),
            enable_server_side_apply=True,
            # The deployer may use the cluster only once its access entry is there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=cluster.access),
        )

    def _watch(self, network: Network, cluster: EksCluster, inside: pulumi.ProviderResource) -> None:
        """Alarms, the budget, and Prometheus with Grafana."""
        topic = f"{self._aws.cluster_name}-alarms" if self._aws.alert_emails else ""
        if topic:
            args = AlarmsArgs(
                aws=self._aws, topic=topic, nat_ids=network.nat_ids, durable=self._durable,
                interruptions=not self._cluster.auto_mode,
            )  # fmt: skip
            Alarms("alarms", args, self.child(depends_on=[cluster]))
        if self._aws.budget_usd:
            SpendingLimit("budget", SpendingLimitArgs(aws=self._aws, stack=self._stack), self.child())
        if self._cluster.monitoring == "helm":
            monitoring = MonitoringArgs(aws=self._aws, cluster=self._cluster, cluster_name=cluster.name, topic=topic)
            Monitoring("monitoring", monitoring, self.child(depends_on=[self._general], providers=[inside]))
        elif self._cluster.monitoring == "managed":
            managed = ManagedMonitoringArgs(
                aws=self._aws, cluster_arn=cluster.arn, subnet_ids=network.private_subnet_ids,
                security_group_ids=[cluster.security_group_id],
            )
            ManagedMonitoring("monitoring", managed, self.child(depends_on=[self._general]))

    def _addons(self, name: str, cluster: EksCluster, names: tuple[str, ...], after: list[Any]) -> EksAddons:
        args = EksAddonsArgs(
            aws=self._aws, cluster_name=cluster.name, names=names, versions=self._cluster.addon_versions
        )
        return EksAddons(name, args, self.child(depends_on=after))

    def _nodes(self, network: Network, cluster: EksCluster, inside: pulumi.ProviderResource) -> None:
        """System nodes, the controllers on them, and the nodes that those make."""
        decided, prefixes = self._cluster, [cache.prefix for cache in self._cluster.caches]
        first = self._addons("addons-before-nodes", cluster, _BEFORE_NODES, [])
        system = NodeGroup(
            "system-nodes",
            NodeGroupArgs(
                aws=self._aws, cluster_name=cluster.name, subnet_ids=network.private_subnet_ids,
                role_name=f"{self._aws.cluster_name}-{self._aws.region}-system", instance_types=decided.system_types,
                ami_type="BOTTLEROCKET_x86_64", count=(decided.system_count, decided.system_count),
                volume_gib=decided.system_volume_gib, labels={"llmagentos.dev/pool": "system"},
                taint="CriticalAddonsOnly", cache_prefixes=prefixes,
            ),
            self.child(depends_on=[first]),
        )
        second = self._addons("addons", cluster, _ON_SYSTEM_NODES, [system])
        role = node_role(self._aws.cluster_name, self._aws.region)
        karpenter = Karpenter(
            "karpenter",
            KarpenterArgs(aws=self._aws, cluster_name=cluster.name, node_role=role, cache_prefixes=prefixes),
            self.child(depends_on=[second], providers=[inside]),
        )
        general = GeneralNodes(
            "general-nodes",
            GeneralNodesArgs(aws=self._aws, cluster=decided, node_role=role, subnet_tag=self._tag),
            # Deleted first: Karpenter ends its machines only while it runs.
            self.child(depends_on=[karpenter], providers=[inside]),
        )
        self._general = self._addons("addons-on-general-nodes", cluster, _ON_GENERAL_NODES, [general])
        self._load_balancers(network, cluster, inside, second)
        DevicePlugin("device-plugin", DevicePluginArgs(), self.child(depends_on=[second], providers=[inside]))

    def _auto_nodes(self, network: Network, cluster: EksCluster, inside: pulumi.ProviderResource) -> None:
        """EKS brings the rest: machines for controllers, network, DNS, volumes, pod identities, the GPU plugin."""
        enforced = NetworkPolicies("network-policies", self.child(depends_on=[cluster], providers=[inside]))
        general = GeneralNodes(
            "general-nodes",
            GeneralNodesArgs(
                aws=self._aws, cluster=self._cluster, node_role=self._aws.node_role, subnet_tag=self._tag
            ),
            self.child(depends_on=[enforced], providers=[inside]),
        )
        self._general = self._addons("addons-on-general-nodes", cluster, _ON_GENERAL_NODES, [general])
        self._load_balancers(network, cluster, inside, enforced)

    def _load_balancers(
        self, network: Network, cluster: EksCluster, inside: pulumi.ProviderResource, after: pulumi.Resource
    ) -> None:
        args = LoadBalancerControllerArgs(aws=self._aws, cluster_name=cluster.name, vpc_id=network.vpc_id)
        LoadBalancerController("load-balancers", args, self.child(depends_on=[after], providers=[inside]))
