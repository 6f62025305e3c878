"""One call explained: every entry it left, what each used, and what that cost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from tollkeeper.domain.access import Scope
from tollkeeper.domain.corrections import bookings_of
from tollkeeper.domain.explanation import UNEXPLAINED, Explanation
from tollkeeper.domain.jobs import JOB_PREFIX
from tollkeeper.domain.ledger import TOKEN_FIELDS, LedgerEntry, unpriced_count
from tollkeeper.domain.money import nanos_of_usd, usd
from tollkeeper.domain.pricing import PriceLine
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.measures import aggregates
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

_ENTRIES_MAX: Final = 1_000
_SUMMED: Final = (
    *("cost_usd", "list_cost_usd", "saved_usd", "unpriced"),
    *(field for field, _ in TOKEN_FIELDS),
)
_UUID7: Final = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
_DAY_US: Final = 86_400_000_000
_MONEY: Final = {
    "cost_usd": "cost_nanos",
    "list_cost_usd": "list_cost_nanos",
    "saved_usd": "saved_nanos",
    "provider_cost_usd": "provider_cost_nanos",
    "provider_list_usd": "provider_list_nanos",
    "held_usd": "held_nanos",
}
_RENAMED: Final = {field: column for column, field in _MONEY.items()} | {
    "started_at_us": "started_at",
    "corrected_at_us": "corrected_at",
}
COLUMNS: Final = tuple(_RENAMED.get(field, field) for field in LedgerEntry._fields)
"""What ``entry_of`` needs of a row."""


@dataclass(frozen=True, slots=True)
class EntryDetail:
    """One entry of a call. ``quantities`` has the exclusive counts that are not zero.

    ``explanation`` is empty here: the price book is not the ledger's business. Whoever has it
    adds it with ``explained``.
    """

    entry: LedgerEntry
    quantities: Mapping[str, int]
    explanation: Explanation = UNEXPLAINED

    def explained(self, explanation: Explanation) -> EntryDetail:
        """Give the same entry with its price explained."""
        return replace(self, explanation=explanation)

    @property
    def lines(self) -> Sequence[PriceLine]:
        """Give the lines that add up to the price, if they are known."""
        return self.explanation.lines


@dataclass(frozen=True, slots=True)
class CallDetail:
    """A call: its attempts, their parts and their corrections, in this order of time.

    A batch may have more entries than are given; then ``whole`` has the sums of all of them.
    """

    call_id: str
    entries: tuple[EntryDetail, ...]
    whole: Mapping[str, Any] | None = None

    @property
    def first(self) -> LedgerEntry:
        """Give the entry that says who called what."""
        return self.entries[0].entry

    def standing(self, entry: LedgerEntry) -> LedgerEntry:
        """Give an entry as it was booked last."""
        bookings = bookings_of([each.entry for each in self.entries])
        found = (each.standing for each in bookings if each.entry.entry_id == entry.entry_id)
        return next(found, entry)

    @property
    def cost_usd(self) -> Decimal | None:
        """Add up what is known; None when nothing is."""
        if self.whole:
            return cast("Decimal | None", self.whole["cost_usd"])
        return _total([each.entry.cost_nanos for each in self.entries])

    @property
    def list_cost_usd(self) -> Decimal | None:
        if self.whole:
            return cast("Decimal | None", self.whole["list_cost_usd"])
        return _total([each.entry.list_cost_nanos for each in self.entries])

    @property
    def saved_usd(self) -> Decimal | None:
        if self.whole:
            return cast("Decimal | None", self.whole["saved_usd"])
        return _total([each.entry.saved_nanos for each in self.entries])

    @property
    def unpriced(self) -> int:
        """Count the entries whose cost is unknown."""
        if self.whole:
            return int(self.whole["unpriced"])
        return sum(unpriced_count(each.entry) for each in self.entries)

    @property
    def omitted(self) -> int:
        """Count the entries that are not given."""
        return int(self.whole["entries"]) - len(self.entries) if self.whole else 0

    @property
    def quantities(self) -> Mapping[str, int]:
        """Give what the call used in all."""
        if self.whole:
            used = {name: int(self.whole[field]) for field, name in TOKEN_FIELDS}
            return {name: count for name, count in used.items() if count}
        sums: dict[str, int] = {}
        for each in self.entries:
            for name, count in each.quantities.items():
                sums[name] = sums.get(name, 0) + count
        return sums


def call(ledger: Ledger, scope: Scope, identifier: str) -> CallDetail:
    """Find a call by its id, or by the id of one of its entries.

    Raises LookupError when there is none that the scope allows: a call of somebody else and
    a call that does not exist look the same.
    """
    with ledger.snapshot():
        rows = _find(ledger, scope, identifier)
        if rows and rows[0]["call_id"] != identifier:
            rows = _find(ledger, scope, rows[0]["call_id"])
        whole = _whole(ledger, scope, rows) if len(rows) == _ENTRIES_MAX else None
    if not rows:
        raise LookupError("no such call")
    return CallDetail(rows[0]["call_id"], tuple(_detail(row) for row in rows), whole)


def own_call(
    ledger: Ledger, org: str, identifier: str, *, user_id: str, key_id: str
) -> CallDetail | None:
    """Find a call that a key made; one of any of a person's keys where no key is named.

    None when there is none (yet). Raises ValueError when neither is given.
    """
    if not user_id and not key_id:
        raise ValueError("whose call: a user or a key is needed")
    try:
        found = call(ledger, Scope(org, user_id=user_id or None), identifier)
    except LookupError:
        return None
    if key_id and any(each.entry.key_id != key_id for each in found.entries):
        return None
    return found


def _whole(ledger: Ledger, scope: Scope, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Sum up all entries of a call that has many."""
    start_us = min(zones.epoch_us_of(row["started_at"]) for row in rows)
    selection = Selection(scope, start_us)
    values = selection.values() | {"id": rows[0]["call_id"]}
    (sums,) = ledger.run(_sums(ledger, selection.shape()), values)
    return sums


