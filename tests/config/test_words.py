"""Words and numbers in the configuration mean what people wrote, whatever YAML makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "means"), [("on", "on"), ("off", "off"), ("auto", "auto"), ('"on"', "on")]
)
def test_on_and_off_may_be_written_bare(tmp_path: Path, written: str, means: str) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(f"sandbox: {written}\n")
    assert config.load(file, {}).settings.sandbox == means
    bare = written.strip('"')
    assert config.load(None, {"TOLLKEEPER_SANDBOX": bare}).settings.sandbox == means


def test_another_word_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text("org: acme\nsandbox: maybe\n")
    with pytest.raises(ConfigError, match=r"tollkeeper\.yaml:2: sandbox"):
        config.load(file, {})


def test_text_from_a_variable_stays_text() -> None:
    settings = config.load(
        None,
        {
            "TOLLKEEPER_METRICS__TOKEN": "0123456789",
            "TOLLKEEPER_ORG": "2026",
            "TOLLKEEPER_PUBLIC_URL": "https://llm.example.com",
            "TOLLKEEPER_LOG_LEVEL": "debug",
        },
    ).settings
    assert settings.metrics.token == "0123456789"
    assert settings.org == "2026"
    assert settings.log_level == "debug"


def test_numbers_and_structures_from_variables_are_read() -> None:
    loaded = config.load(
        None,
        {
            "TOLLKEEPER_PORT": "4001",
            "TOLLKEEPER_TIMEOUTS__IDLE_S": "2.5",
            "TOLLKEEPER_REFUSALS__STATUS": "429",
            "TOLLKEEPER_PROVIDERS": "{openai: {api_key: sk-1}}",
            "TOLLKEEPER_PROVIDERS__LAB__KIND": "openai",
            "TOLLKEEPER_PROVIDERS__LAB__BASE_URL": "http://127.0.0.1:9/v1",
        },
    )
    assert loaded.settings.listen.port == 4001
    assert loaded.settings.timeouts.idle_s == 2.5
    assert loaded.settings.refusals.status == 429
    assert set(loaded.providers) == {"openai", "lab"}
