"""The OpenAPI document, made from the models that check the requests."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from assistant.envelope import CHAT_PATH, MODELS_PATH
from assistant.schema import ChatRequest

__all__ = ["document"]

_OBJECT = {"type": "object"}
_TEXT = {"type": "string"}
_ERRORS = {
    "400": "Malformed JSON, an invalid or unknown field, or a prompt longer than the model's context.",
    "401": "Missing or wrong API key.",
    "404": "No such model.",
    "408": "The request took too long to arrive.",
    "413": "The body is too large.",
    "429": "Too many requests are waiting; `Retry-After` says when to come back.",
    "500": "The application failed.",
    "502": "The model server failed.",
    "503": "The model server cannot be reached, or this replica is stopping or overloaded.",
    "504": "The model server did not answer in time.",
}


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    _, definitions = models_json_schema(
        [(ChatRequest, "validation")], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM application",
            "version": "1",
            "description": "The part of the OpenAI API that chat clients use, and probes.",
        },
        "security": [{"apiKey": []}],
        "paths": {
            CHAT_PATH: {"post": _chat()},
            MODELS_PATH: {"get": _get("listModels", "The model behind this application.", _refused("401", "503"))},
            MODELS_PATH + "/{model}": {
                "get": {
                    **_get("getModel", "One model.", _refused("401", "404", "503")),
                    "parameters": [{"name": "model", "in": "path", "required": True, "schema": _TEXT}],
                }
            },
            "/healthz": {"get": _probe("isAlive", "The process answers.")},
            "/readyz": {"get": _probe("isReady", "The model server answers and the replica is not stopping.")},
            "/metrics": {"get": _probe("metrics", "Prometheus metrics.", "text/plain")},
        },
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "schemas": {**definitions["$defs"], "Error": _error_schema()},
        },
    }


def _chat() -> dict[str, Any]:
    request = {"schema": {"$ref": "#/components/schemas/ChatRequest"}}
    return {
        "operationId": "createChatCompletion",
        "summary": "Answer a conversation, at once or as server-sent events (`stream`).",
        "requestBody": {"required": True, "content": {"application/json": request}},
        "responses": {
            "200": {
                "description": "A chat completion, or a stream of its chunks that ends with `data: [DONE]`.",
                "content": {"application/json": {"schema": _OBJECT}, "text/event-stream": {"schema": _TEXT}},
            },
            **_refused(*_ERRORS),
        },
    }


def _get(operation: str, summary: str, refused: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": operation, "summary": summary, "responses": {"200": _content(summary, _OBJECT), **refused}}


def _probe(operation: str, summary: str, media_type: str = "application/json") -> dict[str, Any]:
    schema = _OBJECT if media_type == "application/json" else _TEXT
    responses = {"200": _content(summary, schema, media_type)}
    if operation == "isReady":
        responses["503"] = _content("Not ready; `reason` says why.", _OBJECT)
    return {"operationId": operation, "summary": summary, "security": [], "responses": responses}


def _content(description: str, schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _refused(*statuses: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {status: _content(_ERRORS[status], schema) for status in statuses}


def _error_schema() -> dict[str, Any]:
    fields = {"message": _TEXT, "type": _TEXT, "param": {"type": ["string", "null"]}, "code": _TEXT}
    error = {"type": "object", "required": list(fields), "properties": fields}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}
