"""Replays a budget over the ledger: what it would have refused, whom, and from when on.

The ledger sums up each window by whoever is counted apart. Only windows that would not have
held have their calls read one by one, a page at a time, so that memory stays small however
many there were. Where windows begin is said by ``domain.budget_windows`` alone, and which
calls count by the budget itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollkeeper.domain.access import Scope
from tollkeeper.domain.budget_replay import PastCall, Replay, Replayer, Sums, windows_of
from tollkeeper.domain.budget_windows import Window
from tollkeeper.domain.budgets import ANY, GLOBS, Budget, BudgetScope, Unit
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.spenders import Caller
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.dimensions import COLUMNS, TAG_PREFIX, check_dimension, dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

PAGE_ROWS: Final = 20_000
WINDOWS_AT_ONCE: Final = 48
_NANOS: Final = 9
_BOUNDARY: Final = "window"
_FIELDS: Final[Mapping[BudgetScope, str]] = {
    BudgetScope.TEAM: "team",
    BudgetScope.USER: "user_id",
    BudgetScope.KEY: "key_id",
    BudgetScope.PROVIDER: "provider",
    BudgetScope.ENDPOINT: "endpoint",
    BudgetScope.TOOL: "tool",
    BudgetScope.END_CUSTOMER: "end_customer",
    BudgetScope.SESSION: "session_id",
}
"""Scopes that go by one column, which is called alike in the ledger and in a call. The model
takes two columns, a tag is looked up."""
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
                    until_us = min(window.end_us, end_us)
                    for call in past.calls(window.start_us, until_us):
                        if call.entity in tight:
                            replayer.take(call)
                replayer.end()
                done += 1
                tell(done, len(windows))
    return replayer.result()


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
        self._entities: dict[tuple[str, ...], str | None] = {}

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
                more = Sums(row["calls"], self._amount(row["amount"]), row["unpriced"])
                so_far = of_window.get(entity, Sums(0, 0))
                of_window[entity] = Sums(*map(sum, zip(so_far, more, strict=True)))
        return found

    def calls(self, start_us: int, end_us: int) -> Iterator[PastCall]:
        """Give the calls that count, one by one, by the order of their beginnings."""
        for rows in self._pages(start_us, end_us):
            for _, same in groupby(rows, _attempt):
                first, *others = same
                entity = self._entity(first)
                if entity is None:
                    continue
                amount = self._amount(first["amount"])
                unknown = first["unpriced"]
                for row in others:  # further models of the attempt, and what corrects it
                    amount += self._amount(row["amount"])
                    unknown += row["unpriced"]
                is_known = self._budget.unit is not Unit.USD or not unknown
                yield PastCall(
                    zones.epoch_us_of(first["started_at"]),
                    entity,
                    amount if is_known else None,
                    first["who"],
                    first["who_name"],
                )

    def _pages(self, start_us: int, end_us: int) -> Iterator[list[dict[str, Any]]]:
        """Read rows by their time; all of one moment, or none, are in a page."""
        most = PAGE_ROWS
        while True:
            within = replace(self._selection, start_us=start_us, end_us=end_us)
            query = _rows(self._ledger, self._shape(within), most)
            rows = self._ledger.run(query, within.values())
            if len(rows) < most:
                yield rows
                return
            last = rows[-1]["started_at"]
            whole = [row for row in rows if row["started_at"] < last]
            if whole:
                yield whole
                start_us, most = zones.epoch_us_of(last), PAGE_ROWS
            else:
                most *= 2  # they are all of one moment

    def _shape(self, selection: Selection) -> _Shape:
        return _Shape(selection.shape(), self._dimension, self._by_model, self._budget.unit)

    def _entity(self, row: Mapping[str, Any]) -> str | None:
        """Say on whose balance a row counts, None that it does not: the budget decides."""
        key = (row.get("value") or "", row.get("served", ""), row.get("requested", ""))
        if key not in self._entities:
            value, served, requested = key
            model = _model(served, requested)
            call = Caller(model=model, tags={self._budget.tag: value})
            field = _FIELDS.get(self._budget.scope)
            fields: dict[str, Any] = {field: value} if field else {}
            self._entities[key] = self._budget.entity_of(call._replace(**fields))
        return self._entities[key]

    def _amount(self, found: Any) -> int:
        if self._budget.unit is Unit.USD:
            return 0 if found is None else int(found.scaleb(_NANOS))
        return int(found or 0)


def _dimension_of(budget: Budget) -> str:
    if budget.scope is BudgetScope.TAG:
        return check_dimension("tag", TAG_PREFIX + budget.tag)
    return _DIMENSIONS[_FIELDS[budget.scope]] if budget.scope in _FIELDS else ""


def _model(served: str, requested: str) -> str:
    """Give the model as it was routed to, which the ledger does not keep: the requested name
    where what answered is called after it (with a date), else the one that answered."""
    for name in (requested, requested.partition("/")[2]):
        if name and (not served or served.startswith(name)):
            return name
    return served


def _attempt(row: Mapping[str, Any]) -> tuple[datetime, str, int]:
    return row["started_at"], row["call_id"], row["attempt"]


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


def _amount(table: ir.Table, unit: Unit) -> ir.NumericValue:
    if unit is Unit.USD:
        return table.cost_usd
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
def _rows(ledger: Ledger, shape: _Shape, most: int) -> ir.Table:
    table, keys = _counted(ledger, shape)
    has_person = table.user_id != ""
    return (
        table.select(
            **keys,
            started_at=table.started_at,
            call_id=table.call_id,
            attempt=table.attempt,
            part=table.part,
            amount=_amount(table, shape.unit),
            unpriced=table.unpriced,
            who=has_person.ifelse(table.user_id, table.key_id),
            who_name=has_person.ifelse(table.user_name, table.key_name),
        )
        .order_by("started_at", "call_id", "attempt", "part")
        .limit(most)
    )
