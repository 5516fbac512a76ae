"""The reference of the stack file, ``docs/stack-reference.md``, from the same schema that editors get."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmos.reference.schema import settings_schema

__all__ = ["document"]

_Schema = Mapping[str, Any]
_ROOT = "StackSettings"
_BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
_INTRODUCTION = """\
# Stack file

Generated from the settings models by `venv/bin/python -m llmos.reference`; a test keeps it current.

One stack is one file, `Pulumi.<stack>.yaml`. Everything below stands under the key `llmagentos:stack` of its `config`:

```yaml
# yaml-language-server: $schema=docs/stack.schema.json
config:
  llmagentos:stack:
    target: local
    applications:
      llm-app: {image: {build: ./app}}
```

- With the first line an editor that knows YAML schemas completes keys, shows what follows here, and marks mistakes.
- Unknown keys are refused. `python3 -m llmos preview --offline` reports every fault of a file at once, with its path.
- A folder to build (`image.build`) is relative to the project's folder, wherever the stack file lies and whatever
  folder a command is run in. Files with data of the stack (`traffic.history`) are relative to the stack file.
- Text that YAML reads as something else has to be quoted: `"8080"`, `"yes"`, `"builtin:tiny"`.
"""


def document() -> str:
    """The whole page."""
    made = settings_schema()
    models: Mapping[str, _Schema] = made["$defs"]
    places = _places(models)
    sections = [_section(name, models, places[name]) for name in _in_order(models)]
    return "\n".join([_INTRODUCTION, *sections])


def _in_order(models: Mapping[str, _Schema]) -> list[str]:
    """The models as a reader meets them: the root, then each where it is first referred to."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name not in found:
            found.append(name)
            for other in _references(models[name].get("properties", {})):
                visit(other)

    visit(_ROOT)
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _places(models: Mapping[str, _Schema]) -> dict[str, str]:
    """Where in a file each model stands, e.g. ``applications.<name>.image``; the first place of several."""
    places = {_ROOT: ""}
    for name in _in_order(models):
        for key, value in models[name].get("properties", {}).items():
            for other in _references(value):
                middle = {"object": ".<name>", "array": "[]"}.get(str(value.get("type")), "")
                places.setdefault(other, ".".join(filter(None, (places[name], f"{key}{middle}"))))
    return places


def _title(name: str) -> str:
    """``ApplicationReplicas`` as a person writes it."""
    if name == _ROOT:
        return "The stack"
    words = re.findall(r"[A-Z][a-z0-9]*", name.removesuffix("Settings").removesuffix("Rows"))
    return " ".join([words[0], *(word.lower() for word in words[1:])])


def _section(name: str, models: Mapping[str, _Schema], place: str) -> str:
    model = models[name]
    about = [str(model.get("description", "")), f"Stands at `{place}`." if place else ""]
    lines = [f"## {_title(name)}", "", " ".join(filter(None, about)), ""]
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    required = model.get("required", [])
    for key, value in model.get("properties", {}).items():
        default = "required" if key in required else _default(value)
        # Pydantic leaves out a text that equals the model's own.
        meaning = value.get("description") or " ".join(models[o].get("description", "") for o in _references(value))
        cells = (f"`{key}`", _type(value), default, meaning)
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _default(value: _Schema) -> str:
    if "default" not in value:
        return ""
    default = value["default"]
    if isinstance(default, Mapping):
        return "its own defaults"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _type(value: _Schema) -> str:
    """What may stand there, in words."""
    if "$ref" in value:
        title = _title(value["$ref"].rpartition("/")[2])
        return f"[{title.lower()}](#{title.lower().replace(' ', '-')})"
    if "anyOf" in value:
        kinds = [_type(item) for item in value["anyOf"] if item.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return _alternatives([f"`{item}`" for item in value["enum"]])
    return {"object": _map, "array": _list, "string": _text, "integer": _number, "number": _number}.get(
        str(value.get("type")), _other
    )(value)


def _map(value: _Schema) -> str:
    values = value.get("additionalProperties")
    names = value.get("propertyNames", {})
    keys = "names" if names else "keys"
    size = f", at least {value['minProperties']}" if value.get("minProperties") else ""
    form = _form(names)
    inner = _type(values) if isinstance(values, Mapping) else "anything"
    return f"map of {keys}{f' ({form})' if form else ''} to {inner}{size}"


def _list(value: _Schema) -> str:
    size = f", at least {value['minItems']}" if value.get("minItems") else ""
    return f"list of {_type(value.get('items', {}))}{size}"


def _text(value: _Schema) -> str:
    form = _form(value)
    return f"text ({form})" if form else "text"


def _form(value: _Schema) -> str:
    parts = []
    if "pattern" in value:
        parts.append(f"`{_short_pattern(value['pattern'])}`")
    if "maxLength" in value:
        parts.append(f"at most {value['maxLength']} characters")
    return ", ".join(parts)


def _short_pattern(pattern: str) -> str:
    """The pattern without its anchors and without marks that only matter to a machine."""
    return re.sub(r"\(\?:", "(", pattern.removeprefix("^").removesuffix("$"))


def _number(value: _Schema) -> str:
    kind = "whole number" if value["type"] == "integer" else "number"
    bounds = [f"{word} {_digits(value[key])}" for key, word in _BOUNDS.items() if key in value]
    return " ".join([kind, *bounds])


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100_000 else f"{number:g}"


def _other(value: _Schema) -> str:
    return "`true` or `false`" if value.get("type") == "boolean" else "anything"


def _alternatives(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
