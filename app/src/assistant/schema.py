"""What a chat request may contain; also the source of the OpenAPI document.

Fields that this API does not know are refused, as the OpenAI API does: a typo must not be ignored in silence, and
parameters of one engine (templates, adapters, grammars, paths) must not reach a model server unseen. Messages are text:
an image URL would make the model server fetch addresses of the caller's choice.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistant.errors import ApiError
from assistant.json_schema import check_schema

__all__ = ["ChatRequest", "parse_chat"]

_Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
_TokenId = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
_Seed = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_JsonSchema = Annotated[dict[str, Any], AfterValidator(check_schema)]
_Penalty = Annotated[float, Field(ge=-2, le=2)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class TextPart(_Strict):
    type: Literal["text"]
    text: str


class FunctionCall(_Strict):
    name: str
    arguments: str


class ToolCall(_Strict):
    id: str
    type: Literal["function"]
    function: FunctionCall


class Message(_Strict):
    """One turn. Fields of answers that mean nothing in a question (``refusal``, ``annotations``, …) are dropped, so
    that clients can send an answer back as it came."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[TextPart], Field(min_length=1)] | None = None
    name: _Name | None = None
    tool_calls: Annotated[list[ToolCall], Field(min_length=1)] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Message:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("content is required, except in an assistant's message with tool_calls")
        return self


class StreamOptions(_Strict):
    include_usage: bool | None = None


class JsonSchema(_Strict):
    name: _Name
    description: str | None = None
    schema_: Annotated[_JsonSchema | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_needed(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema belongs to type json_schema, and only there")
        return self


class Function(_Strict):
    name: _Name
    description: str | None = None
    parameters: _JsonSchema | None = None
    strict: bool | None = None


class Tool(_Strict):
    type: Literal["function"]
    function: Function


class NamedFunction(_Strict):
    name: _Name


class NamedTool(_Strict):
    type: Literal["function"]
    function: NamedFunction


class ChatRequest(_Strict):
    """Body of POST /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=4096)]
    model: Annotated[str, Field(max_length=256)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    n: Annotated[int, Field(ge=1, le=4)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    seed: _Seed | None = None
    logit_bias: dict[_TokenId, Annotated[float, Field(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(min_length=1, max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> ChatRequest:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are two names of one limit; give one")
        if self.tool_choice is not None and not self.tools:
            raise ValueError("tool_choice needs tools")
        return self


def parse_chat(body: bytes) -> ChatRequest:
    """The request in ``body``.

    Raises:
        ApiError: 400, naming the first field at fault. Values are not quoted: they may be somebody's text.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
    # Of the alternatives of a union, the one that got furthest is what the caller meant.
    first = max(faults, key=lambda fault: len(fault["loc"]))
    if first["type"] == "json_invalid":
        message = "The body is not valid JSON. Send a JSON object."
        raise ApiError(400, message, code="invalid_json")
    # Between field names and positions pydantic puts names of types, which say nothing to a caller.
    steps = [str(step) for step in first["loc"] if isinstance(step, int) or (step.isidentifier() and step != "str")]
    param = ".".join(steps) or None
    unknown = first["type"] == "extra_forbidden"
    reason = first["msg"].removeprefix("Value error, ")
    message = f"Unrecognized request argument: {param}" if unknown else f"{param or 'request'}: {reason}"
    raise ApiError(400, message, code="unknown_parameter" if unknown else "invalid_value", param=param)
