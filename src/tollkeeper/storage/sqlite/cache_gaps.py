"""What was before each call that writes to a cache anew, noted in SQLite.

Other engines find the earlier calls of a session by reading all of the ledger that is as old. Here
``cache_calls`` has the numbers of the entries that use a cache, by session and in the order of
time. Of sessions with new calls all calls are looked at anew, and what was noted of them is written
again. Calls that nothing was noted of yet are those of ``open_sessions``.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.noted import NOT_KNOWN
from tollkeeper.ports import BOUND_PREFIX
from tollkeeper.storage.ledger_tables import table
from tollkeeper.storage.noted_entries import GAP_MOMENTS, GAP_ROW, MODEL, USES_CACHE, WRITES_ANEW

if TYPE_CHECKING:
    import ibis.expr.types as ir

LONG_CALLS: Final = 5_000
"""A session of more calls is a long one: these would have to be read again with each step."""

_NAMES: Final = ", ".join(column.name for column in GAP_ROW)
STATEMENTS: Final = (
    "CREATE TABLE cache_calls (session INTEGER, started_at INTEGER, entry INTEGER,"
    " PRIMARY KEY (session, started_at, entry)) WITHOUT ROWID",
    """
CREATE TABLE cache_gaps (
    started_at INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    session INTEGER NOT NULL,
    before_at INTEGER,
    gap_s REAL,
    kept_tokens INTEGER,
    anew_before_at INTEGER,
    anew_after_at INTEGER,
    org TEXT NOT NULL,
    team TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    provider TEXT NOT NULL,
    price_provider TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    model_served TEXT NOT NULL,
    tier_served TEXT NOT NULL,
    batch INTEGER NOT NULL,
    speed TEXT NOT NULL,
    geo TEXT NOT NULL,
    terms TEXT NOT NULL,
    tokens_in INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    PRIMARY KEY (started_at, entry)
) WITHOUT ROWID
""",
    "CREATE INDEX cache_gaps_by_session ON cache_gaps (session)",
    "DELETE FROM noted_entries",
    "UPDATE summed_entries SET noted = 0",
)
"""Entries are looked at anew, so that their sessions are known. A row of ``cache_gaps`` has
copies of what is asked of it, as it would take as long to find its entry."""

GAPS: Final = table("cache_gaps", (*GAP_ROW, *GAP_MOMENTS), gap_s=dt.float64)
_CALLS: Final = ibis.table({"session": dt.int64, "entry": dt.int64}, name="cache_calls")
_SESSIONS: Final = ibis.table({"number": dt.int64, "session_id": dt.string}, name="sessions")
_STATE: Final = ibis.table(
    dict.fromkeys(("entries", "noted"), dt.Int64(nullable=False)), name="summed_entries"
)

_OPEN: Final = (
    "SELECT DISTINCT session_id FROM entries"  # noqa: S608 - names of ours
    f" WHERE rowid > (SELECT noted FROM summed_entries) AND {USES_CACHE}"
)
_SPAN: Final = "rowid > :first AND rowid <= :after"
_LISTED: Final = "(SELECT value FROM json_each(:sessions))"
_ADD_CALLS: Final = f"""
INSERT INTO cache_calls
SELECT (SELECT number FROM sessions WHERE sessions.session_id = entries.session_id),
    started_at, rowid
FROM entries WHERE {_SPAN} AND {USES_CACHE}
RETURNING session
"""  # noqa: S608 - names of ours
_IS_LONG: Final = (
    "SELECT count(*) > :most FROM (SELECT 1 FROM cache_calls WHERE session = :session"
    " LIMIT :most + 1)"
)

# Of a long session, calls before these may have been noted while it was not.
_NOTE_LONG: Final = (
    f"UPDATE cache_gaps SET kept_tokens = {NOT_KNOWN}"  # noqa: S608 - names of ours
    f" WHERE session IN {_LISTED} AND kept_tokens IS NOT {NOT_KNOWN}",
    f"""
INSERT INTO cache_gaps (entry, session, kept_tokens, {_NAMES})
SELECT rowid, (SELECT number FROM sessions WHERE sessions.session_id = entries.session_id),
    {NOT_KNOWN}, {_NAMES}
