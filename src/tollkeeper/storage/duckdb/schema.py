"""The tables of a DuckDB ledger, and how an older file becomes a current one.

Each step of ``MIGRATIONS`` brings a file one version further, in one transaction. Steps are
never edited once released; columns are only ever added (with a default). The types that a
current file must have are ``TYPES``, by which a test compares it with ``storage.columns``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import duckdb

from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.storage.columns import Kind
from tollkeeper.storage.duckdb.savings_schema import CACHE_NOTES, CACHE_PRICES, CACHE_SUMS, NOTES

TYPES: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.FLAG: "BOOLEAN",
    Kind.TIME: "TIMESTAMP",
    Kind.MONEY: "DECIMAL(38,9)",
    Kind.TAGS: "MAP(VARCHAR, VARCHAR)",
    Kind.JSON: "VARCHAR",
    Kind.NUMBERS: "BIGINT[]",
}
"""JSON columns are VARCHAR: a JSON column checks every value and would refuse the whole
batch for one odd text of a provider. ``usage_raw::JSON`` works wherever it is needed."""

_ENTRIES = """
CREATE TABLE entries (
    entry_id VARCHAR NOT NULL,
    call_id VARCHAR NOT NULL,
    attempt BIGINT NOT NULL,
    part BIGINT NOT NULL,
    corrects VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    duration_ms BIGINT NOT NULL,
    ttft_ms BIGINT,
    org VARCHAR NOT NULL,
    team VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    user_name VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    key_name VARCHAR NOT NULL,
    end_customer VARCHAR NOT NULL,
    session_id VARCHAR NOT NULL,
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
    input_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    cache_write_1h_tokens BIGINT NOT NULL,
    input_audio_tokens BIGINT NOT NULL,
    input_image_tokens BIGINT NOT NULL,
    input_video_tokens BIGINT NOT NULL,
    input_tool_tokens BIGINT NOT NULL,
    cache_read_audio_tokens BIGINT NOT NULL,
    cache_read_image_tokens BIGINT NOT NULL,
    cache_read_video_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    output_audio_tokens BIGINT NOT NULL,
    output_image_tokens BIGINT NOT NULL,
    output_video_tokens BIGINT NOT NULL,
    units VARCHAR NOT NULL,
    cost_usd DECIMAL(38,9),
    list_cost_usd DECIMAL(38,9),
    saved_usd DECIMAL(38,9),
    price_version VARCHAR NOT NULL,
    price_key VARCHAR NOT NULL,
    tier VARCHAR NOT NULL,
    tags MAP(VARCHAR, VARCHAR) NOT NULL,
    request_id_upstream VARCHAR NOT NULL,
    usage_raw VARCHAR,
    tokens_in BIGINT NOT NULL,
    tokens_out BIGINT NOT NULL,
    tokens_cached BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    refusals BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    unpriced BIGINT NOT NULL
)
"""

_LOADED = "CREATE TABLE loaded_segments (segment VARCHAR NOT NULL, loaded_bytes BIGINT NOT NULL)"


def _added(name: str, kind: str, default: str) -> tuple[str, ...]:
    """Add a column that is never NULL; a constraint cannot be given with the column itself."""
    return (
        f"ALTER TABLE entries ADD COLUMN {name} {kind} DEFAULT {default}",
        f"ALTER TABLE entries ALTER COLUMN {name} SET NOT NULL",
        f"ALTER TABLE entries ALTER COLUMN {name} DROP DEFAULT",
    )


_PRICE_AGAIN: Final = (
    *_added("price_provider", "VARCHAR", "''"),
    *_added("tier_served", "VARCHAR", "''"),
    *_added("batch", "BOOLEAN", "FALSE"),
    *_added("speed", "VARCHAR", "''"),
    *_added("geo", "VARCHAR", "''"),
    *_added("stated", "BOOLEAN", "TRUE"),
    "ALTER TABLE entries ADD COLUMN provider_cost_usd DECIMAL(38,9)",
    *_added("terms", "VARCHAR", "''"),
    "ALTER TABLE entries ADD COLUMN provider_list_usd DECIMAL(38,9)",
    *_added("revision", "BIGINT", "0"),
    *_added("sign", "BIGINT", "1"),
    "ALTER TABLE entries ADD COLUMN corrected_at TIMESTAMP",
    *_added("correction", "VARCHAR", "''"),
)
"""What a price needs is kept, so that a call can be priced again, and corrections in pairs."""

_JOBS = "CREATE TABLE jobs (job VARCHAR NOT NULL, state VARCHAR NOT NULL)"

_HELD = "ALTER TABLE entries ADD COLUMN held_usd DECIMAL(38,9)"

# Sums of many entries are wider than the 64 bits that one entry's numbers have.
_SUMS: Final = """
    started_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    source VARCHAR NOT NULL,
    org VARCHAR NOT NULL,
    team VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    user_name VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    key_name VARCHAR NOT NULL,
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
    attempt BIGINT NOT NULL,
    part BIGINT NOT NULL,
    price_provider VARCHAR NOT NULL,
    price_key VARCHAR NOT NULL,
    batch BOOLEAN NOT NULL,
    call_id VARCHAR NOT NULL,
    priced BOOLEAN NOT NULL,
    has_pieces BOOLEAN NOT NULL,
    cost_usd DECIMAL(38,9),
    list_cost_usd DECIMAL(38,9),
    saved_usd DECIMAL(38,9),
    input_tokens HUGEINT NOT NULL,
    cache_read_tokens HUGEINT NOT NULL,
    cache_write_tokens HUGEINT NOT NULL,
    cache_write_1h_tokens HUGEINT NOT NULL,
    input_audio_tokens HUGEINT NOT NULL,
    input_image_tokens HUGEINT NOT NULL,
    input_video_tokens HUGEINT NOT NULL,
    input_tool_tokens HUGEINT NOT NULL,
    cache_read_audio_tokens HUGEINT NOT NULL,
    cache_read_image_tokens HUGEINT NOT NULL,
    cache_read_video_tokens HUGEINT NOT NULL,
    output_tokens HUGEINT NOT NULL,
    reasoning_tokens HUGEINT NOT NULL,
    output_audio_tokens HUGEINT NOT NULL,
    output_image_tokens HUGEINT NOT NULL,
    output_video_tokens HUGEINT NOT NULL,
    tokens_in HUGEINT NOT NULL,
    tokens_out HUGEINT NOT NULL,
    tokens_cached HUGEINT NOT NULL,
    requests HUGEINT NOT NULL,
    refusals HUGEINT NOT NULL,
    errors HUGEINT NOT NULL,
    unpriced HUGEINT NOT NULL,
    sign HUGEINT NOT NULL,
    stands HUGEINT NOT NULL"""
_QUARTER_HOURS: Final = f"CREATE TABLE quarter_hours ({_SUMS}\n)"
_SUMMED_ENTRIES: Final = (
    "CREATE TABLE summed_entries (entries BIGINT NOT NULL)",
    "INSERT INTO summed_entries VALUES (0)",
)

_FINER: Final = (
    f"""
