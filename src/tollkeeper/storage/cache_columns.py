"""The columns of sums of calls that used a cache, the same in every engine.

A row stands for all such entries of a quarter-hour that are alike in every column of ``ALIKE``.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.ledger import Basis
from tollkeeper.storage.columns import COLUMNS, Column, Kind

KNOWN: Final = "saved_known"

_BY_NAME: Final = {column.name: column for column in COLUMNS}
_ALIKE: Final = (
    *("source", "org", "team", "user_id", "user_name", "key_id", "tool", "tool_version"),
    *("provider", "model_requested", "model_served", "endpoint", "wire", "streamed", "status"),
    *("outcome", "error_code", "basis", "unpriced_reason", "tier"),
)
ALIKE: Final[tuple[Column, ...]] = (
    *(_BY_NAME[name] for name in _ALIKE),
    Column(KNOWN, Kind.FLAG, nullable=True),
)
"""``saved_known``: what each of them saved is known."""

SUMMED: Final[tuple[Column, ...]] = tuple(
    _BY_NAME[name]
    for name in (
        *("saved_usd", "tokens_cached", "cache_write_tokens", "cache_write_1h_tokens", "sign"),
    )
)
ROW: Final[tuple[Column, ...]] = (_BY_NAME["started_at"], *ALIKE, *SUMMED)

MADE: Final = {KNOWN: "saved_usd IS NOT NULL"}
USED: Final = (
    "(tokens_cached <> 0 OR cache_write_tokens + cache_write_1h_tokens <> 0"
    f" OR basis = '{Basis.CACHED.value}')"
)
"""Entries that are in these sums."""

TABLE: Final = "cache_quarter_hours"
