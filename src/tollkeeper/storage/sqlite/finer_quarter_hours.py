"""Finer sums by the quarter-hour in SQLite: of entries that also share session, customer and tags.

A row has sums, how long each of its requests took, and numbers for all that its entries have alike
(see ``finer_schema``). Rows of one kind lie together in the order of time: a question is asked of
the kinds that pass its filters, and of each only the rows of its stretch of time are read. As with
``quarter_hours``, the first entries are in these rows, as many as ``summed_entries`` says, and
those that follow are read by themselves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.sums import LAST_AT, SESSION_ALONE, SESSION_KEY
from tollkeeper.request_times import TIMED
from tollkeeper.storage.columns import COLUMNS, Column, Kind
from tollkeeper.storage.ledger_tables import table, within
from tollkeeper.storage.sqlite import quarter_hours
from tollkeeper.storage.sqlite.finer_schema import KIND, LABEL
from tollkeeper.storage.sqlite.quarter_hours import BEGINS
from tollkeeper.storage.summed_columns import ALIKE, MADE, OPEN_CALL, SUMMED
from tollkeeper.storage.timed_columns import VALUES

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "finer_quarter_hours"
KINDS: Final = "kinds"
JOINED: Final = ("labels", "sessions")
"""Tables of which each row of sums has one row; who asks for nothing of it need not look for it."""

COUNT: Final = "finer"
"""The column that says how many entries are in these sums."""

LEFT_MAX: Final = 50_000
"""Where more entries than these are in no finer sums yet, reading them all is no slower."""

_BY_NAME: Final = {column.name: column for column in (*COLUMNS, *ALIKE)}
_NUMBER: Final = Column("number", Kind.INTEGER)
_KINDS: Final = table(KINDS, (_NUMBER, *(_BY_NAME[name] for name in KIND)))
_LABELS: Final = table("labels", (_NUMBER, *(_BY_NAME[name] for name in LABEL)))
_SESSIONS: Final = table("sessions", (_NUMBER, _BY_NAME["session_id"]))
_KEYS: Final = ("kind", "label", "session")
_SUMS: Final = (
    _BY_NAME["started_at"],
    Column(LAST_AT, Kind.TIME),
    _BY_NAME[OPEN_CALL],
    *SUMMED,
    *VALUES,
    Column(SESSION_ALONE, Kind.FLAG),
)
_FINER: Final = table(TABLE, (*(Column(name, Kind.INTEGER) for name in _KEYS), *_SUMS))
_ROW: Final = (
    *(column.name for column in _SUMS),
    *(*KIND, *LABEL, "session_id", SESSION_KEY),
)
_STATE: Final = ibis.table(
    dict.fromkeys(("entries", COUNT), dt.Int64(nullable=False)), name="summed_entries"
)


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="tk_listed", signature=((dt.int64,), dt.Array(dt.int64))
)
def _listed(value: object) -> object:
    """Stand for a list of one value."""


def together(
    entries: ir.Table, edges: Sequence[tuple[ir.Value, ir.Value]], *, alone: bool
) -> ir.Table:
    """Give finer sums of whole quarter-hours, and the single entries that are in none of them.

    ``edges`` bound the quarter-hours whose entries are wanted by themselves. ``alone`` asks for
    another column: whether no other row is of that row's session.
    """
    names = [name for name in _ROW if alone or name != SESSION_ALONE]
    number = entries.rowid()
    summed = _STATE.select(COUNT).as_scalar()
    follows = entries.filter(number > summed)
    whole = _whole()
    if edges:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edges]))
    if alone:
        here = follows.select("session_id").join(_SESSIONS, "session_id")
        goes_on = whole[SESSION_KEY].isin(here.number)
        whole = whole.mutate(
            **{SESSION_ALONE: whole[SESSION_ALONE] & ~goes_on.fill_null(ibis.literal(False))}
        )
    parts = [whole.select(*names), _single(follows, _numbers(follows)).select(*names)]
    if edges:
        cut = within(entries, edges)
        of_edges = entries.filter(number <= summed, cut)
        parts.append(_single(of_edges, _SESSIONS).select(*names))
    return ibis.union(*parts, distinct=False)


def _whole() -> ir.Table:
    """Give the rows of sums with what their numbers stand for."""
    rows = _KINDS.join(_FINER, _KINDS.number == _FINER.kind)
    rows = rows.join(_LABELS, _FINER.label == _LABELS.number)
    rows = rows.join(_SESSIONS, _FINER.session == _SESSIONS.number)
    return rows.select(
        *(_FINER[column.name] for column in _SUMS),
        *(_KINDS[name] for name in KIND),
        *(_LABELS[name] for name in LABEL),
        _SESSIONS.session_id,
        **{SESSION_KEY: _FINER.session.nullif(0)},
    )


def _numbers(follows: ir.Table) -> ir.Table:
    """Number the sessions of entries that are in no sums; new ones by numbers below 0."""
    found = follows.select("session_id").distinct()
    known = _SESSIONS.select("number", known_="session_id")
    joined = found.left_join(known, found.session_id == known.known_)
    joined = joined.select("session_id", "number")
    new = -1 - ibis.row_number().over(order_by=joined.session_id)
    return joined.select("session_id", number=joined.number.coalesce(new))


def _single(entries: ir.Table, numbers: ir.Table) -> ir.Table:
    """Give single entries as rows of finer sums, each standing for itself."""
    rows = quarter_hours.single(entries, "session_id", *LABEL, *TIMED, "revision")
    request = (rows.requests == 1) & (rows.revision == 0)
    rows = rows.mutate(
        **{
            several: (request & rows[one].notnull()).ifelse(_listed(rows[one]), None)
            for one, several in TIMED.items()
        }
    )
    numbers = numbers.select("number", of_session="session_id")
    joined = rows.left_join(numbers, rows.session_id == numbers.of_session)
    return joined.mutate(
        **{SESSION_KEY: joined.number.nullif(0), SESSION_ALONE: ibis.literal(False)}
    )


# ------------------------------------------------------------------ summing up

_SPAN: Final = "rowid > :first AND rowid <= :after"


def _made(names: Sequence[str]) -> str:
    return ", ".join(MADE.get(name, name) for name in names)


_NEW: Final = (
    f"INSERT OR IGNORE INTO kinds ({', '.join(KIND)})"  # noqa: S608 - names of ours
    f" SELECT DISTINCT {_made(KIND)} FROM entries WHERE {_SPAN}",
    f"INSERT OR IGNORE INTO labels ({', '.join(LABEL)})"  # noqa: S608 - names of ours
    f" SELECT DISTINCT {', '.join(LABEL)} FROM entries WHERE {_SPAN}",
    "INSERT OR IGNORE INTO sessions (session_id)"  # noqa: S608 - names of ours
    f" SELECT DISTINCT session_id FROM entries WHERE {_SPAN}",
)
_OF_KIND: Final = " AND ".join(f"kinds.{name} = ({MADE.get(name, f'e.{name}')})" for name in KIND)
_SUMMED: Final = [each.name for each in SUMMED]
_LISTS: Final = ", ".join(
    f"tk_values({one}) FILTER (WHERE requests = 1 AND revision = 0)" for one in TIMED
)
_ADD: Final = f"""
INSERT INTO {TABLE} (kind, started_at, label, session, call_id, place, session_alone,
    last_at, {", ".join(_SUMMED)}, {", ".join(TIMED.values())})
