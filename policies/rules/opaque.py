"""Resources whose contents the pack cannot see."""

from __future__ import annotations

from collections.abc import Iterable

from ._model import Resource
from ._rule import Context, Rule, Violation, each_resource

__all__ = ["RULES"]


def _opaque(resource: Resource, context: Context) -> Iterable[Violation]:
    yield Violation(path="", message="what this release installs is not visible here, so no other rule has checked it")


RULES = (
    Rule(
        id="opaque-release",
        title="What a Helm release installs is checked elsewhere.",
        why="Its objects are made inside the provider; a stack that passes says nothing about them.",
        fix="check the chart's output: `helm template ... | python3 -m llmos check -`",
        sources=("https://www.pulumi.com/registry/packages/kubernetes/api-docs/helm/v3/release/",),
        level="advisory",
        cells=each_resource("kubernetes:helm.sh/v3:Release"),
        checks=(_opaque,),
    ),
)
