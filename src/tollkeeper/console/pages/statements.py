"""Statements: what do we book? The months, one month with its teams, and one team's statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from tollkeeper.console import statement_lines as shown
from tollkeeper.console.api.statements import CLOSERS, seen_document, team_named
from tollkeeper.console.early import stands
from tollkeeper.console.shared import Console, Query, Redirect, Table
from tollkeeper.console.words import Word
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.errors import Refused
from tollkeeper.domain.statements import MonthStatement
from tollkeeper.reports import formatting
from tollkeeper.reports.statement_lines import COLUMNS, statement_rows
from tollkeeper.services.statement_answers import months_document
from tollkeeper.services.statements import MonthView

MONTHS_SHOWN: Final = 6
_REASONS: Final = 6
_FILES: Final = (
    ("CSV", "csv"),
    ("Parquet", "parquet"),
    ("FOCUS 1.2, CSV", "focus_csv"),
    ("FOCUS 1.2, Parquet", "focus_parquet"),
)
_SOON_S: Final = 3_600


class FileLink(NamedTuple):
    """A file of what is shown."""

    name: str
    href: str


class Notice(NamedTuple):
    """Something that a month still waits for."""

    text: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class StatementsPage:
    """The months, and every team's total of the last few."""

    template: ClassVar[str] = "statements.html"
    zone_name: str
    lines: tuple[shown.MonthLine, ...]
    columns: tuple[shown.MonthLine, ...]
    teams: tuple[shown.TeamMonths, ...]
    may_close: bool
    answer: Mapping[str, Any]

    def document(self) -> Mapping[str, Any]:
        """Give what the API lists."""
        return self.answer


@dataclass(frozen=True, slots=True)
class MonthPage:
    """One month: what is booked for each team, what it waits for, and closing it.

    ``fault`` says why it was not closed. ``team`` is None for the month's page, and the team's
    name for one statement.
    """

    template: ClassVar[str] = "statement.html"
    found: MonthStatement
    month: str
    name: str
    days: str
    state: Word
    team: str | None
    href: str
    tiles: tuple[tuple[str, shown.Money, str], ...]
    team_lines: tuple[shown.TeamLine, ...]
    uses: tuple[shown.UseLine, ...]
    corrections: tuple[shown.UseLine, ...]
    shares: tuple[shown.OtherLine, ...]
    seats: tuple[shown.OtherLine, ...]
    booked: shown.Money
    notices: tuple[Notice, ...]
    sharing: str
    files: tuple[FileLink, ...]
    sha256: str
    issued_on: str
    issued_by: str
    may_close: bool
    answer: Mapping[str, Any]
    fault: str = ""
    status: int = 200

    def document(self) -> Mapping[str, Any]:
        """Give what the API answers."""
        return self.answer

    def table(self) -> Table:
        """Give every line as a row."""
        return Table(f"statement-{self.month}", COLUMNS, statement_rows(self.found))


def statements(console: Console, viewer: Viewer, query: Query) -> StatementsPage:
    """Answer ``GET /statements``. A lead sees the own teams."""
    stands(StatementsPage, console.ledger)
    teams = viewer.scope.teams
    views = console.statements.months()
    latest = views[:MONTHS_SHOWN]
    listed = tuple(shown.month_line(view, teams) for view in views)
    return StatementsPage(
        zone_name=console.statements.zone,
        lines=listed,
        columns=listed[:MONTHS_SHOWN],
        teams=shown.team_months(tuple(view.statement.of(teams) for view in latest)),
        may_close=viewer.role in CLOSERS,
        answer=months_document(console.statements.zone, views, teams),
    )


def month(console: Console, viewer: Viewer, query: Query) -> MonthPage:
    """Answer ``GET /statements/{month}``."""
    name = query["month"]
    waits = console.statements.asks_ledger(name)
    stands(MonthPage, console.ledger if waits else None, shown.month_name(name))
    return _page(console, viewer, console.statements.month(name), None, query["tz"])


def team_statement(console: Console, viewer: Viewer, query: Query) -> MonthPage:
    """Answer ``GET /statements/{month}/{team}``."""
    view = console.statements.month(query["month"])
    return _page(console, viewer, view, team_named(view, viewer, query["team"]), query["tz"])


