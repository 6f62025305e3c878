"""Budgets as pages show them: in words, with a bar, and with the calls behind each number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console.charts.bullet_bar import bullet_bar
from tollkeeper.console.links import Links
from tollkeeper.console.rendering import address
from tollkeeper.console.shared import Console
from tollkeeper.console.words import Word
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.budget_windows import ENDLESS, WindowKind
from tollkeeper.domain.budget_words import (
    amount_words,
    is_of_file,
    percent_words,
    window_words,
)
from tollkeeper.domain.budgets import ANY, Balance, Budget, BudgetScope, Mode, Sizing, Unit
from tollkeeper.domain.money import usd
from tollkeeper.domain.runway import RunwayReason
from tollkeeper.ports import Store
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.dimensions import TAG_PREFIX
from tollkeeper.services.budget_documents import Names, entity_name, whose
from tollkeeper.services.budget_refusals import ASK_PATH
from tollkeeper.services.budget_standings import (
    Standing,
    at_risk,
    onlooker_of,
    opens_at_us,
    standings,
    used_bp,
)
from tollkeeper.services.budgets import has_ended, state_of
from tollkeeper.services.runway import runway_of

FULL_BP: Final = 10_000
NEARLY_BP: Final = 8_000
ROWS_MAX: Final = 200
RISKS_MAX: Final = 4
_CENT: Final = Decimal("0.01")
_PATTERN: Final = frozenset("*?[")
_DIMENSIONS: Final[Mapping[BudgetScope, str]] = {
    BudgetScope.TEAM: "team",
    BudgetScope.USER: "user",
    BudgetScope.KEY: "key",
    BudgetScope.MODEL: "model",
    BudgetScope.PROVIDER: "provider",
    BudgetScope.ENDPOINT: "endpoint",
    BudgetScope.TOOL: "tool",
    BudgetScope.END_CUSTOMER: "customer",
    BudgetScope.SESSION: "session",
}
STATES: Final[Mapping[str, Word]] = {
    "active": Word("Active", "It counts calls now.", "good"),
    "planned": Word("Starting", "It counts from two seconds after it was made."),
    "ended": Word("Ended", "It counts no more calls."),
}
MODES: Final[Mapping[str, Word]] = {
    Mode.HARD: Word("Hard", "A call that does not fit is refused."),
    Mode.OBSERVE: Word("Observes", "It only counts, and refuses nothing."),
}
SIZINGS: Final[Mapping[str, Word]] = {
    Sizing.BALANCED: Word("Balanced", "Holds what such calls usually cost."),
    Sizing.STRICT: Word("Strict", "Holds what a call can cost at most."),
}


class Amount(NamedTuple):
    """An amount in short, and with every digit and its unit."""

    text: str
    full: str


class RowLine(NamedTuple):
    """One balance of a budget. ``left`` is what was spent too much if ``is_over``.

    ``tone`` is warn from 80 % on and bad when nothing is left.

    ``runs_out`` says when it is spent at the pace of its window, or why nobody can say;
    ``ends`` when its window ends, "" if it never does. ``calls_href`` leads to the calls that
    counted, "" where they cannot be asked for; ``ask_href`` to where more of it is asked for, ""
    where it refuses nothing.
    """

    who: str
    spent: Amount
    held: Amount
    left: Amount
    is_over: bool
    limit: Amount
    used: str
    used_bp: int
    tone: str
    bar: Markup
    runs_out: str
    runs_out_tone: str
    ends: str
    calls_href: str
    ask_href: str


class BudgetLine(NamedTuple):
    """One budget. ``row`` is its fullest balance, None where nobody has used it.

    ``apart`` counts the balances of one that counts each value apart, 0 for one that does not.
    """

    budget_id: str
    name: str
    href: str
    whose: str
    window: str
    mode: Word
    state: Word
    of_file: bool
    limit: Amount
    apart: int
    row: RowLine | None


class OwnLine(NamedTuple):
    """A balance that counts the viewer's own calls, and the budget that it is of."""

    name: str
    href: str
    whose: str
    window: str
    row: RowLine


