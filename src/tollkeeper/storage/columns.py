"""The columns of the ledger's table ``entries``, the same in every engine."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.ledger import (
    TOKEN_FIELDS,
    LedgerEntry,
    error_count,
    refusal_count,
    request_count,
    unpriced_count,
)

TABLE: Final = "entries"


TOKEN_SUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "tokens_in": tuple(f"{name}_tokens" for name in u.INPUT_TOKENS),
    "tokens_out": tuple(f"{name}_tokens" for name in u.OUTPUT_TOKENS),
    "tokens_cached": tuple(
        f"{name}_tokens" for name in u.INPUT_TOKENS if name.startswith(u.CACHE_READ)
    ),
}
"""Columns that are the sum of others."""

COUNTS: Final[Mapping[str, Callable[[LedgerEntry], int]]] = {
    "requests": request_count,
    "refusals": refusal_count,
    "errors": error_count,
    "unpriced": unpriced_count,
}
"""Columns that are 1, 0 or, where an entry takes another back, -1: their sums count, and
whoever writes SQL counts as we do. A refusal that stands for others counts as all of them."""


class Kind(enum.Enum):
    """What a column holds; each engine has its own type for it."""

    TEXT = "text"  # never NULL; "" where there is nothing
    INTEGER = "integer"  # 64 bits
    FLAG = "flag"
    TIME = "time"  # UTC, microseconds
    MONEY = "money"  # USD with nine decimals, 38 digits; NULL where not known
    TAGS = "tags"  # text to text
    JSON = "json"
    NUMBERS = "numbers"  # several whole numbers of 64 bits; of no entry, but of rows of several


class Column(NamedTuple):
    """One column, and the field of ``LedgerEntry`` that fills it ("" for a derived one)."""

    name: str
    kind: Kind
    field: str = ""
    nullable: bool = False


def _texts(names: str) -> list[Column]:
    return [Column(name, Kind.TEXT, name) for name in names.split()]


def _money(name: str, field: str) -> Column:
    return Column(name, Kind.MONEY, field, nullable=True)


COLUMNS: Final[tuple[Column, ...]] = (
    *_texts("entry_id call_id"),
    Column("attempt", Kind.INTEGER, "attempt"),
    Column("part", Kind.INTEGER, "part"),
    *_texts("corrects source"),
    Column("started_at", Kind.TIME, "started_at_us"),
    Column("duration_ms", Kind.INTEGER, "duration_ms"),
    Column("ttft_ms", Kind.INTEGER, "ttft_ms", nullable=True),
    *_texts("org team user_id user_name key_id key_name end_customer session_id"),
    *_texts("tool tool_version provider model_requested model_served endpoint wire"),
    Column("streamed", Kind.FLAG, "streamed"),
    Column("status", Kind.INTEGER, "status"),
    *_texts("outcome error_code basis unpriced_reason"),
    *(Column(field, Kind.INTEGER, field) for field, _ in TOKEN_FIELDS),
    Column("units", Kind.JSON, "units"),
    _money("cost_usd", "cost_nanos"),
    _money("list_cost_usd", "list_cost_nanos"),
    _money("saved_usd", "saved_nanos"),
    *_texts("price_version price_key tier"),
    Column("tags", Kind.TAGS, "tags"),
    *_texts("request_id_upstream"),
    Column("usage_raw", Kind.JSON, "usage_raw", nullable=True),
    *(Column(name, Kind.INTEGER) for name in (*TOKEN_SUMS, *COUNTS)),
    *_texts("price_provider tier_served"),
    Column("batch", Kind.FLAG, "batch"),
    *_texts("speed geo"),
    Column("stated", Kind.FLAG, "stated"),
    _money("provider_cost_usd", "provider_cost_nanos"),
    *_texts("terms"),
    _money("provider_list_usd", "provider_list_nanos"),
    Column("revision", Kind.INTEGER, "revision"),
    Column("sign", Kind.INTEGER, "sign"),
    Column("corrected_at", Kind.TIME, "corrected_at_us", nullable=True),
    *_texts("correction"),
    Column("repeats", Kind.INTEGER, "repeats"),
    *_texts("model_asked"),
    _money("held_usd", "held_nanos"),
)
