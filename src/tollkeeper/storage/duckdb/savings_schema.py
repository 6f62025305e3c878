"""The tables that Savings reads in place of all entries: notes, and sums of calls with a cache."""

from __future__ import annotations

from typing import Final

_NOTED: Final = (
    "org, team, user_id, user_name, key_id, key_name, end_customer, session_id, tool,"
    " tool_version, provider, model_requested, model_served, endpoint, wire, streamed, status,"
    " outcome, error_code, basis, unpriced_reason, input_tokens, cache_read_tokens,"
    " cache_write_tokens, cache_write_1h_tokens, input_audio_tokens, input_image_tokens,"
    " input_video_tokens, input_tool_tokens, cache_read_audio_tokens, cache_read_image_tokens,"
    " cache_read_video_tokens, output_tokens, reasoning_tokens, output_audio_tokens,"
    " output_image_tokens, output_video_tokens, units, cost_usd, price_key, tier, tags, tokens_in,"
    " tokens_out, requests, errors, unpriced, price_provider, tier_served, batch, speed, geo,"
    " terms, revision, sign"
)


def _noted(finding: str, also: str = "") -> str:
    """Make an empty table with columns of entries, and some more."""
    return (
        f"CREATE TABLE noted_{finding} AS"  # noqa: S608 - names of ours
        f" SELECT call_id, part, corrects, source, started_at, {_NOTED}{also} FROM entries LIMIT 0"
    )


NOTES: Final = (
    *(_noted(finding) for finding in ("retry_storms", "duplicate_calls", "small_calls")),
    "ALTER TABLE summed_entries ADD COLUMN noted BIGINT DEFAULT 0",
)
"""Copies of the entries that findings may be about; ``noted`` counts those that were looked at."""

CACHE_NOTES: Final = (
    _noted(
        "expired_caches",
        ", started_at AS before_at, epoch(started_at) AS gap_s, cache_read_tokens AS kept_tokens,"
        " started_at AS anew_before_at, started_at AS anew_after_at",
    ),
    "DELETE FROM noted_retry_storms",
    "DELETE FROM noted_duplicate_calls",
    "DELETE FROM noted_small_calls",
    "UPDATE summed_entries SET noted = 0",
)
"""Calls that write to a cache anew, and what was before them. Entries are looked at anew."""

CACHE_SUMS: Final = (
    """
CREATE TABLE cache_quarter_hours (
    started_at TIMESTAMP NOT NULL,
    source VARCHAR NOT NULL,
    org VARCHAR NOT NULL,
    team VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    user_name VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    tool VARCHAR NOT NULL,
    tool_version VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    model_requested VARCHAR NOT NULL,
    model_served VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    wire VARCHAR NOT NULL,
    streamed BOOLEAN NOT NULL,
    status BIGINT NOT NULL,
    outcome VARCHAR NOT NULL,
    error_code VARCHAR NOT NULL,
    basis VARCHAR NOT NULL,
    unpriced_reason VARCHAR NOT NULL,
    tier VARCHAR NOT NULL,
    saved_known BOOLEAN NOT NULL,
    saved_usd DECIMAL(38,9),
    tokens_cached HUGEINT NOT NULL,
    cache_write_tokens HUGEINT NOT NULL,
    cache_write_1h_tokens HUGEINT NOT NULL,
    sign BIGINT NOT NULL
)
""",
    "ALTER TABLE summed_entries ADD COLUMN cached BIGINT DEFAULT 0",
)
"""Sums of calls that used a cache; ``cached`` counts the entries that were looked at."""

CACHE_PRICES: Final = (
    "DROP TABLE cache_quarter_hours",
    """
CREATE TABLE cache_quarter_hours (
    started_at TIMESTAMP NOT NULL,
    org VARCHAR NOT NULL,
    basis VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    model_served VARCHAR NOT NULL,
    model_requested VARCHAR NOT NULL,
    team VARCHAR NOT NULL,
    tool VARCHAR NOT NULL,
    prompt_from BIGINT,
    price_provider VARCHAR NOT NULL,
    tier_served VARCHAR NOT NULL,
    batch BOOLEAN NOT NULL,
    speed VARCHAR NOT NULL,
    geo VARCHAR NOT NULL,
    terms VARCHAR NOT NULL,
    saved_usd DECIMAL(38,9),
    tokens_cached HUGEINT NOT NULL,
    cache_write_tokens HUGEINT NOT NULL,
    cache_write_1h_tokens HUGEINT NOT NULL,
    sign BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    user_name VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    tool_version VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    wire VARCHAR NOT NULL,
    streamed BOOLEAN NOT NULL,
    status BIGINT NOT NULL,
    outcome VARCHAR NOT NULL,
    error_code VARCHAR NOT NULL,
    unpriced_reason VARCHAR NOT NULL,
    tier VARCHAR NOT NULL,
    saved_known BOOLEAN NOT NULL
)
""",
    "UPDATE summed_entries SET cached = 0",
)
"""These sums are made anew, with what the price of writing to a cache depends on."""
