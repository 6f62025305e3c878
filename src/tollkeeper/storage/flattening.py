"""Writes queries without the levels that Ibis puts between their parts.

Each part of a union comes as all columns of a query, which is one level more to read for
whoever parses it and to look columns up in; SQLite's parser is full after a hundred. Where rows of
a table are chosen, all of its columns come out of a query of their own: looking up sixty to use
five of them takes an engine a third of its planning.
"""

from __future__ import annotations

from typing import Any, Final

import sqlglot.expressions as sge

_PLAIN: Final = frozenset({"kind", "expressions", "from", "from_"})
"""What a query has that does nothing but give all columns of another."""

_OF_ITS_OWN: Final = ("order", "limit", "offset", "with", "with_")
"""What a part of a union cannot have."""

_OF_ONE_SOURCE: Final = _PLAIN | {"where", "group", "having", "order", "limit", "distinct"}
"""What a query has that reads one source and no others."""


def flattened(query: sge.Expression) -> sge.Expression:
    """Give a query in which the parts of unions stand side by side. It is changed in place.

    What chooses rows of a table stands where columns are chosen.
    """
    for select in list(query.find_all(sge.Select)):
        _read_the_table(select)
    for union in query.find_all(sge.Union):
        if not union.args.get("distinct"):
            for side in ("this", "expression"):
                union.set(side, _bare(union.args[side]))
    return query


def _bare(part: Any) -> Any:
    """Give what a part of a union reads all columns of, where that can stand there itself."""
    while (inner := _all_of(part)) is not None:
        part = inner
    return part


def _all_of(part: Any) -> Any:
    if not isinstance(part, sge.Select):
        return None
    given, source = _given(part), _source(part)
    stars = part.expressions
    if given - _PLAIN or source is None or len(stars) != 1 or not isinstance(stars[0], sge.Star):
        return None
    inner = source.this.this if isinstance(source.this, sge.Subquery) else None
    if isinstance(inner, sge.Union) and inner.args.get("distinct"):
        return None
    if isinstance(inner, sge.Select | sge.Union) and not any(map(inner.args.get, _OF_ITS_OWN)):
        return inner
    return None


def _read_the_table(select: sge.Select) -> None:
    """Let a query read a table itself, where it reads all columns of some of the table's rows."""
    source = _source(select)
    if (
        source is None
        or _given(select) - _OF_ONE_SOURCE
        or any(it.is_star for it in select.selects)
    ):
        return
    rows, name = source.this, source.this.alias
    inner = rows.this if isinstance(rows, sge.Subquery) else None
    table = _table_of(inner) if name and isinstance(inner, sge.Select) else None
    if inner is None or table is None:
        return
    columns = [it for it in select.find_all(sge.Column) if it.table == name]
    source.set("this", table)
    if any(it.alias == table.alias for it in select.find_all(sge.Table) if it is not table):
        source.set("this", rows)  # what is meant by the name would not be clear
        return
    for column in columns:
        column.set("table", table.args["alias"].this.copy())
    conditions = [it.this for it in map(_condition, (inner, select)) if it is not None]
    if conditions:
        select.set("where", sge.Where(this=sge.and_(*conditions, copy=False)))


def _table_of(rows: sge.Select) -> Any:
    """Give the table of which a query gives all columns of some rows; None for anything else."""
    source, chosen = _source(rows), rows.expressions
    if source is None or _given(rows) - _PLAIN - {"where"} or len(chosen) != 1:
        return None
    table = source.this
    whole = isinstance(chosen[0], sge.Star) and isinstance(table, sge.Table) and table.alias
    return table if whole else None


def _given(query: sge.Select) -> set[str]:
    return {name for name, value in query.args.items() if value}


def _source(query: sge.Select) -> Any:
    return query.args.get("from_") or query.args.get("from")


def _condition(query: sge.Select) -> Any:
    return query.args.get("where")
