"""What all queries for one answer of Explore have in common: what they select, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from tollkeeper.domain.access import Scope
from tollkeeper.domain.beside import Beside
from tollkeeper.ports import Ledger
from tollkeeper.reports import explore_queries as queries
from tollkeeper.reports import zones
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.explore_spans import CALL, SPAN, PivotShape, StageShape
from tollkeeper.reports.measures import Kind, known, summed
from tollkeeper.reports.selection import Selection, SelectionShape
from tollkeeper.reports.usage_queries import GroupShape, group_shape, time_values

_ALWAYS: Final = ("entries", "requests", "unpriced")

T = TypeVar("T")


class Asked:
    """One question: its selections of both periods and of this one, and its queries' shapes."""

    def __init__(
        self, ledger: Ledger, scope: Scope, question: ExploreQuestion, lent: Beside
    ) -> None:
        self.ledger = ledger
        self.lent = lent
        self.scope = scope
        self.question = question
        period = question.period
        before = period.previous()
        first_us = before.start_us if question.compare else period.start_us
        filters, zone = question.filters, period.zone
        self.finely = ledger.sums_finely()
        self.apart = CALL in question.group_by and ledger.keeps_calls_apart()
        self.allowed: dict[str, Any] = {"finely": self.finely, "daily": ledger.days_zone()}
        self.both = Selection(scope, first_us, period.end_us, filters, zone)
        self.boundaries = (before.until_us, period.start_us)
        self.values = self.both.summed((), self.boundaries, **self.allowed).values()
        self.values |= zones.interval_values(self.boundaries, SPAN)
        self.only = Selection(scope, period.start_us, period.end_us, filters, zone)
        self.values_now = self.only.summed((), **self.allowed).values() | time_values(period)
        self.is_percentile = question.kind is Kind.MILLISECONDS
        self.stage: StageShape | None = None
        self.nothing = known(question.metric, None, 0) if question.adds_up else None
        needed = summed((*_ALWAYS, question.metric))
        self.measures = tuple(dict.fromkeys(needed))

    def begin(self, make: Callable[[], T]) -> Callable[[], T]:
        """Begin what reads nothing that is set aside; another thread may do it meanwhile."""
        return self.ledger.beside(self.lent, make)

    def times(self, pivot: PivotShape) -> GroupShape | None:
        """Group what a query selects by the steps of time, if any are shown."""
        step = self.question.step
        return group_shape(pivot.groups.selection, (step,), self.question.period) if step else None

    def slots(self) -> dict[str, Any]:
        """Give the values of both periods, and of the times of this one."""
        return self.values_now | self.values

    def selected(
        self, selection: Selection, group_by: tuple[str, ...], *, timed: bool
    ) -> SelectionShape:
        """Give sums by the quarter-hour where these do, or how long requests took."""
        boundaries = self.boundaries if selection is self.both else ()
        if timed and not self.ledger.keeps_times():
            return selection.shape()
        if timed:
            return selection.timed(group_by, boundaries, finely=self.finely).shape()
        return selection.summed(group_by, boundaries, self.measures, **self.allowed).shape()

    def pivot(self, group_by: tuple[str, ...], limit: int, *, timed: bool = False) -> PivotShape:
        """Describe a query for groups beside the period before, of sums or how long all took.

        Groups that percentiles are asked of are found by their requests, whatever the order.
        """
        order = self.question.order if group_by else "name"
        if self.is_percentile and order != "name":
            order = "requests"
        selection = self.selected(self.both, group_by, timed=timed)
        shape = group_shape(selection, group_by, self.question.period)
        return PivotShape(
            *(shape, self.measures, self.question.metric, self.question.compare, order, limit)
        )

    def stage_of(self, group_by: tuple[str, ...]) -> StageShape | None:
        """Give the stage if it has these groups."""
        stage = self.stage
        return stage if stage and group_by in {(), stage.pivot.groups.group_by} else None

    def of_many(self, kept: PivotShape) -> bool:
        """Tell whether the first groups are found in steps."""
        return queries.of_many(kept) and (self.apart or CALL not in kept.groups.group_by)

    def staged(self, group_by: tuple[str, ...], limit: int) -> PivotShape:
        """Describe the same query of the stage, where there is one."""
        return self.pivot(group_by, limit)._replace(stage=self.stage_of(group_by))
