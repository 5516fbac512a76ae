"""What this machine routes, by its IPv4 routing tables."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil

from llmos.process import run

__all__ = ["ROOT_PATH", "ip_program", "routes"]

ROOT_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
"""Folders of administration programs, which a user's PATH often lacks."""

Routes = list[tuple[str, ipaddress.IPv4Network]]


def ip_program() -> str | None:
    """Path of `ip`; None where there is none, as on macOS."""
    return shutil.which("ip", path=os.pathsep.join((os.environ.get("PATH", ""), ROOT_PATH)))


def routes() -> Routes:
    """Interface and network of every route but the default one; nothing where there is no `ip` to ask."""
    program = ip_program()
    if program is None:
        return []
    done = run([program, "-json", "-4", "route", "show", "table", "all"], check=False)
    found = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    return [
        (route.get("dev", ""), ipaddress.ip_network(route["dst"], strict=False))
        for route in found if route["dst"] != "default"
    ]  # fmt: skip
