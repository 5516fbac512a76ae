"""Canaries: what their pods say of themselves, and the verdict on it."""
