"""Writes the parts of a price book as lines of JSON: the same rows always give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tollkeeper.domain.price_data import ModelRow, ProviderRow

_ORDER = (
    "provider",
    "name",
    "borrows",
    "model",
    "said_by",
    "gone",
    "aliases",
    "when",
    "since",
    "daily",
    "weekdays",
    "holidays",
    "usd",
    "source_usd",
    "above",
    "at_least",
    "prices",
    "fills",
    "variants",
    "multiply",
    "geo",
    "votes",
)
_PLACE = {name: number for number, name in enumerate(_ORDER)}
_OPEN = frozenset({"usd", "source_usd", "multiply", "geo", "when", "fills", "votes"})


def book_text(source: str, released: str, rows: Iterable[ProviderRow]) -> bytes:
    """Write a book: whose it is, then each provider followed by its models."""
    lines = [_line({"source": source, "released": released}), *_lines(rows)]
    return ("\n".join(lines) + "\n").encode()


def gaps_text(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Write what fills gaps: like the models of a book, provider by provider."""
    return ("\n".join(_lines(rows)) + "\n").encode()


def book_rows(text: bytes) -> list[ProviderRow]:
    """Read all providers of a book's text. Raises ``msgspec.MsgspecError``."""
    rows: list[ProviderRow] = []
    models: list[ModelRow] = []
    for line in text.splitlines()[1:]:
        if line.startswith(b'{"provider":'):
            models = []
            head: ProviderRow = msgspec.json.decode(line)
            rows.append({**head, "models": models})
        else:
            models.append(msgspec.json.decode(line, type=ModelRow))
    return rows


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows:
        yield _line({name: value for name, value in row.items() if name != "models"})
        for model in row["models"]:
            yield _line(model)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(_sorted(row), ensure_ascii=False, separators=(",", ":"))


def _sorted(value: Any) -> Any:
    """Put fields in one order, however they came; quantities and names keep theirs."""
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: (_PLACE.get(name, len(_PLACE)), name))
        return {it: value[it] if it in _OPEN else _sorted(value[it]) for it in names}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value
