"""The policy pack. Without a configuration it applies the strictest environment, prod."""

from config import initial
from pulumi_policy import PolicyPack
from rules import POLICIES, RULES

PolicyPack(
    name="llmagentos", policies=POLICIES, initial_config=initial("prod", {rule.id: rule.level for rule in RULES})
)
