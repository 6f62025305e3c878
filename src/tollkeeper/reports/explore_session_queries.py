"""The queries behind the first groups by session, of which there are very many.

Sessions are told apart by their numbers, which takes half as long as by their texts. Where equal
groups stand in an order of texts, they are asked for ``by_text``. What is shown of calls, whose own
queries are in ``explore_call_queries``, is asked for here as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis
from ibis import _

from tollkeeper.domain.sums import SESSION_ALONE, SESSION_KEY, SESSION_NUMBER
from tollkeeper.ports import Ledger
from tollkeeper.reports.dimensions import COLUMNS
from tollkeeper.reports.explore_call_queries import calls_among
from tollkeeper.reports.explore_queries import (
    by_span,
    first_of,
    in_order,
    place_of,
    stands,
    weighed,
    with_places,
)
from tollkeeper.reports.explore_spans import (
    BEFORE,
    CALL,
    NOW,
    SPAN_COLUMN,
    PivotShape,
    names_of,
    spanned,
    time_column,
    timed,
)
from tollkeeper.reports.many_groups import as_they_stand, of_row, put_together
from tollkeeper.reports.measured_groups import in_stages, measured_again
from tollkeeper.reports.usage_queries import GroupShape

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256
NUMBER: Final = "group_number"
SHOWN: Final = "explored_sessions"
SHOWN_NONE: Final = "explored_no_session"
PLACE: Final = "place_"
Absent = tuple[tuple[bool, ...], ...]


class ShownShape(NamedTuple):
    """All groups of the sessions in the slot ``AMONG``: those that are shown, and their others.

    The slot has numbers, or texts if ``by_text``; ``or_none``: so is what has no session.
    ``times`` groups by the step of time, None where none are shown. The rows have been set aside,
    as ``SHOWN`` and ``SHOWN_NONE``: in one query the engine would set aside much more.
    """

    pivot: PivotShape
    times: GroupShape | None
    by_text: bool
    or_none: bool


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_several_rows(ledger: Ledger, shape: PivotShape, by_text: bool) -> ir.Table:
    """Give the first groups in order of sessions with several rows, and how many these are."""
    table, groups, spans = _by_session(ledger, shape, alone=False, by_text=by_text)
    return first_of(put_together(table, groups, spans, weighed(shape), one_session=True), shape)


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_single_rows(ledger: Ledger, shape: PivotShape, by_text: bool) -> ir.Table:
    """Give the first groups in order of sessions with one row."""
    table, groups, spans = _by_session(ledger, shape, alone=True, by_text=by_text)
    found = as_they_stand(table, groups, spans, weighed(shape))
    return in_order(found.filter(stands(found)), shape)


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_single_rows_now(ledger: Ledger, shape: PivotShape, by_text: bool) -> ir.Table:
    """Give those of this period, which come before all others where ``begins_now``."""
    table, groups, _spans = _by_session(ledger, shape, alone=True, by_text=by_text, now=True)
    table = table.filter(of_row("entries", table) != 0)
    always = {"now": ibis.literal(True)}
    return in_order(as_they_stand(table, groups, always, weighed(shape)), shape)


def begins_now(shape: PivotShape) -> bool:
    """Tell whether groups with something in this period come before those that have nothing."""
    return shape.sort in {"value", "requests"}


@lru_cache(_SHAPES_REMEMBERED)
def counted_single_rows(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Count the groups of sessions with one row."""
    table, _groups, _spans = _by_session(ledger, shape, alone=True, by_text=True)
    return table.filter(of_row("entries", table) != 0).agg(groups_=_.count())


@lru_cache(_SHAPES_REMEMBERED)
def rows_shown(ledger: Ledger, shape: ShownShape, none: bool = False) -> ir.Table:
    """Give what is measured of each group, span and time, of these sessions or of ``none``.

    The session's number is the column ``NUMBER``.
    """
    pivot = shape.pivot
    if many_of(pivot) == CALL:
        table, groups = calls_among(ledger, pivot)
    else:
        column = COLUMNS[many_of(pivot)] if shape.by_text else number_column(ledger)
        table, groups = spanned(ledger, pivot, among=column, none=none)
    if not shape.by_text:
        groups[NUMBER] = table[column]
    groups = timed(ledger, table, groups, shape.times)
    return in_stages(table, groups, pivot.measures, names_of(pivot))


