"""Which entries a question is about: the viewer's scope, a stretch of time, and filters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.filters import (
    CLOCK,
    CLOCK_SLOT,
    Filter,
    FilterShape,
    filter_expression,
    filter_shape,
    filter_values,
)
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.zones import Offsets, moment_of

if TYPE_CHECKING:
    import ibis.expr.types as ir


class SelectionShape(NamedTuple):
    """What of a selection is part of the SQL text. ``teams`` counts slots; None: all teams."""

    teams: int | None
    one_user: bool
    from_start: bool
    to_end: bool
    filters: tuple[FilterShape, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Entries within the scope, started in [``start_us``, ``end_us``), that pass the filters.

    A bound that is None is open. ``zone`` is where the clock hangs that filters may ask about.
    """

    scope: Scope
    start_us: int | None = None
    end_us: int | None = None
    filters: tuple[Filter, ...] = ()
    zone: str = ""

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
        return found


def selected(
    ledger: Ledger, shape: SelectionShape, leaving: Collection[str] = frozenset()
) -> ir.Table:
    """Give the selected entries, whatever they have of the dimensions in ``leaving``."""
    table = ledger.entries()
    conditions = [table.org == bindings.text("org")]
    if shape.teams == 0:
        conditions.append(ibis.literal(False))
    elif shape.teams is not None:
        conditions.append(
            table.team.isin([bindings.text(f"team_{slot}") for slot in range(shape.teams)])
        )
    if shape.one_user:
        conditions.append(table.user_id == bindings.text("user"))
    if shape.from_start:
        conditions.append(table.started_at >= bindings.moment("start"))
    if shape.to_end:
        conditions.append(table.started_at < bindings.moment("end"))
    conditions += [
        filter_expression(ledger, table, index, each)
        for index, each in enumerate(shape.filters)
        if each.dimension not in leaving
    ]
    return table.filter(*conditions)
