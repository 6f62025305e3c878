"""The tables of an SQLite ledger, and how an older file becomes a current one.

Each step of ``MIGRATIONS`` brings a file one version further, in one transaction. Steps are
never edited once released; columns are only ever added (with a default). Amounts are INTEGER
nano-dollars, times INTEGER microseconds since 1970, tags a JSON object. An INTEGER column also
takes the BLOB of a number of more than 64 bits (see ``wide_numbers``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from tollkeeper import clock
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.storage.columns import Kind
from tollkeeper.storage.sqlite.cache_gaps import STATEMENTS as GAPS
from tollkeeper.storage.sqlite.cache_schema import SMALL_CALLS
from tollkeeper.storage.sqlite.cache_schema import STATEMENTS as CACHE_PRICES
from tollkeeper.storage.sqlite.finer_schema import STATEMENTS as FINER
from tollkeeper.storage.sqlite.several_entries import STATEMENTS as CALLS

TYPES: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "TEXT",
    Kind.INTEGER: "INTEGER",
    Kind.FLAG: "INTEGER",
    Kind.TIME: "INTEGER",
    Kind.MONEY: "INTEGER",
    Kind.TAGS: "TEXT",
    Kind.JSON: "TEXT",
}

# What reports ask for stands first: to find a column, SQLite reads all that stand before it.
_ENTRIES: Final = """
CREATE TABLE entries (
    started_at INTEGER NOT NULL,
    org TEXT NOT NULL,
    requests INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    sign INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    part INTEGER NOT NULL,
    cost_usd INTEGER,
    duration_ms INTEGER NOT NULL,
    ttft_ms INTEGER,
    model_served TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    provider TEXT NOT NULL,
    tool TEXT NOT NULL,
    team TEXT NOT NULL,
    session_id TEXT NOT NULL,
    end_customer TEXT NOT NULL,
    tags TEXT NOT NULL,
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    tokens_cached INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    basis TEXT NOT NULL,
    key_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    status INTEGER NOT NULL,
    streamed INTEGER NOT NULL,
    list_cost_usd INTEGER,
    saved_usd INTEGER,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    input_audio_tokens INTEGER NOT NULL,
    input_image_tokens INTEGER NOT NULL,
    input_video_tokens INTEGER NOT NULL,
    input_tool_tokens INTEGER NOT NULL,
    cache_read_audio_tokens INTEGER NOT NULL,
    cache_read_image_tokens INTEGER NOT NULL,
    cache_read_video_tokens INTEGER NOT NULL,
    output_audio_tokens INTEGER NOT NULL,
    output_image_tokens INTEGER NOT NULL,
    output_video_tokens INTEGER NOT NULL,
    units TEXT NOT NULL,
    corrects TEXT NOT NULL,
    price_key TEXT NOT NULL,
    price_provider TEXT NOT NULL,
    tier TEXT NOT NULL,
    tier_served TEXT NOT NULL,
    batch INTEGER NOT NULL,
    speed TEXT NOT NULL,
    geo TEXT NOT NULL,
    stated INTEGER NOT NULL,
    key_name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    error_code TEXT NOT NULL,
    unpriced_reason TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    wire TEXT NOT NULL,
    source TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    held_usd INTEGER,
    entry_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    price_version TEXT NOT NULL,
    request_id_upstream TEXT NOT NULL,
    provider_cost_usd INTEGER,
    provider_list_usd INTEGER,
    terms TEXT NOT NULL,
    corrected_at INTEGER,
    correction TEXT NOT NULL,
    repeats INTEGER NOT NULL,
    usage_raw TEXT
)
"""

_INDEXES: Final = (
    "CREATE UNIQUE INDEX entries_by_start ON entries (started_at, entry_id, part)",
    "CREATE INDEX entries_by_id ON entries (entry_id)",
    "CREATE INDEX entries_by_call ON entries (call_id)",
    "CREATE INDEX entries_taken_back ON entries (corrects, revision) WHERE sign = -1",
)

_BESIDE: Final = (
    "CREATE TABLE loaded_segments (segment TEXT PRIMARY KEY, loaded_bytes INTEGER NOT NULL)",
    "CREATE TABLE jobs (job TEXT PRIMARY KEY, state TEXT NOT NULL)",
)

_QUARTER_HOURS: Final = """
CREATE TABLE quarter_hours (
    started_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
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
    call_id TEXT NOT NULL,
    priced INTEGER NOT NULL,
    has_pieces INTEGER NOT NULL,
    cost_usd INTEGER,
    list_cost_usd INTEGER,
    saved_usd INTEGER,
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
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    tokens_cached INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    sign INTEGER NOT NULL,
    stands INTEGER NOT NULL
)
"""

_STATE: Final = (
    "CREATE TABLE summed_entries (entries INTEGER NOT NULL, wide INTEGER NOT NULL)",
    "INSERT INTO summed_entries VALUES (0, 0)",
)
"""How many of the first entries are in ``quarter_hours``, and whether any number is wide."""

_DAYS: Final = (
    _QUARTER_HOURS.replace("quarter_hours", "days").replace("    call_id TEXT NOT NULL,\n", ""),
    "CREATE INDEX days_by_start ON days (started_at)",
    "ALTER TABLE summed_entries ADD COLUMN daily INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE summed_entries ADD COLUMN days_of TEXT NOT NULL DEFAULT ''",
)
"""Sums by the day, in the time zone that ``days_of`` names; ``daily`` counts the rows of
``quarter_hours`` in them."""

_NOTES: Final = (
    "CREATE TABLE noted_entries (finding INTEGER, started_at INTEGER, entry INTEGER,"
    " PRIMARY KEY (finding, started_at, entry)) WITHOUT ROWID",
    "ALTER TABLE summed_entries ADD COLUMN noted INTEGER NOT NULL DEFAULT 0",
)
"""The numbers of entries that a finding may be about; ``noted`` counts those that were looked at.
Findings are numbered as in ``domain.noted.NOTED``."""

_MORE_NOTES: Final = ("DELETE FROM noted_entries", "UPDATE summed_entries SET noted = 0")
"""Entries are looked at anew, for findings that were not noted before."""

_CACHE_SUMS: Final = (
    """
