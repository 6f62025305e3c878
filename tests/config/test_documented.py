"""docs/configuration.md names every option with its default, and none that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tollkeeper import config
from tollkeeper.config import budgets
from tollkeeper.config.alert_options import NotifyOptions, WebhookOptions
from tollkeeper.config.digest import DigestChatOptions
from tollkeeper.config.oidc import OidcClaims, OidcOptions
from tollkeeper.config.self_service import SelfServiceOptions
from tollkeeper.config.settings import (
    NOT_YET,
    PlanOptions,
    PriceRuleOptions,
    RateLimitOptions,
    Settings,
)
from tollkeeper.domain import budget_words
from tollkeeper.providers import catalogue
from tollkeeper.providers.kinds import KINDS

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "configuration.md"
TEXT = DOCUMENT.read_text("utf-8")
ROWS = {
    name: [cell.strip() for cell in cells[2:-1]]
    for line in TEXT.splitlines()
    if line.startswith("| `")
    for cells in [line.split("|")]
    for name in re.findall(r"`([^`]+)`", cells[1])
}
SECTIONS = ("providers", "models", "prices", "plans", "rate_limits", "budgets")
LISTED = (
    *(PriceRuleOptions, PlanOptions, RateLimitOptions, NotifyOptions, WebhookOptions),
    *(OidcOptions, OidcClaims, SelfServiceOptions, DigestChatOptions),
)


def options(shape: Any = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Give every option with its default."""
    for field in msgspec.structs.fields(shape):
        here = (*path, field.encode_name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from options(field.type, here)
        elif ".".join(here) not in SECTIONS:
            is_made = field.default_factory is not msgspec.NODEFAULT
            yield ".".join(here), field.default_factory() if is_made else field.default


@pytest.mark.parametrize(("option", "default"), list(options()))
def test_every_option_is_there_with_its_default(option: str, default: object) -> None:
    assert option in ROWS, f"{DOCUMENT.name} does not know {option}"
    written = '""' if default == "" else str(default)
    assert ROWS[option][0] == f"`{written}`"


def test_every_number_has_a_unit() -> None:
    for option, default in options():
        if isinstance(default, int | float) and not option.endswith(".port"):
            assert ROWS[option][1], f"{option} needs its unit"


def test_every_setting_of_a_provider_is_there_and_nothing_else() -> None:
    assert set(ROWS) == {option for option, _ in options()} | set(catalogue._SETTINGS) | {
        field.name for shape in LISTED for field in msgspec.structs.fields(shape)
    } | {*budget_words.OPTIONS, *budgets.FILE_OPTIONS}


def test_every_known_provider_and_every_section_is_named() -> None:
    for name in (*KINDS, *SECTIONS, *NOT_YET):
        assert f"`{name}`" in TEXT


def examples() -> list[tuple[str, str]]:
    """Give every piece of configuration that a document shows."""
    documents = [DOCUMENT.parent.parent / "README.md", *sorted(DOCUMENT.parent.glob("*.md"))]
    return [
        (document.name, example)
        for document in documents
        for example in re.findall(r"```yaml\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    ]


@pytest.mark.parametrize(("document", "example"), examples())
def test_every_example_is_good(tmp_path: Path, document: str, example: str) -> None:
    variables = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)", example), "sk-1")
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(example)
    loaded = config.load(file, variables)
    assert loaded.providers or loaded.settings != Settings(), document
