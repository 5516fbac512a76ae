"""Entry: what an application's name in DNS needs before it is served: a certificate, and a firewall for the public."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._base import Component
from planner.plan import EntryPlan

__all__ = ["Entry", "EntryArgs"]

_PROOF_TTL_SECONDS = 300
# Amazon's own groups of rules: known bad input, and the most common attacks. Prompts are long, and full of what looks
# like code or an attack, so rules about bodies only count; paths, headers and queries are held to all of them.
_GROUPS = {
    "AWSManagedRulesKnownBadInputsRuleSet": ("JavaDeserializationRCE_BODY", "Log4JRCE_BODY"),
    "AWSManagedRulesCommonRuleSet": (
        "CrossSiteScripting_BODY", "EC2MetaDataSSRF_BODY", "GenericLFI_BODY", "GenericRFI_BODY",
        "SizeRestrictions_BODY",
    ),
}


@dataclass(frozen=True, kw_only=True)
class EntryArgs:
    """What an entry is given.

    Attributes:
        entry: the plan's decisions: host, zone, whether the internet may reach it.
        name: of the firewall, unique in the region.
    """

    entry: EntryPlan
    name: str


class Entry(Component):
    """An ACM certificate, proven by a record in the zone, and for a public entry a web application firewall.

    Outputs:
        certificate_arn: the certificate, once it is issued.
        firewall_arn: the firewall; empty for internal entries.
    """

    certificate_arn: pulumi.Output[str]
    firewall_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EntryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        entry = args.entry
        self.certificate_arn = (
            pulumi.Output.from_input(entry.certificate) if entry.certificate else self._certificate(name, entry)
        )
        self.firewall_arn = self._firewall(name, args) if entry.public else pulumi.Output.from_input("")
        self.register_outputs({"certificate_arn": self.certificate_arn, "firewall_arn": self.firewall_arn})

    def _certificate(self, name: str, entry: EntryPlan) -> pulumi.Output[str]:
        certificate = aws.acm.Certificate(
            f"{name}-certificate", domain_name=entry.host, validation_method="DNS", opts=self.child()
        )
        # One name, so one proof; its record must stay, because ACM looks for it again at each renewal.
        proof = certificate.domain_validation_options.apply(lambda found: found[0])
        record = aws.route53.Record(
            f"{name}-proof",
            zone_id=entry.zone_id,
            name=proof.apply(lambda found: found.resource_record_name),
            type=proof.apply(lambda found: found.resource_record_type),
            records=[proof.apply(lambda found: found.resource_record_value)],
            ttl=_PROOF_TTL_SECONDS,
            allow_overwrite=True,
            opts=self.child(),
        )
        issued = aws.acm.CertificateValidation(
            f"{name}-issued", certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn], opts=self.child()
        )
        return issued.certificate_arn

    def _firewall(self, name: str, args: EntryArgs) -> pulumi.Output[str]:
        limit = {"rate_based_statement": {"aggregate_key_type": "IP", "limit": args.entry.requests_per_5_minutes}}
        rate = {"name": "rate", "priority": 0, "action": {"block": {}}, "statement": limit}
        rules: list[dict[str, Any]] = [{**rate, **_counted(f"{args.name}-rate")}]
        for number, (group, only_counted) in enumerate(_GROUPS.items(), start=1):
            overrides = [{"name": rule, "action_to_use": {"count": {}}} for rule in only_counted]
            managed = {"vendor_name": "AWS", "name": group, "rule_action_overrides": overrides}
            rules.append({
                "name": group, "priority": number, "override_action": {"none": {}},
                "statement": {"managed_rule_group_statement": managed}, **_counted(f"{args.name}-{number}"),
            })  # fmt: skip
        made = aws.wafv2.WebAcl(
            f"{name}-firewall",
            name=args.name,
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=rules,
            **_counted(args.name),
            opts=self.child(),
        )
        return made.arn


def _counted(metric: str) -> dict[str, Any]:
    return {
        "visibility_config": {
            "cloudwatch_metrics_enabled": True, "sampled_requests_enabled": False, "metric_name": metric,
        }
    }  # fmt: skip
