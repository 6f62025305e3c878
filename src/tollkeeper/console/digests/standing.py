"""The sections of a digest about how things stand: budgets at risk, alerts, adoption.

Nobody is named here. Of budgets on single people or keys only numbers are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from tollkeeper.console.digests.content import Cell, Link, Places, Row, Section, Tone, called
from tollkeeper.domain.access import Scope
from tollkeeper.domain.adoption import Figures, Publication
from tollkeeper.domain.alerts import BUDGET_RULE, Alert
from tollkeeper.domain.anomalies import AnomalyRule
from tollkeeper.domain.budget_words import percent_words
from tollkeeper.domain.budgets import Balance, Budget, BudgetScope
from tollkeeper.domain.digests import Week
from tollkeeper.domain.runway import Runway, RunwayReason
from tollkeeper.domain.spenders import Caller
from tollkeeper.ports import Store
from tollkeeper.reports import formatting
from tollkeeper.reports.adoption import WeekFigures, seen_by
from tollkeeper.reports.adoption_answers import share_of
from tollkeeper.reports.period import Period
from tollkeeper.services.alert_messages import amount_text
from tollkeeper.services.budget_standings import EVERYTHING, Onlooker, standings, used_bp
from tollkeeper.services.budgets import state_of
from tollkeeper.services.runway import runway_of
from tollkeeper.services.times import moment_words

AT_RISK_BP: Final = 8_000
"""A budget is at risk from four fifths on, or where its pace spends it before its window ends."""

ROWS_MAX: Final = 10
_TITLE_CHARS_MAX: Final = 120
_ALERTS_MAX: Final = 2_000
_FULL_BP: Final = 10_000
_PERSONAL: Final = frozenset({BudgetScope.USER, BudgetScope.KEY, BudgetScope.SESSION})
_HIDDEN: Final = "hidden"


class _AtRisk(NamedTuple):
    budget: Budget
    row: Balance
    runway: Runway


def onlooker_of(scope: Scope) -> Onlooker:
    """Say which budgets an audience sees: those that calls of its teams count in."""
    if scope.teams is None:
        return EVERYTHING
    callers = tuple(Caller(scope.org, team) for team in sorted(scope.teams))
    return Onlooker(callers, any_call=False)


# ------------------------------------------------------------------ budgets


def budgets_section(store: Store, scope: Scope, places: Places, zone: str, now_us: int) -> Section:
    """List the budgets at risk as they stand now, the fullest first."""
    shown, personal = [], {}
    for each in standings(store, onlooker_of(scope), now_us):
        if state_of(each.budget, now_us) != "active":
            continue
        found = [it for row in each.rows if (it := _at_risk(each.budget, row, now_us))]
        if each.budget.scope in _PERSONAL and each.budget.each:
            personal[each.budget.name] = (each.budget, len(found), len(each.rows))
        else:
            shown += found
    shown.sort(key=lambda it: (-used_bp(it.row), it.budget.name, it.row.key.entity))
    rows = [_budget_row(it, places, zone) for it in shown[:ROWS_MAX]]
    rows += [
        Row(
            (
                Cell(called(budget.name), places.at(f"/budget/{budget.budget_id}")),
                Cell(f"{risky} of {all_}"),
                Cell("each its own"),
                Cell(""),
            )
        )
        for budget, risky, all_ in list(personal.values())[:ROWS_MAX]
        if risky
    ]
    more = len(shown) - ROWS_MAX
    return Section(
        "Budgets at risk",
        ("", "Used", "Spent of limit", "At this pace"),
        tuple(rows),
        nothing="No budget is at risk.",
        note=f"As of {moment_words(now_us, zone)}."
        + (f" {more} more are on the page." if more > 0 else ""),
        link=Link("All budgets", places.at("/budgets")),
    )


def _at_risk(budget: Budget, row: Balance, now_us: int) -> _AtRisk | None:
    if row.limit <= 0:
        return None
    runway = runway_of(budget, row, now_us)
    if used_bp(row) < AT_RISK_BP and not runway.is_breach:
        return None
    return _AtRisk(budget, row, runway)


def _budget_row(found: _AtRisk, places: Places, zone: str) -> Row:
    budget, row, runway = found
    name = called(budget.name)
    if row.key.entity and budget.scope not in _PERSONAL:
        name = f"{name}: {called(row.key.entity)}"
    used = used_bp(row)
    tone: Tone = "bad" if used >= _FULL_BP or runway.is_breach else "warn"
    spent, limit = (amount_text(it, budget.unit) for it in (row.posted, row.limit))
    return Row(
        (
            Cell(name, places.at(f"/budget/{budget.budget_id}")),
            Cell(f"{used // 100}%", tone=tone),
            Cell(f"{spent} of {limit}"),
            Cell(_runway_words(runway, zone)),
        )
    )


def _runway_words(runway: Runway, zone: str) -> str:
    if runway.spent_at_us is not None:
        when = moment_words(runway.spent_at_us, zone).rpartition(" (")[0]
        return f"spent {when}" if runway.is_breach else "lasts to its end"
    if runway.reason is RunwayReason.SPENT:
        return "spent"
    return str(runway.reason)


# ------------------------------------------------------------------ alerts


def alerts_section(store: Store, scope: Scope, places: Places, period: Period) -> Section:
    """List what fired in the week, newest first; of a team only what its budgets told."""
    budgets = {it.budget_id: it for it in store.budgets()}
    seen = onlooker_of(scope)
    fired = [
        it
        for it in store.alerts(_ALERTS_MAX)
        if period.start_us <= it.fired_at_us < period.end_us and _sees(seen, budgets, it)
    ]
    rows = [
        Row(
            (
                Cell(_alert_words(it, budgets)),
                Cell(moment_words(it.fired_at_us, period.zone).rpartition(" (")[0]),
                Cell(str(it.state)),
            )
        )
        for it in fired[:ROWS_MAX]
    ]
    more = len(fired) - len(rows)
    return Section(
        "Alerts of the week",
        ("", "When", "State"),
        tuple(rows),
        nothing="Nothing fired.",
        note=f"{more} more are on the page." if more else "",
        link=Link("All alerts", places.at("/alerts")) if scope.teams is None else None,
    )


def _sees(seen: Onlooker, budgets: Mapping[str, Budget], alert: Alert) -> bool:
    if seen is EVERYTHING:
        return True
    budget = budgets.get(alert.key.subject) if alert.key.rule == BUDGET_RULE else None
    if budget is None:
        return False
    entities = seen.entities(budget)
    return entities is None or alert.key.entity in entities


def _alert_words(alert: Alert, budgets: Mapping[str, Budget]) -> str:
    """Give an alert's title, but nothing that names a person or a key."""
    if alert.key.rule == AnomalyRule.NEW_TOOL:
        return "A key was used with a tool for the first time"
    budget = budgets.get(alert.key.subject)
    is_personal = budget is None or budget.scope in _PERSONAL
    if alert.key.rule in {BUDGET_RULE, AnomalyRule.PROJECTED} and is_personal and alert.key.entity:
        if alert.key.rule == BUDGET_RULE:
            return f"{called(alert.name)}: {percent_words(alert.key.threshold_bp)}% spent by one"
        return f"{called(alert.name)}: one will be spent before its window ends"
    return called(alert.title, most=_TITLE_CHARS_MAX)


