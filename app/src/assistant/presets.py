"""What the application is for: a system prompt and defaults of sampling, read from a data file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["PRESET_NAMES", "Preset", "load_preset"]

_FOLDER = Path(__file__).with_name("presets")

PRESET_NAMES = tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))
"""The presets that ship with the application."""


class Preset(BaseModel):
    """Defaults of a request; what a request states itself always wins.

    Attributes:
        description: one sentence for people.
        system_prompt: first message of every conversation that brings no system message of its own; may be empty.
        temperature: 0 (deterministic) to 2.
        max_tokens: longest answer in tokens. A bound is needed: a model that never stops would hold a slot.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    description: str = ""
    system_prompt: str
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    max_tokens: Annotated[int, Field(ge=1)] = 512


def load_preset(name: str, file: Path | None = None) -> Preset:
    """The preset of ``file`` (TOML with the fields of ``Preset``) when given, else the shipped one called ``name``.

    Raises:
        ValueError: with one sentence, when there is no such preset or the file is not one.
    """
    if file is None and name not in PRESET_NAMES:
        raise ValueError(f"there is no preset {name!r}; choose one of {', '.join(PRESET_NAMES)}, or set PRESET_FILE")
    source = file or _FOLDER / f"{name}.toml"
    try:
        return Preset.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"preset file {source} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"preset file {source} is not TOML: {error}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"preset file {source}: {faults}") from None
