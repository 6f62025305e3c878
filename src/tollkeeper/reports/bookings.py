"""The ledger's entries for pricing them again, a stretch of time at a time."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from tollkeeper.domain.access import Scope
from tollkeeper.domain.corrections import bookings_of
from tollkeeper.domain.repricing import BookingsPage, RepricingQuestion
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.call import COLUMNS, entry_of
from tollkeeper.reports.dimensions import dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

_NOTHING: Final = BookingsPage((), None)


class _Shape(NamedTuple):
    selection: SelectionShape
    unpriced_only: bool


class LedgerBookings:
    """Implements ``domain.repricing.Bookings`` for one organisation."""

    def __init__(self, ledger: Ledger, org: str) -> None:
        self._ledger = ledger
        self._scope = Scope(org)

    def count(self, question: RepricingQuestion) -> int:
        """Count the entries that the question is about."""
        selection = self._selection(question)
        if selection is None:
            return 0
        shape = _Shape(selection.shape(), question.unpriced_only)
        (row,) = self._ledger.run(_count(self._ledger, shape), selection.values())
        return int(row["entries"])

    def page(self, question: RepricingQuestion, most: int) -> BookingsPage:
        """Give the entries from the start of the question's time on, all of one moment or none."""
        with self._ledger.snapshot():
            selection = self._selection(question)
            if selection is None:
                return _NOTHING
            next_us = self._next_us(question, selection, most)
            end_us = question.end_us if next_us is None else next_us
            selection = replace(selection, end_us=end_us)
            shape = _Shape(selection.shape(), question.unpriced_only)
            rows = self._ledger.run(_rows(self._ledger, shape), selection.values())
            # Corrections keep the time of what they correct; their basis is another one.
            within = Selection(self._scope, selection.start_us, end_us)
            rows += self._ledger.run(_again(self._ledger, within.shape()), within.values())
        return BookingsPage(bookings_of([entry_of(row) for row in rows]), next_us)

    def _next_us(self, question: RepricingQuestion, selection: Selection, most: int) -> int | None:
        """Give the start of the entry after so many; entries of one moment stay together."""
        shape = _Shape(selection.shape(), question.unpriced_only)
        rows = self._ledger.run(_start_after(self._ledger, shape, most), selection.values())
        if not rows:
            return None
        start_us = zones.epoch_us_of(rows[0]["started_at"])
        return max(start_us, question.start_us + 1)

    def _selection(self, question: RepricingQuestion) -> Selection | None:
        """Give the entries to look at; None where no model fits the glob."""
        filters = [
            Filter(name, (value,))
            for name, value in (("provider", question.provider), ("team", question.team))
            if value
        ]
        selection = Selection(self._scope, question.start_us, question.end_us, tuple(filters))
        if not question.model:
            return selection
        found = self._ledger.run(_models(self._ledger, selection.shape()), selection.values())
        glob = question.model.lower()
        models = [row["model"] for row in found if fnmatchcase(row["model"].lower(), glob)]
        if not models:
            return None
        return replace(selection, filters=(*filters, Filter("model", tuple(models))))


def _priceable(ledger: Ledger, shape: _Shape) -> ir.Table:
    """Give the entries that a price was looked up for, without corrections."""
    table = selected(ledger, shape.selection)
    table = table.filter(table.corrects == "", table.price_key != "")
    return table.filter(table.unpriced == 1) if shape.unpriced_only else table


@lru_cache(64)
def _count(ledger: Ledger, shape: _Shape) -> ir.Table:
    table = _priceable(ledger, shape)
    return table.agg(entries=table.count())


@lru_cache(64)
def _start_after(ledger: Ledger, shape: _Shape, most: int) -> ir.Table:
    table = _priceable(ledger, shape)
    return table.select("started_at").order_by("started_at").limit(1, offset=most)


@lru_cache(64)
def _rows(ledger: Ledger, shape: _Shape) -> ir.Table:
    table = _priceable(ledger, shape)
    return table.select(*COLUMNS).order_by("started_at", "entry_id")


@lru_cache(16)
def _again(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    table = table.filter(table.corrects != "", table.revision > 0, table.sign == 1)
    return table.select(*COLUMNS)


@lru_cache(64)
def _models(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    return table.select(model=dimension(ledger, table, "model")).distinct()