CREATE TABLE finer_quarter_hours ({_SUMS},
    session_id VARCHAR NOT NULL,
    end_customer VARCHAR NOT NULL,
    tags MAP(VARCHAR, VARCHAR) NOT NULL,
    session_number BIGINT,
    session_alone BOOLEAN NOT NULL
)
""",
    "CREATE TABLE sessions (number BIGINT NOT NULL, session_id VARCHAR NOT NULL)",
    "ALTER TABLE summed_entries ADD COLUMN finer BIGINT DEFAULT 0",
)
"""Sums that tell sessions, customers and tags apart; ``finer`` counts the entries in them."""


def _of_ones(table: str) -> list[str]:
    return [
        f"ALTER TABLE {table} ALTER COLUMN {column} TYPE BIGINT"
        for column in ("requests", "errors", "unpriced", "sign", "stands")
    ]


_ONES: Final = (*_of_ones("quarter_hours"), *_of_ones("finer_quarter_hours"))
"""Sums of what is 1, 0 or -1 in each entry: 64 bits are enough, and added up three times as fast
as 128. A refusal may stand for any number of others, so its sums stay as wide as tokens are."""

_REQUEST_TIMES: Final = (
    """
CREATE TABLE request_times (
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
    durations_ms BIGINT[],
    ttfts_ms BIGINT[]
)
""",
    "ALTER TABLE summed_entries ADD COLUMN timed BIGINT DEFAULT 0",
)

_DAYS: Final = (
    f"CREATE TABLE days ({_SUMS}\n)",
    "ALTER TABLE days DROP COLUMN call_id",
    *_of_ones("days"),
    "ALTER TABLE summed_entries ADD COLUMN daily BIGINT DEFAULT 0",
    "ALTER TABLE summed_entries ADD COLUMN days_of VARCHAR DEFAULT ''",
)
"""Sums by the day, in the time zone that ``days_of`` names; ``daily`` counts the rows of
``quarter_hours`` in them."""

_FINER_TIMES: Final = (
    "DROP TABLE finer_quarter_hours",
    f"""
