"""Asking the policy pack, and what `check` makes of its answers."""
