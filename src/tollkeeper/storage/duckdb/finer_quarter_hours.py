"""Finer sums by the quarter-hour: of entries that also share their session, customer and tags.

A third of the entries' rows where sessions are short. Sessions are numbered as they come, those of
one team and person side by side, so that many of them are counted as the bits of a few numbers.
A session that has one row and no other is marked, for groups by session need not look for more
of it. What follows the entries that are summed up is told apart by ``loose_sessions``, a table
that a snapshot makes for itself: the numbers of the sessions of these few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import duckdb
import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.sums import LAST_AT, SESSION_ALONE, SESSION_NUMBER
from tollkeeper.ports import QUARTER_HOUR_US
from tollkeeper.request_times import TIMED
from tollkeeper.storage.duckdb import quarter_hours
from tollkeeper.storage.duckdb.quarter_hours import bound_integer, single
from tollkeeper.storage.duckdb.request_times import LISTS, with_lists
from tollkeeper.storage.ledger_tables import within
from tollkeeper.storage.summed_columns import ALIKE, FINER_ROW, MADE, SUMMED

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "finer_quarter_hours"
LOOSE: Final = "loose_sessions"
SLOT: Final = "finely_summed_entries"
COUNT: Final = "finer"
"""The column that says how many entries are in these sums."""

LEFT_MAX: Final = 100_000
"""Where more entries than these are in no finer sums yet, reading them all is no slower."""

_SPAN: Final = "rowid >= $first AND rowid < $after"
_ALSO: Final = ("session_id", "end_customer", "tags")

# Sessions of one team, person and customer get numbers side by side.
_NUMBER: Final = f"""
INSERT INTO sessions BY NAME
SELECT $known + row_number() OVER (ORDER BY whose, first) AS number, session_id
FROM (
    SELECT session_id, min(rowid) AS first,
        arg_min(row(team, user_id, key_id, tool, model_requested, end_customer), rowid) AS whose
    FROM entries WHERE {_SPAN} AND session_id <> '' GROUP BY session_id
) AS found
WHERE NOT EXISTS (SELECT 1 FROM sessions AS known WHERE known.session_id = found.session_id)
"""  # noqa: S608 - names of ours

_NO_LONGER_ALONE: Final = f"""
UPDATE {TABLE} SET {SESSION_ALONE} = FALSE
WHERE {SESSION_ALONE} AND {SESSION_NUMBER} IN (
    SELECT number FROM sessions
    WHERE number <= $known AND session_id IN (SELECT session_id FROM entries WHERE {_SPAN})
)
"""  # noqa: S608 - names of ours

_NAMES: Final = (*(each.name for each in ALIKE), *_ALSO)
_ADD: Final = f"""
INSERT INTO {TABLE} BY NAME
SELECT sums.*, number AS {SESSION_NUMBER},
    coalesce(number > $known AND count(*) OVER (PARTITION BY number) = 1, FALSE) AS {SESSION_ALONE}
FROM (
    SELECT time_bucket(INTERVAL {QUARTER_HOUR_US // 60_000_000} MINUTE, started_at) AS started_at,
        max(started_at) AS {LAST_AT},
        {", ".join(f"{MADE.get(name, name)} AS {name}" for name in _NAMES)},
        {", ".join(f"sum({MADE.get(each.name, each.name)}) AS {each.name}" for each in SUMMED)},
        {LISTS}
    FROM entries
    WHERE {_SPAN}
    GROUP BY 1, {", ".join(str(number + 3) for number in range(len(_NAMES)))}
) AS sums LEFT JOIN sessions USING (session_id)
ORDER BY number, started_at
"""  # noqa: S608 - names of ours

# Sessions that have no number yet get one of those that follow, for as long as it is asked.
_LOOSE_SESSIONS: Final = """
SELECT session_id,
    coalesce(number, $known + row_number() OVER (ORDER BY session_id)) AS number
FROM (SELECT DISTINCT session_id FROM entries WHERE rowid >= $first AND session_id <> '') AS found
LEFT JOIN sessions USING (session_id)
"""


def loose_table() -> ir.Table:
    """Give the table of the numbers that a snapshot makes."""
    columns = {"session_id": dt.string, "number": dt.int64}
    return ibis.table(columns, name=LOOSE)


def together(
    entries: ir.Table,
    sums: ir.Table,
    edges: Sequence[tuple[ir.Value, ir.Value]],
    *,
    alone: bool,
) -> ir.Table:
    """Give finer sums of whole quarter-hours, and the single entries that are in none of them.

    ``edges`` bound the quarter-hours whose entries are wanted by themselves. ``alone`` asks for
    another column: whether no other row is of that row's session.
    """
    names = [column.name for column in FINER_ROW]
    loose = loose_table()
    whole = sums
    if edges:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edges]))
    if alone:
        goes_on = whole[SESSION_NUMBER].isin(loose.number)
        whole = whole.mutate(**{SESSION_ALONE: whole[SESSION_ALONE] & ~goes_on})
        names.append(SESSION_ALONE)
    follows = entries.rowid() >= bound_integer(SLOT)
    parts = [whole.select(*names), _numbered(entries.filter(follows), loose).select(*names)]
    if edges:
        begins = [begin for begin, _ in edges]
        of_these = sums.filter(sums.started_at.isin(begins), sums[SESSION_NUMBER].notnull())
        of_these = of_these.select("session_id", number=SESSION_NUMBER).distinct()
        cut = within(entries, edges)
        parts.append(_numbered(entries.filter(~follows, cut), of_these).select(*names))
    return ibis.union(*parts, distinct=False)


def _numbered(entries: ir.Table, numbers: ir.Table) -> ir.Table:
    """Give single entries as rows of finer sums, with the numbers of their sessions."""
    rows = single_finely(entries)
    numbers = numbers.select("number", of_session="session_id")
    joined = rows.left_join(numbers, rows.session_id == numbers.of_session)
    return joined.mutate(**{SESSION_NUMBER: joined.number, SESSION_ALONE: ibis.literal(False)})


def single_finely(entries: ir.Table) -> ir.Table:
    """Give entries the columns of finer sums, but for the numbers of their sessions."""
    return single(with_lists(entries), *_ALSO, *TIMED.values())


def tell_loose_sessions(cursor: duckdb.DuckDBPyConnection, summed: int) -> None:
    """Make the table of sessions of the entries that follow those ``summed`` up finely."""
    values = {"first": summed, "known": _known(cursor)}
    cursor.register(LOOSE, cursor.sql(_LOOSE_SESSIONS, params=values).to_arrow_table())


def sum_up(cursor: duckdb.DuckDBPyConnection, step: int = quarter_hours.STEP) -> int:
    """Sum up the next entries, at most ``step``; give how many. Within a transaction."""
    first, after = quarter_hours.next_entries(cursor, COUNT, step)
    span = {"first": first, "after": after, "known": _known(cursor)}
    for statement in (_NUMBER, _NO_LONGER_ALONE, _ADD):
        cursor.execute(statement, span).fetchall()
    quarter_hours.count_summed(cursor, COUNT, after)
    return after - first


def _known(cursor: duckdb.DuckDBPyConnection) -> int:
    return int(cursor.execute("SELECT count(*) FROM sessions").fetchall()[0][0])