SELECT kinds.number, {BEGINS}, labels.number, sessions.number, {MADE[OPEN_CALL]}, min(e.rowid),
    sessions.number > :known, max(started_at),
    {", ".join(f"sum({MADE.get(name, name)})" for name in _SUMMED)}, {_LISTS}
FROM entries AS e
CROSS JOIN kinds ON {_OF_KIND}
CROSS JOIN labels ON labels.end_customer = e.end_customer AND labels.tags = e.tags
CROSS JOIN sessions ON sessions.session_id = e.session_id
WHERE e.{_SPAN.replace("AND rowid", "AND e.rowid")}
GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - names of ours

# Of the rows that were alone, those whose session has another by now.
_NO_LONGER_ALONE: Final = f"""
UPDATE {TABLE} SET {SESSION_ALONE} = 0
WHERE {SESSION_ALONE} AND session IN (
    SELECT session FROM {TABLE}
    WHERE session IN (
        SELECT number FROM sessions
        WHERE session_id IN (SELECT session_id FROM entries WHERE {_SPAN} AND session_id <> '')
    )
    GROUP BY session HAVING count(*) > 1
)
"""  # noqa: S608 - names of ours


def sum_up(connection: sqlite3.Connection, step: int = quarter_hours.STEP) -> None:
    """Sum up the next entries, at most ``step``. Within a transaction."""
    quarter_hours.add_next(connection, COUNT, _add, step)


def _add(connection: sqlite3.Connection, first: int, after: int) -> None:
    (known,) = connection.execute("SELECT max(number) FROM sessions").fetchone()
    span = {"first": first, "after": after}
    for statement in _NEW:
        connection.execute(statement, span)
    connection.execute(_ADD, {**span, "known": known})
    connection.execute(_NO_LONGER_ALONE, span)


def are_of_use(connection: sqlite3.Connection) -> bool:
    """Say whether finer sums have all entries but a few."""
    summed, last = connection.execute(
        f"SELECT {COUNT}, (SELECT max(rowid) FROM entries) FROM summed_entries"  # noqa: S608
    ).fetchone()
    return (last or 0) - int(summed) <= LEFT_MAX