class BudgetWriter:
    """Writes budgets for one viewer's zone."""

    def __init__(self, names: Names, zone: str, now_us: int) -> None:
        self._names = names
        self._zone = zones.zone_info(zone)
        self._zone_name = zone
        self._now_us = now_us

    def line(self, found: Standing) -> BudgetLine:
        """Write a budget for a list."""
        budget, row = found.budget, found.tightest
        return BudgetLine(
            budget.budget_id,
            budget.name,
            f"/budget/{budget.budget_id}",
            whose(budget, self._names),
            window_text(budget),
            MODES[budget.mode],
            STATES["ended" if has_ended(budget, self._now_us) else state_of(budget, self._now_us)],
            is_of_file(budget.budget_id),
            amount(budget.limit, budget.unit),
            len(found.rows) if budget.each else 0,
            None if row is None else self.row(budget, row),
        )

    def lines(self, found: Iterable[Standing]) -> tuple[BudgetLine, ...]:
        """Write budgets, the fullest first, ended ones last."""
        return tuple(self.line(each) for each in sorted(found, key=self._order))

    def rows(self, found: Standing) -> tuple[RowLine, ...]:
        """Write the balances of one budget, the fullest first."""
        return tuple(self.row(found.budget, row) for row in found.rows[:ROWS_MAX])

    def own(self, pairs: Iterable[tuple[Budget, Balance]]) -> tuple[OwnLine, ...]:
        """Write the balances that count somebody's own calls."""
        return tuple(
            OwnLine(
                budget.name,
                f"/budget/{budget.budget_id}",
                entity_name(budget, row.key.entity, self._names),
                window_text(budget),
                self.row(budget, row),
            )
            for budget, row in pairs
        )

    def row(self, budget: Budget, row: Balance) -> RowLine:
        """Write one balance."""
        used = used_bp(row)
        tone = "bad" if row.left <= 0 else "warn" if used >= NEARLY_BP else ""
        runs_out, runs_out_tone = self._runway(budget, row)
        limit = max(row.limit, 0)
        held = row.held * FULL_BP // limit if limit else 0
        spent = row.posted * FULL_BP // limit if limit else FULL_BP
        return RowLine(
            entity_name(budget, row.key.entity, self._names),
            amount(row.posted, budget.unit),
            amount(row.held, budget.unit),
            amount(abs(row.left), budget.unit),
            row.left < 0,
            amount(row.limit, budget.unit),
            f"{used // 100}%",
            used,
            tone,
            bullet_bar(spent, held, budget.thresholds_bp, tone),
            runs_out,
            runs_out_tone,
            self._moment(opens_at_us(budget, row)),
            self.calls_href(budget, row),
            ""
            if budget.mode is Mode.OBSERVE
            else address(ASK_PATH, {"budget": budget.budget_id, "for": row.key.entity}),
        )

    def calls_href(self, budget: Budget, row: Balance) -> str:
        """Give the address of the calls that counted on a balance."""
        value = row.key.entity or budget.match
        start_us = max(row.key.window_start_us, budget.since_us)
        start = zones.local_time(start_us, self._zone).isoformat(timespec="seconds")
        links = Links({"from": start}, self._zone_name)
        if budget.scope is BudgetScope.ORG or (
            value == ANY and budget.scope is not BudgetScope.TAG
        ):
            return links.calls()
        if value == ANY or set(value) & _PATTERN:
            return ""
        dimension = _DIMENSIONS.get(budget.scope, f"{TAG_PREFIX}{budget.tag}")
        return links.narrowed(dimension, value).calls()

    def _runway(self, budget: Budget, row: Balance) -> tuple[str, str]:
        """Say when a balance is spent, and whether that is before its window ends."""
        if row.limit <= 0:
            return "Nothing to spend", "quiet"
        found = runway_of(budget, row, self._now_us)
        match found.reason:
            case RunwayReason.SPENT:
                return "Used up", "bad"
            case RunwayReason.NOTHING_SPENT:
                return "Nothing spent", "quiet"
            case RunwayReason.NOT_ENOUGH_HISTORY:
                return "Not enough history", "quiet"
            case RunwayReason.BEYOND:
                return "Lasts", "quiet"
        if found.is_breach or budget.window.kind in ENDLESS:
            return f"{self._moment(found.spent_at_us)}", "warn" if found.is_breach else ""
        return f"Lasts to {self._moment(opens_at_us(budget, row))}", "quiet"

    def _moment(self, at_us: int | None) -> str:
        """Write a time: ``Dec 1``, ``Dec 1, 14:30``, ``Jan 1, 2027``."""
        if at_us is None:
            return ""
        local = zones.local_time(at_us, self._zone)
        today = zones.local_time(self._now_us, self._zone)
        text = formatting.day(local.date())
        if local.year != today.year:
            text += f", {local.year}"
        return text if local.hour == local.minute == 0 else f"{text}, {local:%H:%M}"

    def _order(self, found: Standing) -> tuple[bool, int, str, str]:
        ended = has_ended(found.budget, self._now_us)
        used = used_bp(found.tightest) if found.tightest else -1
        return ended, -used, found.budget.name.lower(), found.budget.budget_id


