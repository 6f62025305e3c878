"""The columns of sums of calls that used a cache, the same in every engine.

A row stands for all such entries of a quarter-hour that are alike in every column of ``ALIKE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.prompt_sizes import PROMPT_SIZES, SMALLEST
from tollkeeper.storage.columns import COLUMNS, Column, Kind
from tollkeeper.storage.paid_entries import PAID, is_paid

if TYPE_CHECKING:
    import ibis.expr.types as ir

KNOWN: Final = "saved_known"
PROMPT_FROM: Final = "prompt_from"

_BY_NAME: Final = {column.name: column for column in COLUMNS}
READ: Final = ("org", "basis", "provider", "model_served", "model_requested", "team", "tool")
PRICE: Final = ("price_provider", "tier_served", "batch", "speed", "geo", "terms")
FILTERED: Final = (
    *("source", "user_id", "user_name", "key_id", "tool_version", "endpoint", "wire", "streamed"),
    *("status", "outcome", "error_code", "unpriced_reason", "tier"),
)
"""What is asked of such calls, what their prices depend on, and what else one filters by."""

ALIKE: Final[tuple[Column, ...]] = (
    *(_BY_NAME[name] for name in READ),
    Column(PROMPT_FROM, Kind.INTEGER, nullable=True),
    *(_BY_NAME[name] for name in (*PRICE, *FILTERED)),
    Column(KNOWN, Kind.FLAG, nullable=True),
)
"""``saved_known``: what each of them saved is known. ``prompt_from``: the smallest prompt of their
class of ``PROMPT_SIZES``; NULL where they did not pay for writing to a cache by the token, as they
stand after corrections."""

SUMMED: Final[tuple[Column, ...]] = tuple(
    _BY_NAME[name]
    for name in (
        *("saved_usd", "tokens_cached", "cache_write_tokens", "cache_write_1h_tokens", "sign"),
    )
)
_LAST: Final = {*FILTERED, KNOWN}
ROW: Final[tuple[Column, ...]] = (
    _BY_NAME["started_at"],
    *(each for each in ALIKE if each.name not in _LAST),
    *SUMMED,
    *(each for each in ALIKE if each.name in _LAST),
)
"""What is read most stands first: to find a column, SQLite reads all that stand before it."""


def _prompt_from() -> str:
    classes = zip(PROMPT_SIZES, SMALLEST, strict=False)
    return (
        "CASE WHEN cache_write_tokens = 0 AND cache_write_1h_tokens = 0 THEN NULL"
        f" WHEN NOT ({PAID}) THEN NULL "
        + " ".join(f"WHEN abs(tokens_in) <= {most} THEN {least}" for most, least in classes)
        + f" ELSE {SMALLEST[-1]} END"
    )


MADE: Final = {KNOWN: "saved_usd IS NOT NULL", PROMPT_FROM: _prompt_from()}
USED: Final = (
    "(tokens_cached <> 0 OR cache_write_tokens + cache_write_1h_tokens <> 0"
    f" OR basis = '{Basis.CACHED.value}')"
)
"""Entries that are in these sums."""

TABLE: Final = "cache_quarter_hours"


def single(entries: ir.Table) -> ir.Table:
    """Give those of some entries that used a cache as rows, each standing for itself."""
    written = entries.cache_write_tokens + entries.cache_write_1h_tokens
    used = (entries.tokens_cached != 0) | (written != 0) | (entries.basis == Basis.CACHED.value)
    rows = entries.filter(used)
    made = {KNOWN: rows.saved_usd.notnull(), PROMPT_FROM: _prompt_of(rows)}
    return rows.mutate(**made).select(*(column.name for column in ROW))


def _prompt_of(entries: ir.Table) -> ir.IntegerValue:
    wrote = (entries.cache_write_tokens != 0) | (entries.cache_write_1h_tokens != 0)
    prompt = entries.tokens_in.abs()
    classes = zip(PROMPT_SIZES, SMALLEST, strict=False)
    return ibis.cases(
        (~(wrote & is_paid(entries)), ibis.null("int64")),
        *((prompt <= most, ibis.literal(least, "int64")) for most, least in classes),
        else_=ibis.literal(SMALLEST[-1], "int64"),
    )
