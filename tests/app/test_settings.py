"""Settings come from environment variables; every mistake is named, no secret is shown."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from app_support import SOURCE

from assistant.errors import ApiError
from assistant.keys import ApiKeys
from assistant.presets import PRESET_NAMES, load_preset
from assistant.settings import Settings, SettingsError

_ROOT = Path(__file__).parents[2]


def test_defaults_need_nothing_but_a_decision_on_keys() -> None:
    settings = Settings.from_env({"ALLOW_ANONYMOUS": "true"})
    assert (settings.port, settings.preset, settings.backend_url) == (8000, "customer-service", "builtin:tiny")
    with pytest.raises(SettingsError, match="ALLOW_ANONYMOUS=true"):
        Settings.from_env({})


def test_every_mistake_is_reported_at_once_and_keys_are_not_quoted() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env(
            {
                "API_KEYS": "sk-good,sk geheim",
                "PORT": "99999",
                "MAX_QUEUED": "many",
                "ALLOW_ANONYMOUS": "yes",
                "LOG_LEVEL": "loud",
                "BACKEND_URL": "chat:8000",
                "DRAIN_SECONDS": "1",
                "BACKEND_API_KEY_FILE": "/no/such/file",
            }
        )
    named = {problem.split(":")[0] for problem in refused.value.problems}
    assert named == {
        "API_KEYS", "PORT", "MAX_QUEUED", "ALLOW_ANONYMOUS", "LOG_LEVEL", "BACKEND_URL", "DRAIN_DELAY_SECONDS",
        "BACKEND_API_KEY_FILE",
    }  # fmt: skip
    assert "geheim" not in str(refused.value)
    assert "sk-good" not in str(refused.value)


def test_keys_come_from_a_file_too_and_never_show(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-one\nsk-two,sk-three\n", encoding="utf-8")
    settings = Settings.from_env({"API_KEYS_FILE": str(file), "BACKEND_API_KEY": "sk-back"})
    assert settings.api_keys.caller("Bearer sk-two") == "key-2"
    assert settings.api_keys.caller("bearer sk-three") == "key-3"
    shown = repr(settings) + repr(settings.api_keys) + str(vars(settings.api_keys))
    assert "sk-" not in shown


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer sk-on", "Bearer sk-one2", "Basic sk-one"])
def test_anything_but_a_key_is_refused(header: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        ApiKeys.parse("sk-one").caller(header)
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")


def test_without_keys_everybody_is_anonymous() -> None:
    assert ApiKeys().caller("Bearer whatever") == "anonymous"


def test_the_three_presets_and_ones_of_the_user(tmp_path: Path) -> None:
    assert PRESET_NAMES == ("code-assistant", "content-creation", "customer-service")
    prompts = {load_preset(name).system_prompt for name in PRESET_NAMES}
    assert len(prompts) == 3
    own = tmp_path / "own.toml"
    own.write_text('system_prompt = "Rhyme."\ntemperature = 1.5\n', encoding="utf-8")
    assert load_preset("ignored", own).temperature == 1.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("system_prompt = 3", "system_prompt"),
        ('system_prompt = ""\ntemperature = 3.0', "temperature"),
        ('system_prompt = ""\nsystemprompt = ""', "systemprompt"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_preset_file_is_explained(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=expected):
        load_preset("ignored", file)


@pytest.mark.parametrize(
    ("environment", "status", "says"),
    [
        ({}, 1, "API_KEYS"),
        ({"ALLOW_ANONYMOUS": "true", "PRESET": "poetry"}, 1, "choose one of code-assistant"),
        ({"ALLOW_ANONYMOUS": "true", "BUILTIN_MODEL_PATH": "/no/model.gguf"}, 2, "BUILTIN_MODEL_PATH"),
    ],
)
def test_it_refuses_to_start_with_one_line_and_no_traceback(
    environment: dict[str, str], status: int, says: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "assistant"],
        env={"PYTHONPATH": str(SOURCE), "PORT": "0", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == status
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_documentation_lists_every_variable_with_its_default() -> None:
    text = (_ROOT / "docs" / "application.md").read_text(encoding="utf-8")
    missing = []
    for spec in fields(Settings):
        known = f"| `{spec.name.upper()}` |" in text
        default = "" if spec.name == "api_keys" or spec.default in ("", False) else f"`{spec.default}`"
        if not known or default not in text:
            missing.append(spec.name.upper())
    assert not missing


def test_pins_of_the_image_are_those_of_the_tests() -> None:
    def pins(*parts: str) -> set[str]:
        lines = _ROOT.joinpath(*parts).read_text(encoding="utf-8").splitlines()
        return {line for line in lines if "==" in line and not line.startswith("#")}

    everything = pins("requirements.txt") | pins("requirements-dev.txt")
    assert pins("app", "requirements.txt") <= everything
    assert pins("app", "requirements-model.txt") <= everything
