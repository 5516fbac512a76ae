"""Whether a stack can be deployed now, and what to do where it cannot."""
