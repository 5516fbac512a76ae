"""A minimal Debian or Ubuntu with Python, from the package archives this machine uses: no image registry needed."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmos.console import step
from llmos.process import run

__all__ = ["debian_root"]

# `python` besides `python3`, because the image stands in for one that has both.
_PACKAGES = ("python3", "python3-pip", "python3-venv", "python-is-python3", "ca-certificates")
# Manuals and translations make up a tenth of the image; licences are kept, as they must be.
# The folder is thrown away after a crash, so dpkg need not wait for the disk after every package.
_DPKG = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
_HOOKS = (
    # How this machine reaches the archive, a proxy's password perhaps, is no part of the image.
    'rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap',
    # Debian keeps pip away from its own Python; in the image this one stands in for, `pip install` works.
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
)
# Every file newer than this gets this date, so that the same packages give the same layer (2024-01-01).
_EPOCH = "1704067200"
# The part of apt's settings that says how to reach the archive; the others are none of the image's business.
_APT_SETTING = re.compile(r'Acquire::(?:(?:https?|ftp)::|Check-(?:Valid-Until|Date)|ForceIPv)[^"]* "[^"]+";')


@contextmanager
def debian_root() -> Iterator[Path]:
    """A tar file of the root file system (about 200 MB, two minutes), deleted afterwards.

    Needs root and mmdebstrap. The same package versions give the same file, byte for byte.

    Raises:
        EnvironmentFault: a package cannot be fetched or installed; quotes mmdebstrap.
    """
    with tempfile.TemporaryDirectory(prefix="llmos-base-") as folder:
        root = Path(folder) / "root.tar"
        command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
        command += [f"--aptopt={line}" for line in _apt_settings(run(["apt-config", "dump"], check=False).stdout)]
        command += [f"--dpkgopt={line}" for line in _DPKG]
        command += [f"--customize-hook={line}" for line in _HOOKS]
        command += ["", str(root), *(str(path) for path in _apt_sources(Path("/etc/apt")))]
        env = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
        fix = "check that `apt-get update` works on this machine, then run the command again"
        with step("making a base image from Debian's packages (about two minutes, once)"):
            run(command, where="base image", fix=fix, env=env)
        yield root


def _apt_sources(folder: Path) -> list[Path]:
    """The files that name the distribution's own archive; every other source only where there are none of these."""
    lists = folder / "sources.list.d"
    known = [folder / "sources.list", lists / "debian.sources", lists / "ubuntu.sources"]
    others = sorted([*lists.glob("*.sources"), *lists.glob("*.list")])
    own = [path for path in known if path.is_file() and path.stat().st_size]
    return own or others


def _apt_settings(dump: str) -> list[str]:
    return [line for line in dump.splitlines() if _APT_SETTING.fullmatch(line)]