@lru_cache(_SHAPES_REMEMBERED)
def pivoted_shown(ledger: Ledger, shape: ShownShape) -> ir.Table:
    """Give what ``pivoted`` does of all groups of these sessions."""
    table = _shown(ledger, shape)
    names = [name for name in table.columns if name.startswith("group_")]
    groups = {name: table[name] for name in (*names, SPAN_COLUMN)}
    return by_span(measured_again(table, groups, shape.pivot.measures, names_of(shape.pivot)))


@lru_cache(_SHAPES_REMEMBERED)
def placed_shown(ledger: Ledger, shape: ShownShape, limit: int) -> ir.Table:
    """Give the first groups with their places, as ``explore_queries.placed`` does.

    Those that come first of all do so among all groups of their sessions.
    """
    pivot = shape.pivot._replace(limit=limit)
    return with_places(first_of(pivoted_shown(ledger, shape), pivot), pivot)


@lru_cache(_SHAPES_REMEMBERED)
def steps_shown(ledger: Ledger, shape: ShownShape, absent: Absent) -> ir.Table:
    """Give the measures of each step for some groups, as ``explore_queries.by_step`` does.

    What comes after the last of these groups is all that is set aside besides them.
    """
    table, place = _placed(ledger, shape, absent)
    groups = {"group_0": table[time_column(0)], PLACE: place}
    return measured_again(table, groups, shape.pivot.measures, {})


@lru_cache(_SHAPES_REMEMBERED)
def sessions_of_these_alone(ledger: Ledger, shape: ShownShape, absent: Absent) -> ir.Table:
    """Count for each step the sessions that are in some of these groups and in no other."""
    table, place = _placed(ledger, shape, absent)
    table = table.filter(table[NUMBER].notnull())
    of_these = place < len(absent)
    groups = {"group_0": table[time_column(0)], NUMBER: table[NUMBER]}
    each = table.group_by(**groups).agg(inside=of_these.sum(), outside=(~of_these).sum())
    only = each.filter(each.inside > 0, each.outside == 0)
    return only.group_by("group_0").agg(sessions=only.count())


def _shown(ledger: Ledger, shape: ShownShape) -> ir.Table:
    rows = rows_shown(ledger, shape)
    shown = ibis.table(rows.schema(), name=SHOWN)
    return shown.union(ibis.table(rows.schema(), name=SHOWN_NONE)) if shape.or_none else shown


def _placed(ledger: Ledger, shape: ShownShape, absent: Absent) -> tuple[ir.Table, ir.Value]:
    """Give what there is of this period, and the place of the group that each row is of."""
    table = _shown(ledger, shape)
    table = table.filter(table[SPAN_COLUMN] == NOW)
    names = [f"group_{index}" for index in range(len(shape.pivot.groups.group_by))]
    return table, place_of([table[name] for name in names], absent)


def _by_session(
    ledger: Ledger, shape: PivotShape, *, alone: bool, by_text: bool, now: bool = False
) -> tuple[ir.Table, dict[str, ir.Value], dict[str, ir.Value]]:
    """Give sessions with one row, or those with more; their groups, and what is in each span."""
    table, groups = spanned(ledger, shape, alone=True, now=now)
    if not by_text:
        groups[many_column(shape)] = table[number_column(ledger)]
    groups["alone_"] = table[SESSION_ALONE]
    table = table.mutate(**groups)
    table = table.filter(table.alone_ if alone else ~table.alone_)
    span = table[SPAN_COLUMN]
    names = [name for name in groups if name.startswith("group_")]
    found = {name: table[name] for name in names}
    return table, found, {"now": span == NOW, "before": span == BEFORE}


@lru_cache(_SHAPES_REMEMBERED)
def number_column(ledger: Ledger) -> str:
    """Name the column that tells sessions apart by numbers."""
    columns = ledger.summed_finely(()).columns
    return SESSION_NUMBER if SESSION_NUMBER in columns else SESSION_KEY


def many_of(shape: PivotShape) -> str:
    """Name the dimension of which there are so many."""
    return CALL if CALL in shape.groups.group_by else "session"


def many_column(shape: PivotShape) -> str:
    """Name its column among the groups."""
    return f"group_{shape.groups.group_by.index(many_of(shape))}"
