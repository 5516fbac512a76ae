"""What image builds by the Pulumi CLI need to know of this machine; the kubectl engine builds by itself."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Sequence
from pathlib import Path

from llmos.images import host
from llmos.images.build import base_for
from llmos.images.buildx import register, require_reachable, store
from llmos.images.engine import Engine, ensure_engine, find_engine
from llmos.images.options import BuildOptions
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault

__all__ = ["image_env"]

_WHERE = "image builds by the pulumi engine"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_LONGEST_VARIABLE = 100_000
"""The provider hands a secret to buildx in an environment variable, of which Linux takes 128 KiB at most."""


def image_env(
    contexts: Sequence[Path], *, options: BuildOptions, platforms: Sequence[str] = (), make: bool, install: bool
) -> dict[str, str]:
    """Variables for ``EngineRun.env``: the builder, the base image and the certificates of this machine.

    A remote builder with an address is registered for the provider, which takes builders of buildx by name only.

    Args:
        contexts: the folders that are built; none gives no variables.
        options: which builder.
        platforms: as in the stack file.
        make: start an engine and make the base image where they are missing, as `up` does. A preview only names what
            is there, so that it shows no change that is none.
        install: whether missing Debian packages may be installed.

    Raises:
        UserFault: with ``make``: a certificate file of a remote builder does not exist.
        EnvironmentFault: with ``make``: no Docker engine, base image or buildx plugin can be had, or a remote builder
            does not answer.
    """
    if not contexts:
        return {}
    if options.address:
        if make:
            require_reachable(options)
        register(options)
    engine = None if options.builder == "remote" else _engine(options, make=make, install=install)
    own = options.builder == "engine"
    bases = {base_for(context=c, platforms=platforms, make=make, install=install) for c in contexts if own}
    ca_bundle = _own_authorities()
    found = {
        "BUILDX_CONFIG": str(store()) if options.address else None,
        "DOCKER_HOST": engine.host if engine else None,
        "LLMOS_BASE_IMAGE": min(bases) if len(bases) == 1 else None,
        "LLMOS_CA_BUNDLE": str(ca_bundle) if ca_bundle else None,
        "LLMOS_PIP_CONFIG": host.pip_configuration(),
    }
    return {name: value for name, value in found.items() if value}


def _engine(options: BuildOptions, *, make: bool, install: bool) -> Engine | None:
    engine = ensure_engine(install=install, why="building images") if make else find_engine()
    if options.builder == "engine" and engine and make and not engine.buildx:
        what = "the Docker client has no buildx plugin, and the Pulumi provider builds through it"
        fix = "install it (`docker-buildx` or `docker-buildx-plugin`), or take `--engine kubectl`"
        raise EnvironmentFault(Fault(what=what, where=_WHERE, fix=fix))
    return engine


def _own_authorities() -> Path | None:
    """This machine's certificate authorities; of a bundle too long to be passed on, those that pip does not know."""
    bundle = host.ca_bundle()
    if bundle is None or bundle.stat().st_size <= _LONGEST_VARIABLE:
        return bundle
    public = importlib.resources.files("pip._vendor.certifi").joinpath("cacert.pem").read_text(encoding="utf-8")
    known = {"".join(one.split()) for one in _CERTIFICATE.findall(public)}
    text = bundle.read_text(encoding="utf-8", errors="replace")
    own = [one for one in _CERTIFICATE.findall(text) if "".join(one.split()) not in known]
    if not own:
        return None
    file = cache_dir() / "pulumi" / "authorities.pem"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(own) + "\n", encoding="utf-8")
    return file
