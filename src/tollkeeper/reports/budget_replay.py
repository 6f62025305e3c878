"""Replays a budget over the ledger: what it would have refused, whom, and from when on.

The ledger sums up each window by whoever is counted apart. Only windows that would not have
held have their calls read one by one, a page at a time, so that memory stays small however
many there were. Where windows begin is said by ``domain.budget_windows`` alone, and which
calls count by the budget itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.budget_replay import PastCall, Replay, Replayer, Sums, windows_of
from tollkeeper.domain.budget_windows import Window
from tollkeeper.domain.budgets import ANY, GLOBS, Budget, BudgetScope, Unit
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.domain.spenders import Caller
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
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
    for page in pages:
        if len(pages) > 1 and replayer.pass_over(past.sums([page], page.end_us)[0], tight):
            continue
        for call in past.calls(page):
            if call.entity in tight:
                replayer.take(call)


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
        self._entities: dict[tuple[str | None, ...], str | None] = {}

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
        """Give the calls of a page, one by one, by the order of their beginnings."""
        within = replace(self._selection, start_us=page.start_us, end_us=page.end_us)
        last: dict[str, Any] | None = None
        for row in self._ledger.run(_rows(self._ledger, self._shape(within)), within.values()):
            if last is not None and _is_same(last, row):  # a further model, or a correction
                last["amount"] = (last["amount"] or 0) + (row["amount"] or 0)
                last["unpriced"] += row["unpriced"]
                continue
            if last is not None:
                yield self._call(last)
            last = row
        if last is not None:
            yield self._call(last)

    def pages(self, window: Window) -> list[Window]:
        """Cut a window where so many calls begin. All of one moment are in one page."""
        whole = replace(self._selection, start_us=window.start_us, end_us=window.end_us)
        query = _page_starts(self._ledger, self._shape(whole), PAGE_ROWS)
        rows = self._ledger.run(query, whole.values())
        starts = {zones.epoch_us_of(row["started_at"]) for row in rows} - {window.start_us}
        bounds = (window.start_us, *sorted(starts), window.end_us)
        return [Window(*pair) for pair in pairwise(bounds)]

    def _call(self, row: Mapping[str, Any]) -> PastCall:
        unknown = row["unpriced"] and self._budget.unit is Unit.USD
        return PastCall(
            row["at_us"],
            self._entity(row),
            None if unknown else int(row["amount"] or 0),
            row["who"],
            row["who_name"],
        )

    def _shape(self, selection: Selection) -> _Shape:
        return _Shape(selection.shape(), self._dimension, self._by_model, self._budget.unit)

    def _entity(self, row: Mapping[str, Any]) -> str | None:
        """Say on whose balance a row counts, None that it does not: the budget decides."""
        key = row.get("value"), row.get("served"), row.get("requested")
        if key not in self._entities:
            value, served, requested = (each or "" for each in key)
            model = routed_model(served, requested)
            call = Caller(model=model, tags={self._budget.tag: value})
            field = SCOPE_COLUMNS.get(self._budget.scope)
            fields: dict[str, Any] = {field: value} if field else {}
            self._entities[key] = self._budget.entity_of(call._replace(**fields))
        return self._entities[key]


def _dimension_of(budget: Budget) -> str:
    if budget.scope is BudgetScope.TAG:
        return check_dimension("tag", TAG_PREFIX + budget.tag)
    return _DIMENSIONS[SCOPE_COLUMNS[budget.scope]] if budget.scope in SCOPE_COLUMNS else ""


def routed_model(served: str, requested: str) -> str:
    """Give the model as it was routed to, which the ledger does not keep: the requested name
    where what answered is called after it (with a date), else the one that answered."""
    for name in (requested, requested.partition("/")[2]):
        if name and (not served or served.startswith(name)):
            return name
    return served


def _is_same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Tell whether two rows belong to one attempt."""
    return bool(left["call_id"] == right["call_id"] and left["attempt"] == right["attempt"])


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
        keys["value"] = dimension(ledger, table, shape.dimension)
    if shape.by_model:
        keys |= {"served": table.model_served, "requested": table.model_requested}
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
def _page_starts(ledger: Ledger, shape: _Shape, most: int) -> ir.Table:
    """Give the moment of every so-manieth row."""
    table, _ = _counted(ledger, shape)
    numbered = table.select(
        started_at=table.started_at,
        place=ibis.row_number().over(order_by=table.started_at),
    )
    return numbered.filter(numbered.place % most == 0).select("started_at")


@lru_cache(64)
def _rows(ledger: Ledger, shape: _Shape) -> ir.Table:
    table, keys = _counted(ledger, shape)
    has_person = table.user_id != ""
    return table.select(
        **keys,
        at_us=table.started_at.delta(_EPOCH, unit="microsecond"),
        call_id=table.call_id,
        attempt=table.attempt,
        part=table.part,
        amount=_amount(table, shape.unit),
        unpriced=table.unpriced,
        who=has_person.ifelse(table.user_id, table.key_id),
        who_name=has_person.ifelse(table.user_name, table.key_name),
    ).order_by("at_us", "call_id", "attempt", "part")