@lru_cache(32)
def _sums(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    table = table.filter(table.call_id == bindings.text("id"))
    return table.agg(entries=table.count(), **aggregates(table, _SUMMED))


def _find(ledger: Ledger, scope: Scope, identifier: str) -> list[dict[str, Any]]:
    """Look where the id says that it was made; if nothing is there, look everywhere."""
    match = _UUID7.fullmatch(identifier)
    starts = [int(match[1] + match[2], 16) * 1_000 - _DAY_US] if match else []
    for start_us in [*(each for each in starts if each > 0), None]:
        selection = Selection(scope, start_us)
        values = selection.values() | {"id": identifier}
        rows = ledger.run(_entries(ledger, selection.shape()), values)
        if rows:
            return rows
    return []


@lru_cache(32)
def _entries(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    identifier = bindings.text("id")
    table = table.filter((table.call_id == identifier) | (table.entry_id == identifier))
    # Lines of a batch come last: there may be more of them than are given.
    is_line = (table.corrects == "") & table.entry_id.startswith(JOB_PREFIX)
    ordered = table.order_by(
        is_line,
        *(table.corrects != "", table.attempt, table.part, table.revision, table.sign),
        *(table.started_at, table.entry_id),
    )
    return ordered.select(*COLUMNS).limit(_ENTRIES_MAX)


def _detail(row: Mapping[str, Any]) -> EntryDetail:
    entry = entry_of(row)
    quantities = {name: getattr(entry, field) for field, name in TOKEN_FIELDS}
    quantities |= entry.units
    return EntryDetail(entry, {name: count for name, count in quantities.items() if count})


def entry_of(row: Mapping[str, Any]) -> LedgerEntry:
    """Read a whole row of the table back into the entry it was made from."""
    fields = dict(row)
    fields["started_at_us"] = zones.epoch_us_of(fields.pop("started_at"))
    corrected = fields.pop("corrected_at")
    fields["corrected_at_us"] = None if corrected is None else zones.epoch_us_of(corrected)
    fields["units"] = json.loads(fields["units"])
    fields["usage_raw"] = fields["usage_raw"] or ""
    for column, field in _MONEY.items():
        amount = fields.pop(column)
        fields[field] = None if amount is None else nanos_of_usd(amount)
    return LedgerEntry(**fields)


def _total(nanos: Sequence[int | None]) -> Decimal | None:
    known = [amount for amount in nanos if amount is not None]
    return usd(sum(known)) if known else None
