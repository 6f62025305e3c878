"""From the text of a LiteLLM configuration to the text of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml

from tollkeeper.config import yaml_file
from tollkeeper.config.litellm.carried import Carried
from tollkeeper.config.litellm.carried import Note as Note
from tollkeeper.config.litellm.deployments import carry_models
from tollkeeper.config.litellm.sections import carry_sections
from tollkeeper.domain.errors import ConfigError

_HEAD: Final = """\
# Made by `tollkeeper import litellm`. Every option is explained in docs/configuration.md.
# Keys of providers come from the variables that are named here.
"""


class Imported(NamedTuple):
    """Our configuration as data and as text, and what should be known about it, line by line."""

    configuration: Mapping[str, Any]
    text: str
    notes: tuple[Note, ...]


class _AsTheyStand(Mapping[str, str]):
    """An environment in which every variable stands for itself."""

    def __getitem__(self, name: str) -> str:
        return f"${{{name}}}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def read(text: str, file: str) -> Imported:
    """Read a configuration of LiteLLM's. Raises ConfigError for what is none."""
    document = yaml_file.parse(text, file, _AsTheyStand())
    if not document.data:
        raise ConfigError("the file is empty", file=file)
    if "model_list" not in document.data:
        raise ConfigError(
            "there is no model_list: is this a configuration of LiteLLM's proxy?", file=file
        )
    carried = Carried(document)
    carry_models(carried, document.data["model_list"])
    carry_sections(carried, document.data)
    configuration = _configuration(carried)
    body = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=100)
    return Imported(configuration, _HEAD + body, tuple(sorted(carried.notes)))


def _configuration(carried: Carried) -> dict[str, Any]:
    """Put together what was carried over; sections without anything in them are left out."""
    rates = [
        {"name": f"{model} of LiteLLM", "scope": "model", "match": model, **limits}
        for model, limits in carried.rates.items()
    ]
    found: dict[str, Any] = {
        "timezone": carried.timezone,
        "providers": carried.providers,
        "models": {
            name: texts[0] if len(texts) == 1 else texts for name, texts in carried.models.items()
        },
        "prices": carried.prices,
        "rate_limits": rates,
        "budgets": _named_once(carried.budgets),
    }
    return {name: value for name, value in found.items() if value}


def _named_once(budgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No two budgets share a name."""
    seen: dict[str, int] = {}
    for each in budgets:
        number = seen[each["name"]] = seen.get(each["name"], 0) + 1
        if number > 1:
            each["name"] = f"{each['name']} ({number})"
    return budgets
