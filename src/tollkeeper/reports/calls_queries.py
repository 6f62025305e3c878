"""The queries behind the list of calls, built once for each shape of a question."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from tollkeeper.domain.ledger import Basis
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings
from tollkeeper.reports.call_rows import COLUMNS, STANDING, SUMS
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import aggregates
from tollkeeper.reports.selection import SelectionShape, conditions, selected
from tollkeeper.reports.unpriced import unpriced_attempts

if TYPE_CHECKING:
    import ibis.expr.types as ir

_CHANGING: Final = frozenset({*STANDING, "model", "tier"})


class FoundBy(enum.Enum):
    """Which entries of an attempt have to pass the filters."""

    CALL = "the call itself"  # nothing is asked about that a correction changes
    STANDING = "the call as it stands"
    UNPRICED = "any entry whose cost is unknown"  # one of a further model as well


def found_by(filters: Iterable[Filter]) -> FoundBy:
    """Say how calls are found for some filters."""
    changing = [each for each in filters if each.dimension in _CHANGING]
    for name, values, negated in changing:
        if not negated and (
            (name == "basis" and values == (Basis.UNPRICED.value,))
            or (name == "unpriced_reason" and "" not in values)
        ):
            return FoundBy.UNPRICED
    return FoundBy.STANDING if changing else FoundBy.CALL


class ListShape(NamedTuple):
    selection: SelectionShape
    found_by: FoundBy
    after_cursor: bool
    finished: bool
    limit: int
    since: bool = False


@lru_cache(256)
def listed(ledger: Ledger, shape: ListShape) -> ir.Table:
    table = _listed(ledger, shape)
    if shape.since:
        table = table.filter(table.started_at >= bindings.moment("since"))
    table = table.order_by(ibis.desc("started_at"), ibis.desc("entry_id")).limit(shape.limit)
    return table.select(*COLUMNS, "started_at")


@lru_cache(256)
def times(ledger: Ledger, shape: ListShape) -> ir.Table:
    """Give when the calls of the list started, the newest first."""
    table = _listed(ledger, shape).select("started_at")
    return table.order_by(ibis.desc("started_at")).limit(shape.limit)


def _listed(ledger: Ledger, shape: ListShape) -> ir.Table:
    table = _attempts(ledger, shape)
    if shape.after_cursor:
        time, entry = bindings.moment("cursor_time"), bindings.text("cursor_entry")
        table = table.filter(
            table.started_at <= time, (table.started_at < time) | (table.entry_id < entry)
        )
    if shape.finished:
        ended_ms = table.started_at.epoch_seconds() * 1_000 + table.duration_ms
        table = table.filter(
            table.started_at >= bindings.moment("earliest"),
            ended_ms >= bindings.integer("finished_ms"),
        )
    return table


def _attempts(ledger: Ledger, shape: ListShape) -> ir.Table:
    """Give one entry for each attempt that passes the filters, with the attempt's own id."""
    if shape.found_by is FoundBy.STANDING:
        table = selected(ledger, shape.selection)
        table = table.filter(
            table.part == 0, table.sign == 1, (table.corrects == "") | (table.revision > 0)
        )
        table = table.mutate(
            entry_id=(table.corrects == "").ifelse(table.entry_id, table.corrects),
            following_=table.revision + 1,
        )
        back = selected(ledger, shape.selection, _CHANGING)
        back = back.filter(back.sign == -1, back.part == 0)
        back = back.select(undone_=back.corrects, undone_revision_=back.revision)
        return table.anti_join(
            back,
            [table.entry_id == back.undone_, table.following_ == back.undone_revision_],
        )
    table = selected(ledger, shape.selection, _CHANGING)
    table = table.filter(table.part == 0, table.corrects == "")
    if shape.found_by is FoundBy.UNPRICED:
        open_ones = unpriced_attempts(selected(ledger, shape.selection))
        table = table.semi_join(open_ones, ["call_id", "attempt"])
    return table


@lru_cache(64)
def known(ledger: Ledger, selection: SelectionShape, calls: int) -> ir.Table:
    """Sum up everything of some calls, per attempt; with how it was booked last, if not at once.

    ``corrections`` is None for an attempt that nobody booked anew.
    """
    table = selected(ledger, selection)
    table = table.filter(
        table.call_id.isin([bindings.text(f"call_{slot}") for slot in range(calls)])
    )
    anew = (table.part == 0) & (table.revision > 0) & (table.sign == 1)
    last = {name: table[name].argmax(table.revision, where=anew) for name in STANDING}
    return table.group_by("call_id", "attempt").agg(
        **aggregates(table, SUMS), corrections=table.revision.max(where=anew), **last
    )


def around_max(shape: ListShape) -> int:
    """Say how many entries are looked at together, at most."""
    return 4 * shape.limit + 100


@lru_cache(64)
def around(ledger: Ledger, shape: ListShape) -> ir.Table:
    """Give all that the scope allows since a moment, one more than ``around_max`` at most.

    ``is_listed`` are the calls of the list; all else may belong to them.
    """
    selection = shape.selection
    table = selected(ledger, selection._replace(filters=(), from_start=False, to_end=False))
    table = table.filter(table.started_at >= bindings.moment("since"))
    is_listed = ibis.and_(
        table.part == 0, table.corrects == "", *conditions(ledger, table, selection)
    )
    names = dict.fromkeys((*COLUMNS, "started_at", "part", "revision", "sign", *SUMS))
    return table.select(*names, is_listed=is_listed).limit(around_max(shape) + 1)
