"""DnsName: an application's name in Route 53."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._base import Component

__all__ = ["DnsName", "DnsNameArgs"]

_TTL_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class DnsNameArgs:
    """What a name is given.

    Attributes:
        host: full name.
        zone_id: hosted zone.
        address: name of the load balancer.
    """

    host: str
    zone_id: str
    address: pulumi.Input[str]


class DnsName(Component):
    """A CNAME record. Not an alias: that needs the load balancer's own zone, which the controller does not tell. So the
    host cannot be the name of the zone itself.

    Outputs:
        host: the name, once the record is there.
    """

    host: pulumi.Output[str]

    def __init__(self, name: str, args: DnsNameArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        record = aws.route53.Record(
            f"{name}-record", zone_id=args.zone_id, name=args.host, type="CNAME", ttl=_TTL_SECONDS,
            records=[args.address], opts=self.child(),
        )  # fmt: skip
        self.host = record.name
        self.register_outputs({"host": self.host})
