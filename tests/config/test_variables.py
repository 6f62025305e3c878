"""``${NAME}`` in the file: wherever a value can stand, and never read as YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.config import yaml_file
from tollkeeper.domain.errors import ConfigError

VARIABLES = {"KEY": "sk-1", "ODD": "a: {b}, 'c' # d", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: ${KEY}", "sk-1"),
        ("x: {y: ${KEY}}", {"y": "sk-1"}),
        ("x: {y: ${KEY}, z: 1}", {"y": "sk-1", "z": 1}),
        ("x: [${KEY}, 'a${KEY}b']", ["sk-1", "ask-1b"]),
        ('x: {y: "${KEY}/${KEY}"}', {"y": "sk-1/sk-1"}),
        ("x: {y: ${ODD}}", {"y": VARIABLES["ODD"]}),
        ("x: {y: ${NOT_SET:-b, c: d}}", {"y": "b, c: d"}),
        ("x: ${NOT_SET:-}", ""),
        ("x: ${EMPTY:-other}", ""),
        ("x: |\n  a\n  ${KEY}\n", "a\nsk-1\n"),
        ("x: $KEY", "$KEY"),
        ("x: 1 # ${NOT_SET}", 1),
    ],
)
def test_a_variable_stands_anywhere_in_a_value(text: str, value: object) -> None:
    assert yaml_file.parse(text, "f", VARIABLES).data == {"x": value}


def test_keys_stay_as_they_are_written() -> None:
    assert yaml_file.parse("${KEY}: 1", "f", VARIABLES).data == {"${KEY}": 1}


def test_lines_are_counted_as_in_the_file() -> None:
    text = "a: ${KEY}\nb: {c: ${KEY}}\nd: ${NOT_SET}\n"
    with pytest.raises(ConfigError, match="f:3: d: environment variable NOT_SET is not set"):
        yaml_file.parse(text, "f", VARIABLES)


def test_the_stand_in_cannot_be_written_by_hand() -> None:
    with pytest.raises(ConfigError, match="private use"):
        yaml_file.parse("x: \ue0000\ue001", "f", VARIABLES)


def test_a_bare_variable_as_a_providers_key(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text("providers:\n  openai: {api_key: ${KEY}}\n")
    assert config.load(file, VARIABLES).providers["openai"].api_key == "sk-1"
