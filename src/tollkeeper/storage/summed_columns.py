"""The columns of entries that are summed up by the quarter-hour, the same in every engine.

Such a row stands for all entries of one quarter-hour that are alike in every column of
``ALIKE``; ``started_at`` is when the quarter-hour begins, ``last_at`` the start of the newest of
them.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.sums import LAST_AT, SESSION_ALONE, SESSION_NUMBER
from tollkeeper.storage.columns import COLUMNS, COUNTS, TOKEN_SUMS, Column, Kind
from tollkeeper.storage.timed_columns import VALUES

PRICED: Final = "priced"
PIECES: Final = "has_pieces"
STANDS: Final = "stands"

_ALIKE: Final = (
    "source",
    "org",
    "team",
    "user_id",
    "user_name",
    "key_id",
    "key_name",
    "tool",
    "tool_version",
    "provider",
    "model_requested",
    "model_served",
    "endpoint",
    "wire",
    "streamed",
    "status",
    "outcome",
    "error_code",
    "basis",
    "unpriced_reason",
    "tier",
    "attempt",
    "part",
    "price_provider",
    "price_key",
    "batch",
)
_SUMMED: Final = (
    "cost_usd",
    "list_cost_usd",
    "saved_usd",
    *(each.name for each in COLUMNS if each.field.endswith("_tokens")),
    *TOKEN_SUMS,
    *COUNTS,
    "sign",
)
OPEN_CALL: Final = "call_id"
_BY_NAME: Final = {column.name: column for column in COLUMNS}

ALIKE: Final[tuple[Column, ...]] = (
    *(_BY_NAME[name] for name in _ALIKE),
    _BY_NAME[OPEN_CALL],
    Column(PRICED, Kind.FLAG, nullable=True),
    Column(PIECES, Kind.FLAG, nullable=True),
)
"""What the entries of a row have in common. ``call_id`` is "" where their costs are known: those
whose cost is not are counted by calls. ``priced``: their costs are known; ``has_pieces``:
something of each was billed by the piece."""

SUMMED: Final[tuple[Column, ...]] = (
    *(_BY_NAME[name] for name in _SUMMED),
    Column(STANDS, Kind.INTEGER, nullable=True),
)
"""What is added up. ``stands`` counts entries as they stand: what was booked last of each."""

NO_PIECES: Final = "{}"
"""What ``units`` has where nothing was billed by the piece."""

MADE: Final = {
    OPEN_CALL: "CASE WHEN unpriced <> 0 THEN call_id ELSE '' END",
    PRICED: "cost_usd IS NOT NULL",
    PIECES: f"units <> '{NO_PIECES}'",
    STANDS: "CASE WHEN corrects = '' OR revision > 0 THEN sign ELSE 0 END",
}
"""How the columns that entries have not got are made of theirs: SQL of every engine."""

ROW: Final[tuple[Column, ...]] = (
    _BY_NAME["started_at"],
    Column(LAST_AT, Kind.TIME),
    *ALIKE,
    *SUMMED,
)

DAY_ALIKE: Final[tuple[Column, ...]] = tuple(each for each in ALIKE if each.name != OPEN_CALL)

DAY_ROW: Final[tuple[Column, ...]] = tuple(each for each in ROW if each.name != OPEN_CALL)
"""What sums by the day have: they tell no calls apart, and so count none without a price."""

FINER_ROW: Final[tuple[Column, ...]] = (
    *ROW,
    *(_BY_NAME[name] for name in ("session_id", "end_customer", "tags")),
    *VALUES,
    Column(SESSION_NUMBER, Kind.INTEGER, nullable=True),
)
"""What finer sums have: their entries are alike in these as well, and each row has how long its
requests took. ``session_number`` is a number of the session's own, NULL where there is none: of
each session the same, in whatever row."""

FINER_SUMS: Final[tuple[Column, ...]] = (*FINER_ROW, Column(SESSION_ALONE, Kind.FLAG))
"""The columns of their table. ``session_alone``: no other row of it has that session."""
