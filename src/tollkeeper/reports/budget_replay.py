"""Replays a budget over the ledger: what it would have refused, whom, and from when on.

The ledger sums up each window by whoever is counted apart. Only windows that would not have
held have their calls read one by one, a page at a time, so that memory stays small however
many there were; and of those only the ones that may still fit, once most do not. Where windows
begin is said by ``domain.budget_windows`` alone, and which calls count by the budget itself: by
the model that was asked for, as when calls are admitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.budget_replay import (
    PastCall,
    PastCalls,
    Replay,
    Replayer,
    Sums,
    windows_of,
)
from tollkeeper.domain.budget_windows import Window
from tollkeeper.domain.budgets import ANY, GLOBS, Budget, BudgetScope, Unit
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.domain.spenders import Caller
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.budget_columns import SCOPE_COLUMNS
from tollkeeper.reports.dimensions import COLUMNS, TAG_PREFIX, check_dimension, dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

PAGE_ROWS: Final = 20_000
WINDOWS_AT_ONCE: Final = 48
_EPOCH: Final = ibis.timestamp("1970-01-01 00:00:00")
_BOUNDARY: Final = "window"
_ROOM: Final = "room"
_VALUE: Final = "value"
_MODEL_KEYS: Final = ["asked", "served", "requested"]
_KEYS: Final = [_VALUE, *_MODEL_KEYS]
"""Columns that decide on whose balance an entry counts, where the budget asks for them."""
_DIMENSIONS: Final = {column: name for name, column in COLUMNS.items()}

Told = Callable[[int, int], None]
"""Is told how many windows are done, and of how many."""


class _Shape(NamedTuple):
    """What of a question is part of the SQL text."""

    selection: SelectionShape
    dimension: str  # "" where all calls count together
    by_model: bool
    unit: Unit


def replay(
    ledger: Ledger,
    org: str,
    budget: Budget,
    start_us: int,
    end_us: int,
    tell: Told = lambda done, of: None,
) -> Replay:
    """Say what a budget would have refused from a time to before another.

    The first window is taken from its beginning, as if the budget had been made there; when
    it was really made, and until when it counts, does not matter. Raises BadQuestion for a tag
    that no ledger can be asked for.
    """
    past = _Past(ledger, org, budget)
    windows = list(windows_of(budget.window, start_us, end_us))
    replayer = Replayer(budget, windows[0].start_us if windows else start_us, end_us)
    done = 0
    with ledger.snapshot():
        for some in _chunks(windows, WINDOWS_AT_ONCE):
            sums = past.sums(some, end_us)
            for window, of_window in zip(some, sums, strict=True):
                tight = replayer.begin(window, of_window)
                if tight:
                    _refuse(
                        past, replayer, Window(window.start_us, min(window.end_us, end_us)), tight
                    )
                replayer.end()
                done += 1
                tell(done, len(windows))
    return replayer.result()


def _refuse(past: _Past, replayer: Replayer, window: Window, tight: frozenset[str]) -> None:
    """Take the calls of a window that may not all fit; pages that fit are taken as a whole."""
    pages = past.pages(window)
    may_fit = len(pages) > 1
    for page in pages:
        may_fit = may_fit and replayer.pass_over(past.sums([page], page.end_us)[0], tight)
        if may_fit:
            continue
        calls = list(past.calls(page))
        replayer.take(calls, tight)
        rest, room = Window(page.end_us, window.end_us), replayer.most_room(tight)
        if page is not pages[-1] and _most_exceed(calls, room):
            many = past.above(rest, room)
            if many is None:
                continue
            replayer.refuse(many, tight)
            for small in past.pages(rest, room):
                replayer.take(past.small_calls(small, room), tight)
            return


def _most_exceed(calls: Sequence[PastCall], room: int) -> bool:
    """Tell whether it is worth asking for those alone that may still fit."""
    exceeding = sum(1 for _, _, amount, _, _ in calls if amount is not None and amount > room)
    return exceeding * 2 > len(calls)


class _Past:
    """The calls that a budget counts, in sums and one by one."""

    def __init__(self, ledger: Ledger, org: str, budget: Budget) -> None:
        self._ledger = ledger
        self._budget = budget
        self._dimension = _dimension_of(budget)
        self._by_model = budget.scope is BudgetScope.MODEL or bool(budget.exempt_models)
        one = budget.match != ANY and budget.scope not in GLOBS
        filters = (Filter(self._dimension, (budget.match,)),) if one else ()
        self._selection = Selection(Scope(org), 0, 0, filters)
        self._entities: dict[object, str | None] = {}
        keys = ([_VALUE] if self._dimension else []) + (_MODEL_KEYS if self._by_model else [])
        self._key_of: Callable[[Mapping[str, Any]], object] = (
            itemgetter(*keys) if keys else lambda row: ""
        )

    def sums(self, windows: Sequence[Window], end_us: int) -> list[dict[str, Sums]]:
        """Sum up windows that follow each other, by entity."""
        within = replace(
            self._selection,
            start_us=windows[0].start_us,
            end_us=min(windows[-1].end_us, end_us),
        )
        boundaries = tuple(window.start_us for window in windows[1:])
        values = within.values() | zones.interval_values(boundaries, _BOUNDARY)
        query = _sums(self._ledger, self._shape(within), len(boundaries))
        found: list[dict[str, Sums]] = [{} for _ in windows]
        for row in self._ledger.run(query, values):
            entity = self._entity(row)
            if entity is not None:
                of_window = found[row["interval_"]]
                more = Sums(row["calls"], int(row["amount"] or 0), row["unpriced"])
                so_far = of_window.get(entity, Sums(0, 0))
                of_window[entity] = Sums(*map(sum, zip(so_far, more, strict=True)))
        return found

    def calls(self, page: Window) -> Iterator[PastCall]:
        """Give the calls of a page, one by one, by the order of their beginnings.

        All is kept in local names: a million rows may come by here.
        """
        within = replace(self._selection, start_us=page.start_us, end_us=page.end_us)
        in_usd, key_of, entities = self._budget.unit is Unit.USD, self._key_of, self._entities
        call_id, attempt, at_us, entity, amount, unpriced, who, name = "", 0, 0, None, 0, 0, "", ""
        for row in self._ledger.run(_rows(self._ledger, self._shape(within)), within.values()):
            if row["call_id"] == call_id and row["attempt"] == attempt:
                amount += row["amount"] or 0  # a further model, or a correction
                unpriced += row["unpriced"]
                continue
            if call_id:
                yield at_us, entity, None if unpriced and in_usd else amount, who, name
            call_id, attempt, at_us = row["call_id"], row["attempt"], row["at_us"]
            amount, unpriced = row["amount"] or 0, row["unpriced"]
            who, name, key = row["who"], row["who_name"], key_of(row)
            entity = entities[key] if key in entities else self._entity(row)
        if call_id:
            yield at_us, entity, None if unpriced and in_usd else amount, who, name

    def above(self, window: Window, room: int) -> list[PastCalls] | None:
        """Sum up the calls that come to more than there is room for, by whose they are.

        None where some come to less than nothing: then there may be more room later.
        """
        within = replace(self._selection, start_us=window.start_us, end_us=window.end_us)
        query = _above(self._ledger, self._shape(within))
        found = []
        for row in self._ledger.run(query, within.values() | {_ROOM: room}):
            if row["least"] < 0:
                return None
            entity = self._entity(row)
            if entity is not None and row["calls"]:
                found.append(
                    PastCalls(
                        entity,
                        row["who"],
                        row["who_name"],
                        row["calls"],
                        int(row["amount"]),
                        row["first_us"],
                        row["last_us"],
                    )
                )
        return found

    def small_calls(self, page: Window, room: int) -> Iterator[PastCall]:
        """Give those calls of a page that come to something, and to no more than a room."""
        within = replace(self._selection, start_us=page.start_us, end_us=page.end_us)
        query = _small_rows(self._ledger, self._shape(within))
        for row in self._ledger.run(query, within.values() | {_ROOM: room}):
            yield row["at_us"], self._entity(row), int(row["amount"]), row["who"], row["who_name"]

    def pages(self, window: Window, room: int | None = None) -> list[Window]:
        """Cut a window where so many calls begin, of those that fit a room if one is given.

        All of one moment are in one page.
        """
        whole = replace(self._selection, start_us=window.start_us, end_us=window.end_us)
        query = _page_starts(self._ledger, self._shape(whole), PAGE_ROWS, small=room is not None)
        rows = self._ledger.run(query, whole.values() | ({} if room is None else {_ROOM: room}))
        starts = {zones.epoch_us_of(row["started_at"]) for row in rows} - {window.start_us}
        bounds = (window.start_us, *sorted(starts), window.end_us)
        return [Window(*pair) for pair in pairwise(bounds)]

    def _shape(self, selection: Selection) -> _Shape:
        return _Shape(selection.shape(), self._dimension, self._by_model, self._budget.unit)

    def _entity(self, row: Mapping[str, Any]) -> str | None:
        """Say on whose balance a row counts, None that it does not: the budget decides."""
        key = self._key_of(row)
        try:
            return self._entities[key]
        except KeyError:
            entity = self._entities[key] = self._decided(row)
            return entity

    def _decided(self, row: Mapping[str, Any]) -> str | None:
        value, asked, served, requested = (row.get(name) or "" for name in _KEYS)
        model = asked or routed_model(served, requested)
        call = Caller(model=model, tags={self._budget.tag: value})
        field = SCOPE_COLUMNS.get(self._budget.scope)
        fields: dict[str, Any] = {field: value} if field else {}
        return self._budget.entity_of(call._replace(**fields))


def _dimension_of(budget: Budget) -> str:
    if budget.scope is BudgetScope.TAG:
        return check_dimension("tag", TAG_PREFIX + budget.tag)
    return _DIMENSIONS[SCOPE_COLUMNS[budget.scope]] if budget.scope in SCOPE_COLUMNS else ""


def routed_model(served: str, requested: str) -> str:
    """Give the model as it was routed to, which older entries do not say: the requested name
    where what answered is called after it (with a date), else the one that answered."""
    for name in (requested, requested.partition("/")[2]):
        if name and (not served or served.startswith(name)):
            return name
    return served


def _chunks(windows: Iterable[Window], most: int) -> Iterator[list[Window]]:
    rest = iter(windows)
    while some := list(islice(rest, most)):
        yield some


# ------------------------------------------------------------------ queries


def _counted(ledger: Ledger, shape: _Shape) -> tuple[ir.Table, dict[str, ir.Value]]:
    """Give the entries that may count, and what tells whether they do."""
    table = selected(ledger, shape.selection)
    table = table.filter(table.outcome != str(Outcome.REFUSED))
    keys: dict[str, ir.Value] = {}
    if shape.dimension:
        keys[_VALUE] = dimension(ledger, table, shape.dimension)
    if shape.by_model:
        is_old = table.model_asked == ""
        keys |= {
            "asked": table.model_asked,
            "served": is_old.ifelse(table.model_served, ""),
            "requested": is_old.ifelse(table.model_requested, ""),
        }
    return table, keys


def _amount(table: ir.Table, unit: Unit) -> ir.IntegerValue:
    """Give what an entry came to in the unit, USD as nano-dollars."""
    if unit is Unit.USD:
        return (table.cost_usd * NANOS_PER_USD).cast("int64")
    return table.tokens_in + table.tokens_out if unit is Unit.TOKENS else table.requests


@lru_cache(64)
def _sums(ledger: Ledger, shape: _Shape, boundaries: int) -> ir.Table:
    table, keys = _counted(ledger, shape)
    keys["interval_"] = zones.interval(table.started_at, boundaries, _BOUNDARY)
    return table.group_by(**keys).agg(
        calls=table.requests.sum(),
        amount=_amount(table, shape.unit).sum(),
        unpriced=table.unpriced.sum(),
    )


@lru_cache(64)
def _page_starts(ledger: Ledger, shape: _Shape, most: int, *, small: bool) -> ir.Table:
    """Give the moment of every so-manieth row, or of every so-manieth small call."""
    table = _small(_attempts(ledger, shape)) if small else _counted(ledger, shape)[0]
    numbered = table.select(
        started_at=table.started_at,
        place=ibis.row_number().over(order_by=table.started_at),
    )
    begins_page = (numbered.place > 0) & (numbered.place % most == 0)
    return numbered.filter(begins_page).select("started_at")


@lru_cache(64)
def _rows(ledger: Ledger, shape: _Shape) -> ir.Table:
    table, keys = _counted(ledger, shape)
    rows = table.select(
        **keys,
        at_us=_at_us(table),
        call_id=table.call_id,
        attempt=table.attempt,
        part=table.part,
        amount=_amount(table, shape.unit),
        unpriced=table.unpriced,
        **_whose(table),
    )
    return rows.order_by("at_us", "call_id", "attempt", "part").drop("part")


def _at_us(table: ir.Table) -> ir.IntegerValue:
    return table.started_at.delta(_EPOCH, unit="microsecond")


def _whose(table: ir.Table) -> dict[str, ir.Value]:
    has_person = table.user_id != ""
    return {
        "who": has_person.ifelse(table.user_id, table.key_id),
        "who_name": has_person.ifelse(table.user_name, table.key_name),
    }


def _attempts(ledger: Ledger, shape: _Shape) -> ir.Table:
    """Put the entries of each attempt together, those of known amount."""
    table, keys = _counted(ledger, shape)
    first = {name: each.argmin(table.part) for name, each in (keys | _whose(table)).items()}
    made = table.group_by("started_at", "call_id", "attempt").agg(
        **first, amount=_amount(table, shape.unit).sum().coalesce(0), unpriced=table.unpriced.sum()
    )
    return made.filter(made.unpriced == 0) if shape.unit is Unit.USD else made


def _small(attempts: ir.Table) -> ir.Table:
    return attempts.filter(attempts.amount > 0, attempts.amount <= bindings.integer(_ROOM))


@lru_cache(64)
def _small_rows(ledger: Ledger, shape: _Shape) -> ir.Table:
    table = _small(_attempts(ledger, shape))
    return table.mutate(at_us=_at_us(table), unpriced=0).order_by("at_us", "call_id", "attempt")


@lru_cache(64)
def _above(ledger: Ledger, shape: _Shape) -> ir.Table:
    table = _attempts(ledger, shape)
    exceeds = table.amount > bindings.integer(_ROOM)
    named = [name for name in _KEYS if name in table.columns]
    return table.group_by(*named, "who").agg(
        who_name=table.who_name.argmax(table.started_at, where=exceeds),
        calls=exceeds.sum(),
        amount=table.amount.sum(where=exceeds),
        first_us=_at_us(table).min(where=exceeds),
        last_us=_at_us(table).max(where=exceeds),
        least=table.amount.min(),
    )
