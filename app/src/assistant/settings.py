"""Settings of the application, all from environment variables; docs/application.md has the table."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from assistant.keys import ApiKeys

__all__ = ["BUILTIN", "Settings", "SettingsError"]

BUILTIN = "builtin:tiny"
"""``BACKEND_URL`` of the model inside the image: random weights, run by llama.cpp inside this process."""

_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """Everything that is wrong with the environment variables, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _number(default: float, low: float, high: float) -> Any:
    """A field read as the type of its default, within bounds."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field per environment variable of the same name in capitals; every one has a working default.

    Secrets are kept out of ``repr``. For ``api_keys`` and ``backend_api_key`` a variable ending in ``_FILE`` names a
    file that is read instead.
    """

    host: str = "0.0.0.0"
    port: int = _number(8000, 0, 65535)
    log_level: str = "info"
    preset: str = "customer-service"
    preset_file: str = ""
    api_keys: ApiKeys = field(default_factory=ApiKeys, repr=False)
    allow_anonymous: bool = False
    backend_url: str = BUILTIN
    backend_model: str = ""
    backend_api_key: str = field(default="", repr=False)
    backend_connect_seconds: float = _number(5.0, 0.1, 60)
    backend_silence_seconds: float = _number(300.0, 0.1, 3600)
    backend_connection_seconds: float = _number(3.0, 0, 3600)
    builtin_model_path: str = "/opt/assistant/models/tiny-random.gguf"
    max_concurrent: int = _number(32, 1, 10_000)
    max_queued: int = _number(64, 0, 10_000)
    queue_seconds: float = _number(10.0, 0.01, 600)
    max_body_bytes: int = _number(1024 * 1024, 1024, 64 * 1024 * 1024)
    client_read_seconds: float = _number(10.0, 0.1, 600)
    client_write_seconds: float = _number(30.0, 0.1, 600)
    keep_alive_seconds: int = _number(75, 0, 3600)
    cache_entries: int = _number(1024, 0, 1_000_000)
    cache_bytes: int = _number(32 * 1024 * 1024, 0, 1024**3)
    cache_ttl_seconds: float = _number(300.0, 0, 86_400)
    drain_delay_seconds: float = _number(5.0, 0, 3600)
    drain_seconds: float = _number(30.0, 0, 3600)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read and check every variable.

        Raises:
            SettingsError: naming each variable that is wrong and what it may be. Secrets are never quoted.
        """
        problems: list[str] = []
        values: dict[str, Any] = {}
        for spec in fields(cls):
            text = _text(spec.name.upper(), environ, problems)
            if text:
                try:
                    values[spec.name] = _reader(spec.name, spec.default, spec.metadata)(text)
                except ValueError as error:
                    problems.append(f"{spec.name.upper()}: {error}")
        settings = cls(**values)
        known = {problem.split(":")[0] for problem in problems}
        problems += [problem for problem in settings._contradictions() if problem.split(":")[0] not in known]
        if problems:
            raise SettingsError(problems)
        return settings

    def _contradictions(self) -> list[str]:
        problems = []
        if self.log_level not in _LEVELS:
            problems.append(f"LOG_LEVEL: {self.log_level!r} is none of {', '.join(_LEVELS)}")
        if not self.api_keys and not self.allow_anonymous:
            problems.append(
                "API_KEYS: no key is configured, so nobody could be told from anybody. Set API_KEYS or API_KEYS_FILE "
                "to one or more keys, or ALLOW_ANONYMOUS=true to answer everyone who can reach the port"
            )
        if self.backend_url != BUILTIN and not self.backend_url.startswith(("http://", "https://")):
            problems.append(f"BACKEND_URL: {self.backend_url!r} is neither http(s)://… nor {BUILTIN}")
        if self.drain_delay_seconds > self.drain_seconds:
            problems.append("DRAIN_DELAY_SECONDS: it is part of DRAIN_SECONDS and cannot be longer")
        return problems


def _text(name: str, environ: Mapping[str, str], problems: list[str]) -> str:
    """The variable's text, for secrets also from the file that NAME_FILE names."""
    file = environ.get(f"{name}_FILE", "") if name in ("API_KEYS", "BACKEND_API_KEY") else ""
    if not file:
        return environ.get(name, "").strip()
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{name}_FILE: {file} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}")
        return ""


def _reader(name: str, default: Any, bounds: Mapping[str, float]) -> Callable[[str], Any]:
    if name == "api_keys":
        return ApiKeys.parse
    if isinstance(default, bool):
        return _boolean
    if isinstance(default, int | float):
        return lambda text: _bounded(text, type(default), **bounds)
    return str


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _bounded(text: str, kind: type, *, low: float, high: float) -> float:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {'a whole number' if kind is int else 'a number'}") from None
    if not low <= value <= high:
        raise ValueError(f"{text} is outside {low:g} to {high:g}")
    return value
