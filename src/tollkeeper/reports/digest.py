"""What a week cost, for the weekly digest: two views of the overview, of one state of the ledger.

Nothing here is about single people, and no part is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.digests import Week, week_named
from tollkeeper.ports import Ledger
from tollkeeper.reports.overview import Overview, OverviewQuestion, overview
from tollkeeper.reports.period import Period, period_between
from tollkeeper.reports.questions import BadQuestion, quoted

MODEL: Final = "model"
TEAM: Final = "team"


@dataclass(frozen=True, slots=True)
class WeekSpend:
    """A week by model, and by team where it is about more than one."""

    period: Period
    by_model: Overview
    by_team: Overview | None


def asked_week(text: str) -> Week:
    """Read a week. Raises BadQuestion."""
    try:
        return week_named(text)
    except ValueError:
        raise BadQuestion("week", f"{quoted(text)} is no week; write it as 2026-W47") from None


def week_period(week: Week, zone: str, now_us: int) -> Period:
    """Give the days of a week in a zone. Raises BadQuestion for one that is not over."""
    first, last = week.first_day.isoformat(), week.last_day.isoformat()
    period = period_between(first, last, zone, now_us)
    if not period.complete:
        raise BadQuestion("week", f"{week.name} is not over yet in {zone}")
    return period


def week_spend(ledger: Ledger, scope: Scope, period: Period) -> WeekSpend:
    """Add up a week, and the one before it, as far as the scope allows."""

    def by(dimension: str) -> Overview:
        return overview(ledger, scope, OverviewQuestion(period, dimension), period.end_us)

    several = scope.teams is None or len(scope.teams) > 1
    with ledger.snapshot():
        return WeekSpend(period, by(MODEL), by(TEAM) if several else None)