def close(console: Console, viewer: Viewer, form: Query) -> MonthPage | Redirect:
    """Answer ``POST /statements/{month}/close``."""
    try:
        console.statements.close(form["month"], viewer.name)
    except Refused as refused:
        view = console.statements.month(form["month"])
        return _page(console, viewer, view, None, form["tz"], refused)
    return Redirect(shown.month_href(form["month"]))


def _page(
    console: Console,
    viewer: Viewer,
    view: MonthView,
    team: str | None,
    zone: str,
    refused: Refused | None = None,
) -> MonthPage:
    found, sees_all = view.statement.limited(viewer.scope.teams), viewer.scope.teams is None
    if team is not None:
        found = found.of(frozenset({team}))
    totals, issued = found.totals(), view.issued
    lag_entries = console.loader_status().lag_entries
    href = shown.month_href(found.month) if team is None else shown.team_href(found.month, team)
    day = shown.issued_on(view, zone)
    return MonthPage(
        found=found,
        month=found.month,
        name=shown.month_name(found.month),
        days=shown.days_of(found),
        state=shown.STATES[view.state],
        team=None if team is None else shown.team_name(team),
        href=href,
        tiles=_tiles(found),
        team_lines=shown.team_lines(found) if team is None else (),
        uses=shown.use_lines(found, tuple(found.uses)) if team is not None else (),
        corrections=shown.use_lines(found, tuple(found.corrections)),
        shares=shown.share_lines(tuple(found.shares)) if team is not None else (),
        seats=shown.seat_lines(tuple(found.seats)) if team is not None else (),
        booked=shown.booked(totals),
        notices=_notices(view, lag_entries) if sees_all and team is None else (),
        sharing=shown.sharing_words(found.sharing),
        files=tuple(FileLink(name, f"/api/v1{href}?format={kind}") for name, kind in _FILES),
        sha256=issued.sha256 if issued else "",
        issued_on=formatting.day(day) if day else "",
        issued_by=issued.issued_by if issued and sees_all else "",
        may_close=view.may_close and team is None and viewer.role in CLOSERS,
        answer=seen_document(console, viewer, view, found),
        fault=refused.message if refused else "",
        status=refused.status if refused else 200,
    )


def _tiles(found: MonthStatement) -> tuple[tuple[str, shown.Money, str], ...]:
    totals = found.totals()
    unpriced = f"{formatting.count_full(totals.unpriced)} calls have no price and are in no sum"
    return (
        ("Booked", shown.booked(totals), unpriced if totals.unpriced else "all of it has a price"),
        (
            "Usage",
            shown.money_of(totals.use_nanos),
            f"{formatting.count(totals.requests)} requests, "
            f"{formatting.count(totals.tokens)} tokens",
        ),
        (
            "Estimated",
            shown.money_of(totals.estimated_nanos),
            "of it was counted here, as no provider said it",
        ),
        ("Corrections", shown.money_of(totals.corrected_nanos), "of months issued before"),
        ("Discounts", shown.money_of(totals.discount_nanos), "less than by the list price"),
        ("Seats", shown.money_of(totals.seats_nanos), "of flat-rate plans, apart from the rest"),
    )


def _notices(view: MonthView, lag_entries: int) -> tuple[Notice, ...]:
    """Say what may still change before the month is issued."""
    waiting = view.waiting
    if waiting is None:
        return ()
    found = []
    for reason, count in sorted(waiting.unpriced.items(), key=lambda each: -each[1])[:_REASONS]:
        calls = f"{formatting.count_full(count)} {'call has' if count == 1 else 'calls have'}"
        found.append(Notice(f"{calls} no price: {reason.replace('_', ' ') or 'no reason known'}"))
    estimated = view.statement.totals().estimated_nanos
    if estimated:
        found.append(Notice(f"{shown.money_of(estimated).text} is estimated"))
    if lag_entries:
        found.append(Notice(f"{formatting.count_full(lag_entries)} calls are not loaded yet"))
    if 0 <= waiting.ended_us_ago < _SOON_S * 1_000_000:
        found.append(Notice("the month ended less than an hour ago: calls of it may still run"))
    return tuple(found)
