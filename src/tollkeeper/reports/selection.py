"""Which entries a question is about: the viewer's scope, a stretch of time, and filters."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.sums import LAST_AT
from tollkeeper.ports import QUARTER_HOUR_US, Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.dimensions import FINELY, SUMMED, TAG_PREFIX, TIMES
from tollkeeper.reports.filters import (
    CLOCK,
    CLOCK_SLOT,
    Filter,
    FilterShape,
    filter_expression,
    filter_shape,
    filter_values,
    slots_for,
)
from tollkeeper.reports.measures import OF_ENTRIES
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.zones import Offsets, moment_of

if TYPE_CHECKING:
    import ibis.expr.types as ir


_EDGE: Final = "edge"
_DAY: Final = "edge_day"
_OF_DAYS: Final = frozenset({"day", "week", "month"})
_LONG_US: Final = 3 * 86_400_000_000
"""Of shorter stretches most days are cut in two, and all of them are read by quarter-hours."""


class SelectionShape(NamedTuple):
    """What of a selection is part of the SQL text. ``teams`` counts slots; None: all teams.

    ``edges`` counts those of quarter-hours that stand apart; None: no sums of these are used.
    ``days`` counts days that stand apart; None: no sums by the day are used.
    ``finer``: finer sums are; ``alone``: with a column that says which sessions have one row.
    ``timed``: rows are not sums, but have how long each of their requests took.
    ``noted``: of entries those that this finding may be about. ``caches``: sums are of entries
    that used a cache, ``small``: of small calls.
    """

    teams: int | None
    one_user: bool
    from_start: bool
    to_end: bool
    filters: tuple[FilterShape, ...]
    edges: int | None = None
    finer: bool = False
    alone: bool = False
    timed: bool = False
    days: int | None = None
    noted: str = ""
    caches: bool = False
    small: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Entries within the scope, started in [``start_us``, ``end_us``), that pass the filters.

    A bound that is None is open. ``zone`` is where the clock hangs that filters may ask about.
    ``moments_us`` is set where sums by the quarter-hour are as good as single entries: the
    moments, besides the bounds, that the times of entries are compared with. ``finer`` is set
    where these have to be finer sums, ``by_times`` where rows of how long requests took, and
    ``daily`` names the zone whose days are as good. ``of_finding`` is set where entries are enough
    that the ledger has noted for this one of ``domain.noted.NOTED``, ``of_caches`` where sums are
    those of entries that used a cache, ``of_small`` where they are those of small calls.
    """

    scope: Scope
    start_us: int | None = None
    end_us: int | None = None
    filters: tuple[Filter, ...] = ()
    zone: str = ""
    moments_us: tuple[int, ...] | None = None
    finer: bool = False
    by_times: bool = False
    daily: str = ""
    of_finding: str = ""
    of_caches: bool = False
    of_small: bool = False

    def noted(self, ledger: Ledger, finding: str) -> Selection:
        """Take only entries that a finding may be about, where the ledger has noted them.

        Within a snapshot.
        """
        bounded = self.start_us is not None and self.end_us is not None
        return replace(self, of_finding=finding) if bounded and ledger.notes_entries() else self

    def summed(
        self,
        dimensions: Iterable[str],
        moments_us: Iterable[int] = (),
        measures: Collection[str] = (),
        *,
        finely: bool = False,
        daily: str = "",
    ) -> Selection:
        """Take sums by the quarter-hour where these know all that is asked about.

        For queries that only add up, and count users or keys, and look at the times of entries
        by local days and hours or beside ``moments_us``. ``finely`` allows finer sums, which also
        count sessions and customers; it is what ``Ledger.sums_finely`` says. ``daily`` allows
        sums by the day, for queries that count no calls without a price, and whose ``dimensions``
        name all times that they look at; it is what ``Ledger.days_zone`` says.
        """
        named = {*dimensions, *(each.dimension for each in self.filters)}
        asked = named.difference(TIMES)
        if asked <= SUMMED and OF_ENTRIES.isdisjoint(measures):
            zone = daily if self._fits_days(named.intersection(TIMES), daily) else ""
            return replace(self, moments_us=tuple(moments_us), daily=zone)
        if finely and all(name in FINELY or name.startswith(TAG_PREFIX) for name in asked):
            return replace(self, moments_us=tuple(moments_us), finer=True)
        return self

    def _fits_days(self, times: Collection[str], zone: str) -> bool:
        """Say whether days of a zone are short enough for what is asked, and of any use."""
        if not zone or not _OF_DAYS.issuperset(times) or (times and zone != self.zone):
            return False
        if self.start_us is None or self.end_us is None:
            return True
        return self.end_us - self.start_us >= _LONG_US

    def with_caches(self, dimensions: Iterable[str], moments_us: Iterable[int]) -> Selection:
        """Take sums of calls that used a cache, where ``summed`` would take sums of all."""
        found = self.summed(dimensions, moments_us)
        return self if found.moments_us is None else replace(found, of_caches=True)

    def with_small(
        self, ledger: Ledger, dimensions: Iterable[str], moments_us: Iterable[int]
    ) -> Selection:
        """Take sums of small calls, where the ledger has them and ``summed`` would take sums."""
        found = self.summed(dimensions, moments_us)
        if found.moments_us is None or not ledger.sums_small_calls():
            return self
        return replace(found, of_small=True)

    def timed(
        self, dimensions: Iterable[str], moments_us: Iterable[int] = (), *, finely: bool = False
    ) -> Selection:
        """Take rows of how long requests took, where ``summed`` would take sums.

        For percentiles, which ask nothing else. Finer sums have these as well.
        """
        found = self.summed(dimensions, moments_us, finely=finely)
        return self if found.moments_us is None else replace(found, by_times=True)

    def _edges_us(self) -> list[int]:
        """Give the beginnings of the quarter-hours that some moment cuts in two."""
        moments_us = (*(self.moments_us or ()), self.start_us, self.end_us)
        return sorted(
            {
                at_us - at_us % QUARTER_HOUR_US
                for at_us in moments_us
                if at_us is not None and at_us % QUARTER_HOUR_US
            }
        )

    def _edge_days_us(self) -> list[tuple[int, int]]:
        """Give begin and end of the days that some moment cuts in two."""
        zone = ZoneInfo(self.daily)
        moments_us = (*(self.moments_us or ()), self.start_us, self.end_us)
        days_us = {
            (at_us, zones.day_around(at_us, zone)) for at_us in moments_us if at_us is not None
        }
        return sorted({day_us for at_us, day_us in days_us if day_us[0] != at_us})

    def _clock(self) -> Offsets | None:
        """Give what the clock is set to, if filters ask about it. Raises BadQuestion."""
        if not any(each.dimension in CLOCK for each in self.filters):
            return None
        if self.start_us is None or self.end_us is None or not self.zone:
            raise BadQuestion("filter", "weekday and hour_of_day need a period")
        return zones.offsets(self.zone, self.start_us // 1_000_000, -(-self.end_us // 1_000_000))

    def shape(self) -> SelectionShape:
        """Give what the SQL text depends on."""
        teams, clock = self.scope.teams, self._clock()
        changes = len(clock.changes) if clock else 0
        return SelectionShape(
            teams=None if teams is None else filter_shape(Filter("team", tuple(teams))).slots,
            one_user=self.scope.user_id is not None,
            from_start=self.start_us is not None,
            to_end=self.end_us is not None,
            filters=tuple(filter_shape(each, changes) for each in self.filters),
            edges=None if self.moments_us is None else slots_for(len(self._edges_us())),
            finer=self.finer,
            timed=self.by_times,
            days=slots_for(len(self._edge_days_us())) if self.daily else None,
            noted=self.of_finding,
            caches=self.of_caches,
            small=self.of_small,
        )

    def values(self) -> dict[str, object]:
        """Give the values for the slots of ``selected``."""
        found = dict(filter_values(self.filters))
        found["org"] = self.scope.org
        clock = self._clock()
        if clock is not None:
            found |= zones.offset_values(clock, CLOCK_SLOT)
        teams = sorted(self.scope.teams or ())
        for slot in range(self.shape().teams or 0):
            found[f"team_{slot}"] = teams[min(slot, len(teams) - 1)]
        if self.scope.user_id is not None:
            found["user"] = self.scope.user_id
        if self.start_us is not None:
            found["start"] = moment_of(self.start_us)
        if self.end_us is not None:
            found["end"] = moment_of(self.end_us)
        if self.moments_us is not None:
            found |= self._edge_values()
        return found

    def _edge_values(self) -> dict[str, object]:
        edges_us = self._edges_us()
        found: dict[str, object] = {}
        for slot in range(slots_for(len(edges_us))):
            at_us = edges_us[min(slot, len(edges_us) - 1)]
            found[f"{_EDGE}_{slot}"] = moment_of(at_us)
            found[f"{_EDGE}_{slot}_end"] = moment_of(at_us + QUARTER_HOUR_US)
        days_us = self._edge_days_us() if self.daily else []
        for slot in range(slots_for(len(days_us))):
            begin_us, end_us = days_us[min(slot, len(days_us) - 1)]
            found[f"{_DAY}_{slot}"] = moment_of(begin_us)
            found[f"{_DAY}_{slot}_end"] = moment_of(end_us)
        return found


def selected(
    ledger: Ledger, shape: SelectionShape, leaving: Collection[str] = frozenset()
) -> ir.Table:
    """Give the selected entries, whatever they have of the dimensions in ``leaving``.

    Where the shape has ``edges``, some rows are the sums of several entries.
    """
    if shape.noted:
        table = ledger.noted(shape.noted, bindings.moment("start"), bindings.moment("end"))
    else:
        table = ledger.entries() if shape.edges is None else _summed(ledger, shape, shape.edges)
    return table.filter(*conditions(ledger, table, shape, leaving))


def conditions(
    ledger: Ledger,
    table: ir.Table,
    shape: SelectionShape,
    leaving: Collection[str] = frozenset(),
) -> list[ir.BooleanValue]:
    """Give what rows of a table have to be, to be selected."""
    found: list[ir.BooleanValue] = [table.org == bindings.text("org")]
    if shape.teams == 0:
        found.append(ibis.literal(False))
    elif shape.teams is not None:
        found.append(
            table.team.isin([bindings.text(f"team_{slot}") for slot in range(shape.teams)])
        )
    if shape.one_user:
        found.append(table.user_id == bindings.text("user"))
    if shape.from_start:
        found.append(table.started_at >= bindings.moment("start"))
    if shape.to_end:
        found.append(table.started_at < bindings.moment("end"))
    found += [
        filter_expression(ledger, table, index, each)
        for index, each in enumerate(shape.filters)
        if each.dimension not in leaving
    ]
    return found


def _summed(ledger: Ledger, shape: SelectionShape, edges: int) -> ir.Table:
    bounds = _bounds(_EDGE, edges)
    if shape.days is not None:
        return ledger.summed_daily(bounds, _bounds(_DAY, shape.days))
    if shape.caches:
        return ledger.summed_caches(bounds)
    if shape.small:
        return ledger.summed_small(bounds)
    if shape.finer:
        return ledger.summed_finely(bounds, alone=shape.alone)
    if shape.timed:
        return ledger.timed(bounds)
    return ledger.summed(bounds)


def _bounds(name: str, count: int) -> list[tuple[ir.Value, ir.Value]]:
    slots = [f"{name}_{slot}" for slot in range(count)]
    return [(bindings.moment(slot), bindings.moment(f"{slot}_end")) for slot in slots]


def latest(table: ir.Table, column: str) -> ir.Value:
    """Give a column's value of the newest entry, also where rows are sums of several."""
    return table[column].argmax(last_at(table))


def last_at(table: ir.Table) -> ir.TimestampValue:
    """Give the start of the newest entry of each row."""
    newest: ir.TimestampValue = table[LAST_AT if LAST_AT in table.columns else "started_at"]
    return newest
