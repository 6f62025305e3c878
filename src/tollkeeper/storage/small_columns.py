"""The columns of sums of small calls, for engines that keep them.

A row stands for all such entries of a quarter-hour that are alike in every column of ``ALIKE``. It
knows what the price of the same tokens on another model depends on; that all of them are small, and
were paid by the token, need not be said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.domain.ledger import TOKEN_FIELDS, Outcome
from tollkeeper.domain.noted import SMALL_CALLS, SMALL_IN_TOKENS, SMALL_OUT_TOKENS
from tollkeeper.storage.cache_columns import FILTERED, PRICE, READ
from tollkeeper.storage.columns import COLUMNS, Column, Kind
from tollkeeper.storage.noted_entries import NOTES
from tollkeeper.storage.paid_entries import is_paid

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "small_quarter_hours"
ENTRIES: Final = "entries"

_BY_NAME: Final = {column.name: column for column in COLUMNS}
_AMOUNTS: Final = ("requests", "sign", "cost_usd", *(field for field, _ in TOKEN_FIELDS))
ALIKE: Final[tuple[Column, ...]] = tuple(
    _BY_NAME[name] for name in (*READ, *PRICE, "units", *FILTERED)
)
SUMMED: Final[tuple[Column, ...]] = (
    Column(ENTRIES, Kind.INTEGER, nullable=True),
    *(_BY_NAME[name] for name in _AMOUNTS),
)
"""``entries``: how many a row stands for."""

ROW: Final[tuple[Column, ...]] = (_BY_NAME["started_at"], *ALIKE, *SUMMED)
MADE: Final = {ENTRIES: "1"}
SMALL: Final = NOTES[SMALL_CALLS].where
"""Entries that are in these sums."""


def single(entries: ir.Table) -> ir.Table:
    """Give those of some entries that are small calls as rows, each standing for itself."""
    out, prompt = entries.tokens_out.abs(), entries.tokens_in.abs()
    rows = entries.filter(
        is_paid(entries),
        entries.outcome == Outcome.OK.value,
        out.between(1, SMALL_OUT_TOKENS),
        prompt.between(1, SMALL_IN_TOKENS),
    )
    one = ibis.literal(1, "int64")
    return rows.mutate(**{ENTRIES: one}).select(*(column.name for column in ROW))