def risks_of(console: Console, viewer: Viewer, zone: str) -> tuple[BudgetLine, ...]:
    """Write the budgets that are nearly used up, a few of them, as far as somebody sees them."""
    now_us, onlooker = console.now_us(), onlooker_of(console.store, viewer)
    risky = at_risk(standings(console.store, onlooker, now_us), now_us)[:RISKS_MAX]
    return BudgetWriter(_names_in(console.store, risky), zone, now_us).lines(risky)


def _names_in(store: Store, found: Iterable[Standing]) -> Names:
    """Look up the names that a few budgets and their fullest rows need, and no others."""
    people: dict[str, str] = {}
    keys: dict[str, str] = {}
    for budget, rows in found:
        for value in {budget.match, *(row.key.entity for row in rows[:1])} - {"", ANY}:
            if budget.scope is BudgetScope.USER and (user := store.user(value)):
                people[value] = user.email
            elif budget.scope is BudgetScope.KEY and (record := store.key(value)):
                keys[value] = record.key.name
    return Names(people, keys)


def amount(found: int, unit: Unit) -> Amount:
    """Write an amount: ``$3.58``, ``1.5M tokens``."""
    full = amount_words(found, unit)
    if unit is Unit.USD:
        dollars = usd(found)
        small = 0 < abs(dollars) < _CENT
        return Amount((formatting.money_exact if small else formatting.money)(dollars), full)
    return Amount(f"{formatting.count(found)} {full.rpartition(' ')[2]}", full)


def window_text(budget: Budget) -> str:
    """Say for how long a budget counts, and where: ``Each month, Europe/Berlin``."""
    rule = budget.window
    if rule.kind is WindowKind.LIFETIME:
        return "For its lifetime"
    if rule.kind is WindowKind.PREPAID:
        return "Prepaid"
    return f"Each {window_words(rule)}, {'UTC' if rule.kind is WindowKind.HOUR else rule.zone}"


def thresholds_text(budget: Budget) -> str:
    """Say at which shares somebody is told: ``50%, 80%, 100%``."""
    return ", ".join(f"{percent_words(bp)}%" for bp in budget.thresholds_bp)


def words_in_form(budget: Budget) -> Mapping[str, str]:
    """Give what may be changed of a budget as the fields of a form."""
    return {
        "name": budget.name,
        "limit": amount_words(budget.limit, budget.unit),
        "mode": str(budget.mode),
        "sizing": str(budget.sizing),
        "rollover": amount_words(budget.rollover_max, budget.unit) if budget.rollover_max else "",
        "alert_at": ", ".join(map(percent_words, budget.thresholds_bp)),
        "version": str(budget.version),
    }


def names_counted(lines: Sequence[BudgetLine]) -> int:
    """Count the budgets that count now."""
    return sum(line.state.name != STATES["ended"].name for line in lines)
