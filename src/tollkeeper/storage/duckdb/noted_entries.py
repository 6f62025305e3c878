"""Copies of the entries that a finding may be about: a tenth of all, and few columns of these.

They are noted in the transaction that says how many of the first entries were looked at. Whether
an entry is one of many that are alike shows when all of its window are there. So each window that
new entries start in is looked at anew, and as long as some entries of a window were not looked at
yet, whoever reads takes all entries of that window as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import duckdb
import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.noted import EXPIRED, NOT_KNOWN, WINDOW_S
from tollkeeper.ports import BOUND_PREFIX
from tollkeeper.storage.duckdb import finer_quarter_hours, quarter_hours
from tollkeeper.storage.ledger_tables import table
from tollkeeper.storage.noted_entries import (
    GAP_MOMENTS,
    MODEL,
    NOTES,
    ROW,
    USES_CACHE,
    WRITES_ANEW,
    Note,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir

SLOT: Final = "noted_windows"
COUNT: Final = "noted"
"""The column that says how many entries were looked at."""

_FROM: Final = "noted_from"
_UNTIL: Final = "noted_until"

LEFT_MAX: Final = 100_000
"""Where more entries than these were not looked at yet, notes are of no use."""

LONG_CALLS: Final = 5_000
"""A session of more calls is a long one."""

_SPAN: Final = "rowid >= $first AND rowid < $after"
_NAMES: Final = ", ".join(column.name for column in ROW)
_AFTER_ALL: Final = 1 << 62
_NEVER: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive times are UTC here


def _number(seconds: int) -> str:
    return f"CAST(floor(epoch(started_at) / {seconds}) AS BIGINT)"


_WINDOW: Final = _number(WINDOW_S)
_STRETCH: Final = f"""
SELECT min(started_at), max(started_at), list(DISTINCT {_WINDOW}) FROM entries WHERE {_SPAN}
"""  # noqa: S608 - names of ours
_NEAR: Final = (
    f"started_at >= $from AND started_at <= $until AND {_WINDOW} IN (SELECT unnest($windows))"
)


_SESSIONS: Final = f"SELECT DISTINCT session_id FROM entries WHERE {_SPAN} AND {USES_CACHE}"  # noqa: S608
_LONG: Final = "(SELECT unnest($long::VARCHAR[]))"
_LENGTHS: Final = f"""
SELECT min(since) FILTER (WHERE calls <= $most), list(session_id) FILTER (WHERE calls > $most)
FROM (
    SELECT any_value(session_id) AS session_id, sum(requests) AS calls, min(started_at) AS since
    FROM finer_quarter_hours
    WHERE session_number IN (SELECT number FROM sessions WHERE session_id IN ({_SESSIONS}))
    GROUP BY session_number
)
"""  # noqa: S608 - names of ours
"""When the first of these sessions began, and which are long: only later entries have to be read
again for all others."""

_KNOWN_LONG: Final = (
    f"SELECT DISTINCT session_id FROM noted_{EXPIRED} WHERE kept_tokens = {NOT_KNOWN}"  # noqa: S608
)
_ANEW: Final = f"CASE WHEN {WRITES_ANEW} THEN started_at END"
_CACHES: Final = (
    f"UPDATE noted_{EXPIRED} SET kept_tokens = {NOT_KNOWN}"  # noqa: S608
    f" WHERE session_id IN {_LONG} AND kept_tokens IS DISTINCT FROM {NOT_KNOWN}",
    f"INSERT INTO noted_{EXPIRED} BY NAME SELECT {_NAMES}, {NOT_KNOWN} AS kept_tokens"  # noqa: S608
    f" FROM entries WHERE {_SPAN} AND {USES_CACHE} AND {WRITES_ANEW} AND session_id IN {_LONG}",
    f"DELETE FROM noted_{EXPIRED}"  # noqa: S608
    f" WHERE session_id IN ({_SESSIONS}) AND session_id NOT IN {_LONG}",
    f"""
