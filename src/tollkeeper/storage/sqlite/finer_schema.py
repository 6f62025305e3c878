"""The tables of finer sums in SQLite: narrow rows with numbers, and what the numbers stand for.

To group rows SQLite sorts them, and to find a column it reads all that stand before it. So what
entries have alike stands once, in ``kinds``, ``labels`` and ``sessions``, and a row of sums has
whole numbers only, those that reports ask for first.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.storage.summed_columns import DAY_ALIKE

KIND: Final = tuple(each.name for each in DAY_ALIKE)
"""What a row of ``kinds`` says: all that entries of a quarter-hour are alike in, but for calls
without a price, whose id stands in the row of sums."""

LABEL: Final = ("end_customer", "tags")

_KINDS: Final = """
CREATE TABLE kinds (
    number INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_name TEXT NOT NULL,
    tool TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    provider TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    model_served TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    wire TEXT NOT NULL,
    streamed INTEGER NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    error_code TEXT NOT NULL,
    basis TEXT NOT NULL,
    unpriced_reason TEXT NOT NULL,
    tier TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    part INTEGER NOT NULL,
    price_provider TEXT NOT NULL,
    price_key TEXT NOT NULL,
    batch INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    has_pieces INTEGER NOT NULL
)
"""

# ``place`` is the number of the row's first entry: rows of one kind and quarter-hour differ in it.
_FINER: Final = """
CREATE TABLE finer_quarter_hours (
    kind INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    place INTEGER NOT NULL,
    label INTEGER NOT NULL,
    session INTEGER NOT NULL,
    session_alone INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    sign INTEGER NOT NULL,
    cost_usd INTEGER,
    unpriced INTEGER NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    tokens_cached INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    list_cost_usd INTEGER,
    saved_usd INTEGER,
    refusals INTEGER NOT NULL,
    stands INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    input_audio_tokens INTEGER NOT NULL,
    input_image_tokens INTEGER NOT NULL,
    input_video_tokens INTEGER NOT NULL,
    input_tool_tokens INTEGER NOT NULL,
    cache_read_audio_tokens INTEGER NOT NULL,
    cache_read_image_tokens INTEGER NOT NULL,
    cache_read_video_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    output_audio_tokens INTEGER NOT NULL,
    output_image_tokens INTEGER NOT NULL,
    output_video_tokens INTEGER NOT NULL,
    durations_ms BLOB,
    ttfts_ms BLOB,
    PRIMARY KEY (kind, started_at, place)
) WITHOUT ROWID
"""

STATEMENTS: Final = (
    _KINDS,
    f"CREATE UNIQUE INDEX kinds_alike ON kinds ({', '.join(KIND)})",
    "CREATE TABLE labels (number INTEGER PRIMARY KEY, end_customer TEXT NOT NULL,"
    " tags TEXT NOT NULL)",
    "CREATE UNIQUE INDEX labels_alike ON labels (end_customer, tags)",
    "CREATE TABLE sessions (number INTEGER PRIMARY KEY, session_id TEXT NOT NULL)",
    "CREATE UNIQUE INDEX sessions_by_id ON sessions (session_id)",
    "INSERT INTO sessions VALUES (0, '')",
    _FINER,
    "CREATE INDEX finer_by_session ON finer_quarter_hours (session)",
    "ALTER TABLE summed_entries ADD COLUMN finer INTEGER NOT NULL DEFAULT 0",
)
"""``finer`` counts the entries that are in them. No session has the number 0."""
