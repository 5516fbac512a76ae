"""What `status` says about the state of a stack on the pulumi engine."""

from __future__ import annotations

from llmos.engines import pulumi_cli
from llmos.session import Session

__all__ = ["state_lines"]


def state_lines(session: Session) -> list[str]:
    """Where the state is, and how the last run on it ended; nothing where the engine is another one.

    Asks the CLI where it is installed, and never installs it: `status` changes nothing.
    """
    if session.engine.name != "pulumi":
        return []
    if pulumi_cli.find() is None:
        return ["State: the Pulumi CLI is not installed here, so the state cannot be read"]
    from llmos.engines import pulumi

    found = pulumi.status(session.run)
    where = found.backend or "this machine's cache"
    if not found.last:
        return [f"State: in {where}; nothing was run on it yet"]
    when = f" at {found.finished}" if found.finished else ""
    return [f"State: in {where}; the last {found.last} {found.result}{when}"]