CREATE TABLE cache_quarter_hours (
    started_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
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
    saved_known INTEGER NOT NULL,
    saved_usd INTEGER,
    tokens_cached INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    sign INTEGER NOT NULL
)
""",
    "CREATE INDEX cache_quarter_hours_by_start ON cache_quarter_hours (started_at)",
    "ALTER TABLE summed_entries ADD COLUMN cached INTEGER NOT NULL DEFAULT 0",
)
"""Sums of calls that used a cache; ``cached`` counts the entries that were looked at."""

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        *(_ENTRIES, *_INDEXES, *_BESIDE, _QUARTER_HOURS),
        "CREATE INDEX quarter_hours_by_start ON quarter_hours (started_at)",
        *_STATE,
    ),
    _DAYS,
    FINER,
    _NOTES,
    _MORE_NOTES,
    _CACHE_SUMS,
    CALLS,
    GAPS,
    CACHE_PRICES,
    SMALL_CALLS,
)

_VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER NOT NULL, applied_at TEXT)"
)


def migrate(
    connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> None:
    """Bring the tables to the newest version.

    Raises LedgerUnavailable, and changes nothing, for a file of a newer Tollkeeper.
    """
    version = version_of(connection)
    _refuse_newer(version, len(migrations))
    for number in range(version + 1, len(migrations) + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_VERSIONS)
            for statement in migrations[number - 1]:
                connection.execute(statement)
            applied = [number, str(clock.now_us())]
            connection.execute("INSERT INTO schema_versions VALUES (?, ?)", applied)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def require_current(connection: sqlite3.Connection) -> None:
    """Raise LedgerUnavailable unless the tables are of the newest version. Changes nothing."""
    version = version_of(connection)
    _refuse_newer(version, len(MIGRATIONS))
    if version < len(MIGRATIONS):
        raise LedgerUnavailable(
            f"the ledger's tables are version {version}, not {len(MIGRATIONS)}: start "
            "Tollkeeper, which brings them up to date"
        )


def version_of(connection: sqlite3.Connection) -> int:
    """Give the version of a file's tables; 0 where there are none."""
    names = "SELECT name FROM sqlite_master WHERE type = 'table'"
    tables = {row[0] for row in connection.execute(names)}
    if "schema_versions" not in tables:
        if tables:
            raise LedgerUnavailable("this is an SQLite file of something else, no ledger")
        return 0
    (found,) = connection.execute("SELECT max(version) FROM schema_versions").fetchone()
    return int(found or 0)


def _refuse_newer(version: int, known: int) -> None:
    if version > known:
        raise LedgerUnavailable(
            f"the ledger was written by a newer Tollkeeper (its tables are version {version}, "
            f"this one knows {known}): start that version, or restore a backup"
        )
