"""Reading what `check` is given: Kubernetes YAML in any arrangement, and exports of Pulumi's state."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from llmos.checks.findings import PackResource
from planner.faults import Fault, UserFault

__all__ = ["Manifest", "read_manifests", "resources_of"]

_SECRET_KEY = "4dabf18193072939515e22adb298388d"  # Pulumi's mark of a special value in a state file
_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One object with the file it came from, as the pack is asked about it."""

    file: str
    resource: PackResource


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without dates: Kubernetes has none, and a date is no value of the protocol."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_manifests(paths: Sequence[str]) -> tuple[Manifest, ...]:
    """The objects in files, folders (searched for YAML and JSON) or, for ``-``, standard input.

    Multi-document files, List kinds, Helm's output and state exports are recognised by their content.

    Raises:
        UserFault: one fault for each file or document that cannot be read.
    """
    found: list[Manifest] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            for file, text in _texts(path):
                found += _objects(file, text, faults, len(found))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text in UTF-8"
            faults.append(Fault(what=f"cannot be read: {reason}", where=path, fix="name a file or folder that exists"))
    if faults:
        raise UserFault(faults)
    return tuple(found)


def resources_of(documents: Iterable[Mapping[str, Any]], *, file: str) -> tuple[Manifest, ...]:
    """Objects that are in memory already, e.g. from a cluster."""
    faults: list[Fault] = []
    found: list[Manifest] = []
    for document in documents:
        found += _of_document(file, 0, document, faults, len(found))
    if faults:
        raise UserFault(faults)
    return tuple(found)


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if path == "-":
        yield "-", sys.stdin.read()
        return
    place = Path(path)
    if not place.is_dir():
        yield path, place.read_text(encoding="utf-8-sig")
        return
    for file in sorted(place.rglob("*")):
        if file.suffix in _SUFFIXES and file.is_file():
            yield str(file), file.read_text(encoding="utf-8-sig")


def _objects(file: str, text: str, faults: list[Fault], count: int) -> list[Manifest]:
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        template = "{{" in text
        faults.append(Fault(
            what=f"not valid YAML: {getattr(error, 'problem', None) or 'it cannot be parsed'}", where=f"{file}{line}",
            nearest="it looks like an unrendered Helm template" if template else "",
            fix="pass the output of `helm template`" if template else "correct the file",
        ))
        return []
    found: list[Manifest] = []
    for number, document in enumerate(documents, start=1):
        if document is not None:
            found += _of_document(file, number, document, faults, count + len(found))
    return found


def _of_document(file: str, number: int, document: Any, faults: list[Fault], count: int) -> list[Manifest]:
    where = f"{file}, document {number}" if number else file
    if not isinstance(document, Mapping):
        faults.append(Fault(what="the document is no object", where=where, fix="begin it with apiVersion and kind"))
        return []
    deployment = document.get("deployment")
    if isinstance(deployment, Mapping) and isinstance(deployment.get("resources"), list):
        return [_of_state(file, resource) for resource in deployment["resources"] if "inputs" in resource]
    kind = document.get("kind")
    if not isinstance(kind, str) or not isinstance(document.get("apiVersion"), str):
        faults.append(Fault(
            what="the document has no apiVersion and kind", where=where,
            fix="pass Kubernetes manifests or the output of `pulumi stack export`",
        ))
        return []
    items = document.get("items")
    if kind.endswith("List") and isinstance(items, list):
        found: list[Manifest] = []
        for item in items:
            found += _of_document(file, number, item, faults, count + len(found))
        return found
    return [_of_object(file, document, count)]


def _of_object(file: str, document: Mapping[str, Any], count: int) -> Manifest:
    version = document["apiVersion"]
    token = f"kubernetes:{version if '/' in version else f'core/{version}'}:{document['kind']}"
    metadata = document.get("metadata")
    name = str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""
    urn = f"urn:pulumi:check::check::{token}::{count}-{name}"
    return Manifest(file=file, resource=PackResource(type=token, name=name, urn=urn, properties=document))


def _of_state(file: str, resource: Mapping[str, Any]) -> Manifest:
    urn = str(resource.get("urn", ""))
    return Manifest(
        file=file,
        resource=PackResource(
            type=str(resource.get("type", "")), name=urn.rpartition("::")[2], urn=urn,
            properties=_without_ciphertext(resource["inputs"]), parent=str(resource.get("parent", "")),
            dependencies=tuple(resource.get("dependencies") or ()), protect=bool(resource.get("protect")),
        ),
    )


def _without_ciphertext(value: Any) -> Any:
    """Secrets of a state export: readable where they were exported in plain, otherwise unknown."""
    if isinstance(value, Mapping):
        if _SECRET_KEY in value:
            return json.loads(value["plaintext"]) if "plaintext" in value else UNKNOWN_STRING_VALUE
        return {key: _without_ciphertext(element) for key, element in value.items()}
    if isinstance(value, list):
        return [_without_ciphertext(element) for element in value]
    return value
