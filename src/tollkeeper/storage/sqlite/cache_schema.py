"""The tables of sums of calls that used a cache, and of small ones, with what prices depend on."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    "DROP TABLE cache_quarter_hours",
    """
CREATE TABLE cache_quarter_hours (
    started_at INTEGER NOT NULL,
    org TEXT NOT NULL,
    basis TEXT NOT NULL,
    provider TEXT NOT NULL,
    model_served TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    team TEXT NOT NULL,
    tool TEXT NOT NULL,
    prompt_from INTEGER,
    price_provider TEXT NOT NULL,
    tier_served TEXT NOT NULL,
    batch INTEGER NOT NULL,
    speed TEXT NOT NULL,
    geo TEXT NOT NULL,
    terms TEXT NOT NULL,
    saved_usd INTEGER,
    tokens_cached INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    sign INTEGER NOT NULL,
    source TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    wire TEXT NOT NULL,
    streamed INTEGER NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    error_code TEXT NOT NULL,
    unpriced_reason TEXT NOT NULL,
    tier TEXT NOT NULL,
    saved_known INTEGER NOT NULL
)
""",
    "CREATE INDEX cache_quarter_hours_by_start ON cache_quarter_hours (started_at)",
    "UPDATE summed_entries SET cached = 0",
)
"""Those of an older ledger are made anew."""

SMALL_CALLS: Final = (
    """
CREATE TABLE small_quarter_hours (
    started_at INTEGER NOT NULL,
    org TEXT NOT NULL,
    basis TEXT NOT NULL,
    provider TEXT NOT NULL,
    model_served TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    team TEXT NOT NULL,
    tool TEXT NOT NULL,
    price_provider TEXT NOT NULL,
    tier_served TEXT NOT NULL,
    batch INTEGER NOT NULL,
    speed TEXT NOT NULL,
    geo TEXT NOT NULL,
    terms TEXT NOT NULL,
    units TEXT NOT NULL,
    entries INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    sign INTEGER NOT NULL,
    cost_usd INTEGER,
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
    source TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    wire TEXT NOT NULL,
    streamed INTEGER NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    error_code TEXT NOT NULL,
    unpriced_reason TEXT NOT NULL,
    tier TEXT NOT NULL
)
""",
    "CREATE INDEX small_quarter_hours_by_start ON small_quarter_hours (started_at)",
    "DELETE FROM cache_quarter_hours",
    "UPDATE summed_entries SET cached = 0",
)
"""``cached`` counts the entries that were looked at for either."""