CREATE TABLE finer_quarter_hours ({_SUMS},
    session_id VARCHAR NOT NULL,
    end_customer VARCHAR NOT NULL,
    tags MAP(VARCHAR, VARCHAR) NOT NULL,
    durations_ms BIGINT[],
    ttfts_ms BIGINT[],
    session_number BIGINT,
    session_alone BOOLEAN NOT NULL
)
""",
    *_of_ones("finer_quarter_hours"),
    "DELETE FROM sessions",
    "UPDATE summed_entries SET finer = 0",
)
"""Finer sums have how long requests took as well. Those of an older ledger are made anew, with
the sessions of a customer side by side."""

_SEVERAL: Final = (
    "CREATE TABLE several_entries AS SELECT 0::BIGINT AS entry_number, * FROM entries LIMIT 0",
    "ALTER TABLE summed_entries ADD COLUMN several BIGINT DEFAULT 0",
)
"""Copies of the entries of calls that have several; ``several`` counts the entries that have been
looked at for it. A column that entries get later these need as well."""

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (_ENTRIES, _LOADED),
    _PRICE_AGAIN,
    (_JOBS,),
    _added("repeats", "BIGINT", "0"),
    (*_added("model_asked", "VARCHAR", "''"), _HELD),
    (_QUARTER_HOURS, *_SUMMED_ENTRIES),
    _FINER,
    _ONES,
    _REQUEST_TIMES,
    _DAYS,
    _FINER_TIMES,
    NOTES,
    CACHE_NOTES,
    _SEVERAL,
    CACHE_SUMS,
    CACHE_PRICES,
)


def migrate(
    cursor: duckdb.DuckDBPyConnection, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> None:
    """Bring the tables to the newest version.

    Raises LedgerUnavailable, and changes nothing, for a file of a newer Tollkeeper.
    """
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS schema_versions"
        " (version BIGINT NOT NULL, applied_at TIMESTAMP NOT NULL)"
    )
    version = _version(cursor)
    _refuse_newer(version, len(migrations))
    for number in range(version + 1, len(migrations) + 1):
        cursor.execute("BEGIN TRANSACTION")
        for statement in migrations[number - 1]:
            cursor.execute(statement)
        cursor.execute("INSERT INTO schema_versions VALUES (?, now()::TIMESTAMP)", [number])
        cursor.execute("COMMIT")


def require_current(cursor: duckdb.DuckDBPyConnection) -> None:
    """Raise LedgerUnavailable unless the tables are of the newest version. Changes nothing."""
    tables = cursor.execute(
        "SELECT 1 FROM duckdb_tables() WHERE table_name = 'schema_versions'"
    ).fetchall()
    version = _version(cursor) if tables else 0
    _refuse_newer(version, len(MIGRATIONS))
    if version < len(MIGRATIONS):
        raise LedgerUnavailable(
            f"the ledger's tables are version {version}, not {len(MIGRATIONS)}: start "
            "Tollkeeper, which brings them up to date"
        )


def _version(cursor: duckdb.DuckDBPyConnection) -> int:
    rows = cursor.execute("SELECT coalesce(max(version), 0) FROM schema_versions").fetchall()
    return int(rows[0][0])


def _refuse_newer(version: int, known: int) -> None:
    if version > known:
        raise LedgerUnavailable(
            f"the ledger was written by a newer Tollkeeper (its tables are version {version}, "
            f"this one knows {known}): start that version, or restore a backup"
        )
