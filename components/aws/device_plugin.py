"""DevicePlugin: tells the scheduler of GPUs on nodes whose image does not."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import Component

__all__ = ["PLUGIN_VERSION", "DevicePlugin", "DevicePluginArgs"]

PLUGIN_VERSION = "0.20.0"
_CHARTS = "https://nvidia.github.io/k8s-device-plugin"
_LABEL = "llmagentos.dev/device-plugin"


@dataclass(frozen=True, kw_only=True)
class DevicePluginArgs:
    """What the plugin is given: nothing. Which nodes it runs on, their pools say by a label."""


class DevicePlugin(Component):
    """NVIDIA's device plugin, on nodes with the label ``llmagentos.dev/device-plugin`` only.

    Pools set the label where their image lacks the plugin (Amazon Linux 2023), so it never stands beside the one of
    Bottlerocket.
    """

    def __init__(self, name: str, args: DevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        k8s.helm.v3.Release(
            name,
            name="nvidia-device-plugin",
            namespace="kube-system",
            chart="nvidia-device-plugin",
            version=PLUGIN_VERSION,
            repository_opts={"repo": _CHARTS},
            # The chart's own affinity asks for labels of node feature discovery; null takes a default away.
            values={"nodeSelector": {_LABEL: "true"}, "affinity": None},
            atomic=True,
            max_history=5,
            opts=self.child(),
        )
        self.register_outputs({})
