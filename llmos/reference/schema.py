"""JSON Schema of a whole ``Pulumi.<stack>.yaml``, from the settings models.

Editors complete, explain and check a stack file by it. It accepts whatever ``planner.settings.parse`` accepts; what
only code can say (two keys that exclude each other, a model that is not defined) is left to ``preview``.
"""

from __future__ import annotations

import ast
import copy
import inspect
import itertools
import json
import textwrap
from typing import Any, get_args

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from llmos.stacks import CONFIG_KEY
from planner.settings import StackSettings
from planner.settings._base import Settings

__all__ = ["document", "schema", "settings_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NO_HARDWARE = {"properties": {"engine": {"const": "llama.cpp"}}, "required": ["engine"]}
# Demands of validators that a schema can state too. Each is implied by what `parse` demands, never more than that.
_CONDITIONS: dict[str, JsonSchemaValue] = {
    "Image": {"anyOf": [{"required": [source]} for source in ("build", "ref", "tag", "from")]},
    "Model": {"if": {"not": _NO_HARDWARE}, "then": {"required": ["hardware"]}},
    "StackSettings": {
        "if": {"properties": {"target": {"const": "kubernetes"}}, "required": ["target"]},
        "then": {"required": ["context", "environment"]},
    },
}
# Keys that Pulumi itself writes into or reads from a stack file.
_OF_PULUMI = {
    "secretsprovider": "Pulumi: provider that encrypts secrets of the state.",
    "encryptedkey": "Pulumi: data key of that provider, encrypted.",
    "encryptionsalt": "Pulumi: salt of the passphrase provider.",
    "environment": "Pulumi: ESC environments whose values are merged in.",
}


class _ForEditors(GenerateJsonSchema):
    """Pydantic's schema, with names of map keys checked, texts that read well, and nothing that says nothing."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made: JsonSchemaValue = {"type": "object"}
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        values = self.generate_inner(schema["values_schema"]) if "values_schema" in schema else {}
        if keys.keys() - {"type"}:
            made["propertyNames"] = {key: value for key, value in keys.items() if key != "type"}
        if values:
            made["additionalProperties"] = values
        if "min_length" in schema:
            made["minProperties"] = schema["min_length"]
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def settings_schema() -> JsonSchemaValue:
    """Schema of the value of ``llmagentos:stack``, with the models it refers to under ``$defs``."""
    whole = StackSettings.model_json_schema(by_alias=True, schema_generator=_ForEditors)
    models = {**whole.pop("$defs"), "StackSettings": whole}
    for model in _models():
        for field, text in _texts(model).items():
            alias = model.model_fields[field].alias or field
            made = models[model.__name__]["properties"]
            made[alias] = dict(sorted({"description": text, **made[alias]}.items()))
    for name, condition in _CONDITIONS.items():
        models[name] |= copy.deepcopy(condition)
    return {"$ref": "#/$defs/StackSettings", "$defs": {name: _readable(models[name]) for name in sorted(models)}}


def _models() -> list[type[Settings]]:
    """All settings models that a stack file can have."""
    found, pending = [], [StackSettings]
    for model in pending:
        found.append(model)
        kinds = [kind for field in model.model_fields.values() for kind in _classes(field.annotation)]
        pending += [kind for kind in dict.fromkeys(kinds) if kind not in pending]
    return found


def _classes(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _classes(part)]


def _texts(model: type[Settings]) -> dict[str, str]:
    """What stands below each field of a model and of those it extends, by the field's name."""
    texts: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if not issubclass(kind, Settings):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in itertools.pairwise(tree.body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                assert isinstance(field.target, ast.Name)
                texts[field.target.id] = inspect.cleandoc(str(text.value.value))
    return texts


def schema() -> JsonSchemaValue:
    """Schema of a stack file."""
    made = settings_schema()
    stack = {"$ref": made["$ref"], "description": "One LLM stack: applications, the models behind them, and limits."}
    return {
        "$schema": _DIALECT,
        "title": "LLMAgentOS stack file",
        "description": "Pulumi.<stack>.yaml of the project llmagentos.",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "description": "Pulumi configuration of the stack.",
                "required": [CONFIG_KEY],
                "properties": {CONFIG_KEY: stack},
            },
            **{name: {"description": text} for name, text in _OF_PULUMI.items()},
        },
        "$defs": made["$defs"],
    }


def document() -> str:
    """The schema as it lies in ``docs/stack.schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _readable(value: Any) -> Any:
    """Descriptions on one line and without reStructuredText's marks; no default where it is only "nothing"."""
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _readable(item) for key, item in value.items() if not (key == "default" and item in (None, {}, []))}
    if isinstance(made.get("description"), str):
        made["description"] = " ".join(made["description"].replace("``", "`").split())
    return made
