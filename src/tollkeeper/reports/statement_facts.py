"""What the ledger says of a month, in the lines of a statement."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.money import nanos_of_usd
from tollkeeper.domain.sharing import Sharing
from tollkeeper.domain.statements import Use, UseKey
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.dimensions import dimension
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

FEATURE: Final = "tag:feature"
_REMEMBERED: Final = 64
_SHAPES: Final = 16


class LedgerFacts:
    """Implements ``domain.statements.Facts`` for one organisation.

    Entries are only ever added, so a stretch of time with as many rows as before says what it
    said before: its lines are remembered. Safe to use from several threads.
    """

    def __init__(self, ledger: Ledger, org: str) -> None:
        self._ledger = ledger
        self._scope = Scope(org)
        self._known: OrderedDict[tuple[object, ...], tuple[Use, ...]] = OrderedDict()
        self._knowing = threading.Lock()

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all that this thread asks inside be of one state of the ledger."""
        return self._ledger.snapshot()

    def first_us(self) -> int | None:
        """Give the start of the first entry, None where there is none."""
        selection = Selection(self._scope)
        (row,) = self._ledger.run(_first(self._ledger, selection.shape()), selection.values())
        return None if row["first"] is None else zones.epoch_us_of(row["first"])

    def count(self, start_us: int, end_us: int) -> int:
        """Count the rows of the ledger, corrections and all."""
        selection = Selection(self._scope, start_us, end_us)
        (row,) = self._ledger.run(_count(self._ledger, selection.shape()), selection.values())
        return int(row["entries"])

    def reasons(self, start_us: int, end_us: int) -> dict[str, int]:
        """Count the entries without a price by the reason; corrected ones are none any more."""
        selection = Selection(self._scope, start_us, end_us)
        rows = self._ledger.run(_reasons(self._ledger, selection.shape()), selection.values())
        return {row["reason"]: int(row["unpriced"]) for row in rows if row["unpriced"]}

    def uses(self, month: str, start_us: int, end_us: int, sharing: Sharing) -> tuple[Use, ...]:
        """Sum up the entries in lines; lines in which nothing was used are left out."""
        name = (month, start_us, end_us, sharing.teams, sharing.tags)
        with self._ledger.snapshot():
            place = (*name, self.count(start_us, end_us))
            with self._knowing:
                known = self._known.get(place)
            if known is not None:
                return known
            selection = Selection(self._scope, start_us, end_us)
            keys = tuple(key for key, _ in sharing.tags)
            values = selection.values()
            values |= {f"shared_{slot}": value for slot, (_, value) in enumerate(sharing.tags)}
            rows = self._ledger.run(_lines(self._ledger, selection.shape(), keys), values)
        found = [_use(month, row, sharing) for row in rows]
        uses = tuple(sorted((use for use in found if use.says_something), key=lambda use: use.key))
        with self._knowing:
            self._known[place] = uses
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return uses


def _use(month: str, row: Mapping[str, Any], sharing: Sharing) -> Use:
    team = row["team"]
    shared = not team or team in sharing.teams or bool(row["tagged"])
    key = UseKey(
        *(month, team, row["provider"], row["model"], row["feature"], row["basis"]),
        shared=shared,
    )
    return Use(
        key,
        int(row["requests"]),
        int(row["tokens_in"]),
        int(row["tokens_out"]),
        int(row["entries"]),
        int(row["unpriced"]),
        None if row["cost"] is None else nanos_of_usd(row["cost"]),
        None if row["listed"] is None else nanos_of_usd(row["listed"]),
        row["first_version"] or "",
        row["last_version"] or "",
    )


@lru_cache(_SHAPES)
def _first(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    return table.agg(first=table.started_at.min())


@lru_cache(_SHAPES)
def _count(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    return table.agg(entries=table.count())


@lru_cache(_SHAPES)
def _reasons(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    return table.group_by(reason=table.unpriced_reason).agg(unpriced=table.unpriced.sum())


@lru_cache(_SHAPES)
def _lines(ledger: Ledger, shape: SelectionShape, tags: tuple[str, ...]) -> ir.Table:
    table = selected(ledger, shape)
    marks = [
        (ledger.tag(table, key) == bindings.text(f"shared_{slot}")).fill_null(False)
        for slot, key in enumerate(tags)
    ]
    tagged = reduce(or_, marks) if marks else ibis.literal(False)
    priced = table.price_version != ""
    return table.group_by(
        team=table.team,
        provider=table.provider,
        model=dimension(ledger, table, "model"),
        feature=dimension(ledger, table, FEATURE).fill_null(""),
        basis=table.basis,
        tagged=tagged,
    ).agg(
        requests=table.requests.sum(),
        tokens_in=table.tokens_in.sum(),
        tokens_out=table.tokens_out.sum(),
        entries=table.sign.sum(),
        unpriced=table.unpriced.sum(),
        cost=table.cost_usd.sum(),
        listed=table.list_cost_usd.sum(),
        first_version=table.price_version.min(where=priced),
        last_version=table.price_version.max(where=priced),
    )
