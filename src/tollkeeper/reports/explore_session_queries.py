"""The queries behind the first groups by session or call, of which there are very many.

Sessions are told apart by their numbers, which takes half as long as by their texts. Where equal
groups stand in an order of texts, they are asked for ``by_text``, as calls are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ibis import _

from tollkeeper.domain.sums import SESSION_ALONE, SESSION_NUMBER
from tollkeeper.ports import Ledger
from tollkeeper.reports.dimensions import COLUMNS
from tollkeeper.reports.explore_queries import NEEDED, first_of, in_order, stands, weighing, wide_of
from tollkeeper.reports.explore_spans import (
    BEFORE,
    CALL,
    CALL_HASH,
    NOW,
    SPAN_COLUMN,
    PivotShape,
    call_hash,
    spanned,
)
from tollkeeper.reports.many_groups import as_they_stand, put_together

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256
NUMBER: Final = "group_number"


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_several_rows(ledger: Ledger, shape: PivotShape, by_text: bool) -> ir.Table:
    """Give the first groups in order of sessions with several rows, and how many these are."""
    table, groups, spans = _by_session(ledger, shape, alone=False, by_text=by_text)
    one_session = many_of(shape) == "session"
    return first_of(put_together(table, groups, spans, weighing(shape), one_session), shape)


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_single_rows(ledger: Ledger, shape: PivotShape, by_text: bool) -> ir.Table:
    """Give the first groups in order of sessions with one row."""
    table, groups, spans = _by_session(ledger, shape, alone=True, by_text=by_text)
    found = as_they_stand(table, groups, spans, weighing(shape))
    return in_order(found.filter(stands(found)), shape)


@lru_cache(_SHAPES_REMEMBERED)
def counted_single_rows(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Count the groups of sessions with one row."""
    table, groups, spans = _by_session(ledger, shape, alone=True, by_text=True)
    found = as_they_stand(table, groups, spans, NEEDED)
    return found.filter(stands(found)).agg(groups_=_.count())


@lru_cache(_SHAPES_REMEMBERED)
def pivoted_among(ledger: Ledger, shape: PivotShape, by_text: bool, or_none: bool) -> ir.Table:
    """Give what ``pivoted`` does of all groups of the sessions in the slot ``AMONG``.

    These are numbers, and with ``or_none`` NULL for no session, or texts. The session's number
    is the column ``NUMBER``.
    """
    column = COLUMNS[many_of(shape)] if by_text else SESSION_NUMBER
    table, groups = spanned(ledger, shape, among=column, or_none=or_none)
    if not by_text:
        groups[NUMBER] = table[SESSION_NUMBER]
    return wide_of(table, groups, shape)


@lru_cache(_SHAPES_REMEMBERED)
def calls_of_several(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the hashes of all calls with several rows, and of few others: the table ``CALLS``."""
    table, _groups = spanned(ledger, shape)
    hashes = table.select(**{CALL_HASH: call_hash(table)})
    counted = hashes.group_by(CALL_HASH).agg(rows=hashes.count())
    return counted.filter(counted.rows > 1).select(CALL_HASH)


def _by_session(
    ledger: Ledger, shape: PivotShape, *, alone: bool, by_text: bool
) -> tuple[ir.Table, dict[str, ir.Value], dict[str, ir.Value]]:
    """Give sessions with one row, or those with more; their groups, and what is in each span."""
    table, groups = spanned(ledger, shape, alone=True)
    if not by_text:
        groups[many_column(shape)] = table[SESSION_NUMBER]
    groups["alone_"] = table[SESSION_ALONE]
    table = table.mutate(**groups)
    table = table.filter(table.alone_ if alone else ~table.alone_)
    span = table[SPAN_COLUMN]
    names = [name for name in groups if name.startswith("group_")]
    found = {name: table[name] for name in names}
    return table, found, {"now": span == NOW, "before": span == BEFORE}


def many_of(shape: PivotShape) -> str:
    """Name the dimension of which there are so many."""
    return CALL if CALL in shape.groups.group_by else "session"


def many_column(shape: PivotShape) -> str:
    """Name its column among the groups."""
    return f"group_{shape.groups.group_by.index(many_of(shape))}"
