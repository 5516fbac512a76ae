"""Ways in from the internet on AWS: a web application firewall in front."""

from __future__ import annotations

from collections.abc import Iterable

from ._model import KubeObject
from ._rule import Context, Rule, Violation, each_object

__all__ = ["RULES"]

_INGRESS, _SERVICE = "alb.ingress.kubernetes.io", "service.beta.kubernetes.io/aws-load-balancer-scheme"
_PUBLIC = "internet-facing"
_BALANCER = "LoadBalancerConfiguration"


def _firewall(entry: KubeObject, context: Context) -> Iterable[Violation]:
    """The AWS Load Balancer Controller makes internal load balancers unless it is told otherwise."""
    notes = entry.root.get("metadata", "annotations")
    if entry.kind == "Service":
        node = notes.get(_SERVICE)
        if node.text == _PUBLIC:
            yield Violation(path=node.path, message="the internet reaches a network load balancer, which takes no "
                            "firewall", fix="make it internal, or use an Ingress or a Gateway with a firewall")
        return
    if entry.kind == _BALANCER:
        public, firewall = entry.root.get("spec", "scheme"), entry.root.get("spec", "wafV2", "webACL")
    else:
        public, firewall = notes.get(f"{_INGRESS}/scheme"), notes.get(f"{_INGRESS}/wafv2-acl-arn")
    if public.text == _PUBLIC and not (firewall.text or "").startswith("arn:"):
        yield Violation(path=firewall.path, message="the internet reaches the load balancer, and no firewall stands in "
                        "front of it")


RULES = (
    Rule(
        id="public-firewall",
        title="What the internet reaches on AWS stands behind a web application firewall.",
        why="One address that floods an application, or looks for known holes in it, is otherwise stopped by nothing.",
        fix="name a web ACL by the annotation alb.ingress.kubernetes.io/wafv2-acl-arn, or by wafV2.webACL of the "
        "Gateway's LoadBalancerConfiguration",
        sources=(
            "https://docs.aws.amazon.com/securityhub/latest/userguide/elb-controls.html",
            "https://docs.aws.amazon.com/waf/latest/developerguide/waf-chapter.html",
        ),
        controls=("aws-fsbp/ELB.16", "owasp-llm/LLM10:2025"),
        cells=each_object("Ingress", "Service", _BALANCER),
        checks=(_firewall,),
    ),
)