INSERT INTO noted_{EXPIRED} BY NAME
SELECT * EXCLUDE (anew) FROM (
    SELECT {_NAMES}, {WRITES_ANEW} AS anew,
        lag(started_at) OVER cache AS before_at,
        epoch(started_at) - lag(epoch(started_at) + CAST(floor(duration_ms / 1000) AS BIGINT))
            OVER cache AS gap_s,
        lag(cache_read_tokens + cache_write_tokens + cache_write_1h_tokens)
            OVER cache AS kept_tokens,
        max({_ANEW}) OVER (cache ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
            AS anew_before_at,
        min({_ANEW}) OVER (cache ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
            AS anew_after_at
    FROM entries
    WHERE rowid < $after AND started_at >= $since AND {USES_CACHE}
        AND session_id IN ({_SESSIONS}) AND session_id NOT IN {_LONG}
    WINDOW cache AS (PARTITION BY org, session_id, key_id, {MODEL} ORDER BY started_at, entry_id)
) WHERE anew ORDER BY started_at
""",  # noqa: S608 - names of ours
)
"""Of each call that writes to a cache anew: the one before it of the same session, key and model,
how many seconds after its end it came, what that one had left in the cache; and the nearest that
wrote anew before and after. Long sessions would have to be read again with each step: what was
before their calls is not known here."""


def table_of(finding: str) -> str:
    """Name the table with the entries of a finding."""
    return f"noted_{finding}"


_TABLES: Final = {finding: table(table_of(finding), ROW) for finding in NOTES}


GAPS: Final = table(table_of(EXPIRED), (*ROW, *GAP_MOMENTS), gap_s=dt.float64)
"""The table of calls that write to a cache anew, with what was before them."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}integers", signature=((dt.string,), dt.Array(dt.int64))
)
def _integers(slot: str) -> object:
    """Stand for a list of whole numbers."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}moment", signature=((dt.string,), dt.Timestamp(scale=6))
)
def _moment(slot: str) -> object:
    """Stand for a moment in time."""


def together(entries: ir.Table, finding: str) -> ir.Table:
    """Give the noted entries, and all of the windows that are not looked at to their end."""
    names = [column.name for column in ROW]
    windows = _integers(SLOT).unnest().name("window_").as_table()
    noted = _TABLES[finding]
    noted = noted.anti_join(windows, _window_of(noted) == windows.window_)
    near = entries.filter(
        entries.started_at >= _moment(_FROM), entries.started_at <= _moment(_UNTIL)
    )
    near = near.semi_join(windows, _window_of(near) == windows.window_)
    return ibis.union(noted.select(*names), near.select(*names), distinct=False)


def _window_of(table: ir.Table) -> ir.IntegerValue:
    window: ir.IntegerValue = (table.started_at.epoch_seconds() // WINDOW_S).cast("int64")
    return window


def are_of_use(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Say whether all entries but a few were looked at."""
    return not quarter_hours.more_follow(cursor, COUNT, LEFT_MAX)


def open_windows(cursor: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Give the values of the slots: the windows of entries that were not looked at yet."""
    first = quarter_hours.summed_entries(cursor, COUNT)
    near = _stretch(cursor, {"first": first, "after": _AFTER_ALL})
    return {SLOT: near["windows"], _FROM: near["from"], _UNTIL: near["until"]}


def open_sessions(cursor: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Give the sessions with a cache of entries that were not looked at yet."""
    first = quarter_hours.summed_entries(cursor, COUNT)
    found = cursor.execute(_SESSIONS, {"first": first, "after": _AFTER_ALL}).fetchall()
    return frozenset(session for (session,) in found)


def _stretch(cursor: duckdb.DuckDBPyConnection, span: dict[str, int]) -> dict[str, Any]:
    """Give the windows of some entries, and from when until when entries of these may start."""
    ((first, last, windows),) = cursor.execute(_STRETCH, span).fetchall()
    if first is None:
        return {"from": _NEVER, "until": _NEVER, "windows": []}
    bounds = cursor.execute(
        f"SELECT $from - INTERVAL {WINDOW_S} SECOND, $until + INTERVAL {WINDOW_S} SECOND",
        {"from": first, "until": last},
    ).fetchall()
    return {"from": bounds[0][0], "until": bounds[0][1], "windows": windows}


def sum_up(cursor: duckdb.DuckDBPyConnection, step: int = quarter_hours.STEP) -> None:
    """Look at the next entries, at most ``step``, that are in finer sums. Within a transaction."""
    first, after = quarter_hours.next_entries(cursor, COUNT, step)
    finely = quarter_hours.summed_entries(cursor, finer_quarter_hours.COUNT)
    span = {"first": first, "after": max(first, min(after, finely))}
    ((since, long),) = cursor.execute(_LENGTHS, {**span, "most": LONG_CALLS}).fetchall()
    known = cursor.execute(_KNOWN_LONG).fetchall()
    long = sorted({*(long or ()), *(session for (session,) in known)})
    values = {**_stretch(cursor, span), **span, "since": since or _NEVER, "long": long}
    for finding, note in NOTES.items():
        name = table_of(finding)
        for statement in _CACHES if finding == EXPIRED else _statements(name, note):
            bound = {name: value for name, value in values.items() if f"${name}" in statement}
            cursor.execute(statement, bound).fetchall()
    quarter_hours.count_summed(cursor, COUNT, span["after"])


def _statements(name: str, note: Note) -> Iterator[str]:
    if not note.many:
        yield _added(name, f"{_SPAN} AND {note.where}")
        return
    near = f"rowid < $after AND {_NEAR}"
    yield f"DELETE FROM {name} WHERE {_NEAR}"  # noqa: S608 - names of ours
    several = (
        f"SELECT rowid FROM entries WHERE {near} AND {note.where}"  # noqa: S608 - names of ours
        f" WINDOW alike AS (PARTITION BY {_number(note.together_s)}, {note.alike})"
        f" QUALIFY {note.many}"
    )
    yield _added(name, f"{near} AND rowid IN ({several})")


def _added(name: str, where: str) -> str:
    return (
        f"INSERT INTO {name} BY NAME SELECT {_NAMES} FROM entries"  # noqa: S608 - names of ours
        f" WHERE {where} ORDER BY started_at"
    )
