"""Settings of a model's load: how many requests, how long they are, and the history that both may come from."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from planner.settings._base import Settings

__all__ = ["Lengths", "RequestHistory", "Traffic"]

def _moment_as_text(value: Any) -> Any:
    """YAML reads 2026-11-01T00:00:00Z as a time; Pulumi's configuration is JSON, which knows text only."""
    return value.isoformat() if isinstance(value, date) else value


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time in ISO 8601, e.g. 2026-11-02T00:00:00Z") from None
    return text


Tokens = Annotated[float, Field(ge=1, le=10_000_000)]


class Lengths(Settings):
    """Lengths in tokens as a distribution: a mean with its variation, or two and more quantiles."""

    mean: Tokens | None = None
    """Mean length."""
    variation: Annotated[float, Field(gt=0, le=10)] | None = None
    """Standard deviation over mean; by default that of a public trace of conversations (1.31 for prompts, 1.03 for
    answers)."""
    p50: Tokens | None = None
    """Length that half of the requests do not exceed."""
    p90: Tokens | None = None
    """Length that nine of ten requests do not exceed."""
    p99: Tokens | None = None
    """Length that 99 of 100 requests do not exceed."""

    @property
    def quantiles(self) -> dict[float, float]:
        """The stated quantiles, by probability."""
        stated = {0.5: self.p50, 0.9: self.p90, 0.99: self.p99}
        return {level: tokens for level, tokens in stated.items() if tokens is not None}

    @model_validator(mode="after")
    def _one_form(self) -> Lengths:
        quantiles = list(self.quantiles.values())
        if (self.mean is None) == (not quantiles):
            raise ValueError("needs a mean or quantiles, e.g. {mean: 800, variation: 1.3} or {p50: 400, p90: 2000}")
        if quantiles and self.variation is not None:
            raise ValueError("variation goes with mean; quantiles state the spread themselves")
        if len(quantiles) == 1:
            raise ValueError("one quantile says nothing of the spread; state two or three of p50, p90 and p99")
        if quantiles != sorted(quantiles):
            raise ValueError(f"quantiles must not decrease: {', '.join(f'{tokens:g}' for tokens in quantiles)}")
        return self


class RequestHistory(Settings):
    """Requests of the past, from which ``llmos size`` forecasts the next week."""

    file: Annotated[str, Field(min_length=1)]
    """CSV file, relative to the folder of the stack file; its forms are described in docs/demand.md."""
    service: str | None = None
    """Which service of the file, where its column ``service`` names several."""
    start: Annotated[str, BeforeValidator(_moment_as_text), AfterValidator(_moment)] | None = None
    """Calendar time of second 0 (UTC unless it states an offset), for a file whose times are seconds since an unknown
    start. Without it such a file has no hours of the week: the highest demand is sized, and nothing is scheduled."""
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Probability with which the forecast demand is covered: capacity is sized for the highest such demand of the week,
    and the minimum of every hour follows that hour's. 0.9 because an autoscaler stands behind it."""
    requests_per_second_per_replica: Annotated[float, Field(gt=0)] | None = None
    """What one replica serves; with hardware auto the sized rate by default, otherwise needed."""


class Traffic(Settings):
    """Expected load: a stated rate with lengths, or a history of requests."""

    requests_per_second: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Mean arrival rate over the busiest hour; forecast when there is a history."""
    input_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | Lengths | None = None
    """Prompt length: its mean, or a distribution; taken from a history that has one request per row with lengths."""
    output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | Lengths | None = None
    """Answer length, in the same forms."""
    prefix_share: Annotated[float, Field(ge=0, le=0.99)] = 0.0
    """Share of prompt tokens that the prefix cache knows already (a common system prompt); they need no prefill."""
    history: RequestHistory | None = None
    """Requests of the past instead of a stated rate."""

    @model_validator(mode="after")
    def _complete(self) -> Traffic:
        if self.history is not None:
            if self.requests_per_second is not None:
                raise ValueError("requests_per_second and history exclude each other: the history's rate is forecast")
            if (self.input_tokens is None) != (self.output_tokens is None):
                raise ValueError("state input_tokens and output_tokens both, or neither when the history has lengths")
            return self
        missing = [
            key for key in ("requests_per_second", "input_tokens", "output_tokens") if getattr(self, key) is None
        ]
        if missing:
            raise ValueError(
                f"{', '.join(missing)} missing; state e.g. {{requests_per_second: 2, input_tokens: 800, "
                "output_tokens: 200}, or a history"
            )
        return self