# ------------------------------------------------------------------ adoption


def adoption_section(
    counted: Publication, scope: Scope, week: Week, zone: str, places: Places
) -> Section:
    """Say how many people used a tool: of the company, or of each team that is seen, by name."""
    found = seen_by(scope, counted, zone)
    by_day = {each.first_day: each for each in found.weeks}
    now = by_day.get(week.first_day)
    link = Link("Adoption", places.at("/adoption"))
    if now is None:
        return Section("People who use it", nothing="This week is not counted any more.", link=link)
    rows = tuple(_adoption_row(name, figures) for name, figures in _groups(now))
    return Section(
        "People who use it",
        ("", "People", "Active", "Of them"),
        rows,
        nothing="Nobody is in a team yet.",
        note=f"Hidden is what would tell of fewer than {found.group_min} people. Weeks of {zone}.",
        link=link,
    )


def _groups(week: WeekFigures) -> Iterable[tuple[str, Figures]]:
    if week.company is not None:
        return [("Everybody", week.company)]
    return sorted(week.teams.items())


def _adoption_row(name: str, found: Figures) -> Row:
    active = share_of(found.active, found.people)
    return Row(
        (
            Cell(called(name, "No team")),
            Cell(formatting.count_full(found.people)),
            Cell(_HIDDEN if found.active is None else formatting.count_full(found.active)),
            Cell(_HIDDEN if active is None else formatting.share(active)),
        )
    )