FROM entries WHERE {_SPAN} AND {USES_CACHE} AND {WRITES_ANEW}
    AND session_id IN (SELECT session_id FROM sessions WHERE number IN {_LISTED})
""",  # noqa: S608 - names of ours
)
_SECONDS: Final = "e.started_at / 1000000.0"

# The sum is written as reports have it, to be the same to the last bit.
_NOTE_OTHERS: Final = (
    f"DELETE FROM cache_gaps WHERE session IN {_LISTED}",  # noqa: S608 - names of ours
    f"""
INSERT INTO cache_gaps (
    entry, session, before_at, gap_s, kept_tokens, anew_before_at, anew_after_at, {_NAMES}
)
WITH calls AS (
    SELECT c.entry, c.session, e.org, e.key_id, {MODEL} AS model, e.started_at, e.entry_id,
        {WRITES_ANEW} AS anew,
        lag(e.started_at) OVER cache AS before_at,
        {_SECONDS} - lag({_SECONDS} + CAST(floor(e.duration_ms / 1000.0) AS INTEGER))
            OVER cache AS gap_s,
        lag(e.cache_read_tokens + (e.cache_write_tokens + e.cache_write_1h_tokens))
            OVER cache AS kept_tokens
    FROM json_each(:sessions) AS listed
    CROSS JOIN cache_calls AS c ON c.session = listed.value
    CROSS JOIN entries AS e ON e.rowid = c.entry
    WINDOW cache AS (
        PARTITION BY e.org, c.session, e.key_id, {MODEL} ORDER BY e.started_at, e.entry_id
    )
),
anew AS (
    SELECT *, lag(started_at) OVER cache AS anew_before_at,
        lead(started_at) OVER cache AS anew_after_at
    FROM calls WHERE anew
    WINDOW cache AS (PARTITION BY org, session, key_id, model ORDER BY started_at, entry_id)
)
SELECT a.entry, a.session, a.before_at, a.gap_s, a.kept_tokens, a.anew_before_at,
    a.anew_after_at, {", ".join(f"e.{column.name}" for column in GAP_ROW)}
FROM anew AS a CROSS JOIN entries AS e ON e.rowid = a.entry
""",  # noqa: S608 - names of ours
)


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}texts", signature=((dt.string,), dt.Array(dt.string))
)
def _texts(slot: str) -> object:
    """Stand for a list of texts."""


def of_sessions(entries: ir.Table, slot: str) -> ir.Table:
    """Give the entries of some sessions that use a cache, and those not looked at yet."""
    number = entries.rowid()
    listed = _texts(slot).unnest().name("listed_").as_table()
    sessions = _SESSIONS.filter(_SESSIONS.session_id.isin(listed.listed_)).number
    known = _CALLS.filter(_CALLS.session.isin(sessions)).select("entry")
    every = entries.select(entry=number)
    follow = every.filter(every.entry > _STATE.select("noted").as_scalar())
    numbers = ibis.union(known, follow, distinct=False)
    return entries.filter(number.isin(numbers.entry))


def open_sessions(connection: sqlite3.Connection) -> frozenset[str]:
    """Give the sessions with a cache of entries that were not looked at yet."""
    return frozenset(session for (session,) in connection.execute(_OPEN))


def add(connection: sqlite3.Connection, first: int, after: int) -> None:
    """Note the calls after one number up to another, whose sessions have numbers."""
    span = {"first": first, "after": after}
    touched = {session for (session,) in connection.execute(_ADD_CALLS, span)}
    long = {session for session in touched if _is_long(connection, session)}
    if long:
        for statement in _NOTE_LONG:
            connection.execute(statement, {**span, "sessions": json.dumps(sorted(long))})
    for statement in _NOTE_OTHERS:
        connection.execute(statement, {"sessions": json.dumps(sorted(touched - long))})


def _is_long(connection: sqlite3.Connection, session: int) -> bool:
    found = connection.execute(_IS_LONG, {"session": session, "most": LONG_CALLS})
    return bool(found.fetchone()[0])
