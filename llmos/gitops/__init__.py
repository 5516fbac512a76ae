"""Rendering for Argo CD and Flux: the objects of ``up``, in an order that the tool keeps, secrets by reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmos.gitops import argocd, flux
from llmos.gitops.objects import gitops_objects
from llmos.rendering import write_files
from llmos.stacks import Stack
from llmos.synth import Program

__all__ = ["TOOLS", "render_gitops", "write_gitops"]

TOOLS = ("argocd", "flux")


def render_gitops(tool: str, stack: Stack, program: Program) -> Mapping[str, Mapping[str, str]]:
    """Folder below the target (empty for the target itself) -> file name -> YAML.

    Args:
        tool: one of ``TOOLS``.
        stack: what is rendered; its ``gitops`` settings say where files lie and secret values come from.
        program: synthesised with every digest known.
    """
    objects = gitops_objects(program, stack)
    return argocd.render_argocd(objects, stack) if tool == "argocd" else flux.render_flux(objects, stack)


def write_gitops(folders: Mapping[str, Mapping[str, str]], target: Path, *, stack: str) -> list[str]:
    """Write what ``render_gitops`` gave, and remove what an earlier rendering left, of either tool.

    Returns and raises as ``rendering.write_files``.
    """
    removed: list[str] = []
    for name in ("", *flux.FOLDERS):
        files = folders.get(name, {})
        if files or (target / name).is_dir():
            removed += [f"{name}/{file}" if name else file for file in write_files(files, target / name, stack=stack)]
    return removed
