"""Statements as the pages write them: months, teams, lines of use, corrections, shares, seats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple
from urllib.parse import quote

from tollkeeper.console import words
from tollkeeper.console.api.statements import NO_TEAM
from tollkeeper.console.links import Links
from tollkeeper.domain.money import usd
from tollkeeper.domain.sharing import Sharing, Split
from tollkeeper.domain.statements import MonthStatement, Seats, Share, Totals, Use
from tollkeeper.reports import formatting, zones
from tollkeeper.services.statements import ISSUED, LOCKED, OPEN, RUNNING, MonthView

PATH: Final = "/statements"
LINES_MAX: Final = 500
"""So many lines of use are on a page; files have all."""
STATES: Final[Mapping[str, words.Word]] = {
    RUNNING: words.Word("Running", "The month is not over yet.", "quiet"),
    OPEN: words.Word("Open", "The month is over, and its statement is not issued yet.", "warn"),
    LOCKED: words.Word("Locked", "Nothing is corrected, and no statement was issued.", "warn"),
    ISSUED: words.Word("Issued", "This statement never changes.", "good"),
}
_SPLITS: Final[Mapping[Split, str]] = {
    Split.USAGE: "by what each team's own calls cost",
    Split.EVEN: "evenly over the teams with calls in the month",
    Split.FIXED: "by fixed weights",
}
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Money(NamedTuple):
    """An amount as it is shown, and all that is known of it."""

    text: str
    full: str


class MonthLine(NamedTuple):
    """One month of the list."""

    month: str
    name: str
    href: str
    state: words.Word
    booked: Money
    corrections: Money
    seats: Money
    unpriced: str


class TeamLine(NamedTuple):
    """What is booked for one team in a month. ``cells`` has one amount a month in the list."""

    name: str
    href: str
    use: Money
    shared: Money
    corrections: Money
    booked: Money
    seats: Money
    unpriced: str


class Cell(NamedTuple):
    """A team's total of one month; ``href`` is "" where there is no statement."""

    money: Money
    href: str


class TeamMonths(NamedTuple):
    """A team's totals, one a month."""

    name: str
    cells: tuple[Cell, ...]


class UseLine(NamedTuple):
    """One line of use, or of a correction of ``of``; ``basis`` is None for all that are left."""

    of: str
    model: str
    provider: str
    feature: str
    basis: words.Word | None
    requests: str
    tokens: str
    cost: Money
    listed: Money
    unpriced: str
    calls_href: str


class OtherLine(NamedTuple):
    """A share of shared cost, or seats of a plan."""

    name: str
    detail: str
    cost: Money


def money_of(nanos: int | None) -> Money:
    """Write an amount of nano-dollars."""
    amount = None if nanos is None else usd(nanos)
    return Money(formatting.money_exact(amount), formatting.money_full(amount))


def month_name(month: str) -> str:
    """Write a month: ``October 2026``."""
    return f"{_MONTHS[int(month[5:]) - 1]} {month[:4]}"


def month_href(month: str) -> str:
    """Give the address of a month's page."""
    return f"{PATH}/{month}"


def team_href(month: str, team: str) -> str:
    """Give the address of a team's statement."""
    return f"{PATH}/{month}/{quote(team or NO_TEAM, safe='')}"


def team_name(team: str) -> str:
    """Name a team, or what belongs to none."""
    return team or "No team"


def month_line(view: MonthView, teams: frozenset[str] | None) -> MonthLine:
    """Write one month of the list."""
    found = view.statement.of(teams)
    totals = found.totals()
    return MonthLine(
        *(found.month, month_name(found.month), month_href(found.month), STATES[view.state]),
        *(booked(totals), money_of(totals.corrected_nanos), money_of(totals.seats_nanos)),
        _count_or_none(totals.unpriced),
    )


def booked(totals: Totals) -> Money:
    """Write what is booked; nothing known beside calls without a price is no zero."""
    return money_of(_booked_nanos(totals))


def _booked_nanos(totals: Totals) -> int | None:
    return None if totals.unpriced > 0 and not totals.cost_nanos else totals.cost_nanos


def _column(amounts: Iterable[int | None]) -> list[Money]:
    """Write a column of amounts of nano-dollars with one precision; cents are booked, too."""
    found = [None if nanos is None else usd(nanos) for nanos in amounts]
    texts = formatting.money_column(found, cents=True)
    return [Money(text, formatting.money_full(it)) for text, it in zip(texts, found, strict=True)]


def team_lines(found: MonthStatement) -> tuple[TeamLine, ...]:
    """Write what each team is charged, by name."""
    totals = [found.of(frozenset({team})).totals() for team in found.teams]
    columns = (
        _column(each.use_nanos for each in totals),
        _column(each.shared_nanos for each in totals),
        _column(each.corrected_nanos for each in totals),
        _column(map(_booked_nanos, totals)),
        _column(each.seats_nanos for each in totals),
    )
    return tuple(
        TeamLine(team_name(team), team_href(found.month, team), *amounts, _count_or_none(unpriced))
        for team, unpriced, amounts in zip(
            found.teams,
            (each.unpriced for each in totals),
            zip(*columns, strict=True),
            strict=True,
        )
    )


def team_months(statements: tuple[MonthStatement, ...]) -> tuple[TeamMonths, ...]:
    """Write every team's total of each of some months."""
    teams = sorted({team for found in statements for team in found.teams})
    months = [_cells(found, teams) for found in statements]
    return tuple(
        TeamMonths(team_name(team), tuple(cells[place] for cells in months))
        for place, team in enumerate(teams)
    )


def _cells(found: MonthStatement, teams: Sequence[str]) -> list[Cell]:
    """Write one month's column of teams."""
    amounts = _column(
        _booked_nanos(found.of(frozenset({team})).totals()) if team in found.teams else None
        for team in teams
    )
    return [
        Cell(money, team_href(found.month, team) if team in found.teams else "")
        for team, money in zip(teams, amounts, strict=True)
    ]


def use_lines(found: MonthStatement, uses: tuple[Use, ...]) -> tuple[UseLine, ...]:
    """Write lines of use or of corrections, the dearest first; each leads to its calls.

    Of very many the last line is all that are left, so that the page stays small and adds up.
    """
    ordered = sorted(uses, key=lambda use: -abs(use.cost_nanos or 0))
    lines = [_use_line(found, use) for use in ordered[:LINES_MAX]]
    return (*lines, *([_rest(ordered[LINES_MAX:])] if ordered[LINES_MAX:] else []))


def _rest(uses: Sequence[Use]) -> UseLine:
    count = formatting.count_full(len(uses))
    return UseLine(
        *("", f"{count} other {'line' if len(uses) == 1 else 'lines'}", "", "", None),
        formatting.count(sum(use.requests for use in uses)),
        formatting.count(sum(use.tokens for use in uses)),
        money_of(_known(use.cost_nanos for use in uses)),
        money_of(_known(use.list_nanos for use in uses)),
        _count_or_none(sum(use.unpriced for use in uses)),
        "",
    )


def _known(amounts: Iterable[int | None]) -> int | None:
    """Add up what is known; None where nothing is."""
    known = [nanos for nanos in amounts if nanos is not None]
    return sum(known) if known else None


def _use_line(found: MonthStatement, use: Use) -> UseLine:
    key = use.key
    corrects = key.month != found.month
    return UseLine(
        month_name(key.month) if corrects else "",
        *(key.model or "unknown", key.provider or "unknown", key.feature),
        words.basis(key.basis),
        *(formatting.count(use.requests), formatting.count(use.tokens)),
        money_of(use.cost_nanos),
        money_of(use.list_nanos),
        _count_or_none(use.unpriced),
        "" if corrects else _calls(found, use),
    )


def _calls(found: MonthStatement, use: Use) -> str:
    key, zone = use.key, zones.zone_info(found.zone)
    start, end = (
        zones.local_time(at_us, zone).isoformat() for at_us in (found.start_us, found.end_us)
    )
    links = Links({"from": start, "to": end}, found.zone)
    named = (("team", key.team), ("provider", key.provider), ("model", key.model))
    for dimension, value in (*named, ("tag:feature", key.feature), ("basis", key.basis)):
        links = links.narrowed(dimension, value)
    return links.calls()


def share_lines(shares: tuple[Share, ...]) -> tuple[OtherLine, ...]:
    """Write what shared cost takes away and gives."""
    return tuple(
        OtherLine("Given to all", "its own calls that are for everybody", money_of(each.cost_nanos))
        if each.given
        else OtherLine(
            "Part of the shared cost",
            _part(each),
            money_of(each.cost_nanos),
        )
        for each in shares
    )


def _part(share: Share) -> str:
    if share.weight is None or not share.weights:
        return "this team's part"
    return formatting.share(Decimal(share.weight) / Decimal(share.weights))


def seat_lines(seats: tuple[Seats, ...]) -> tuple[OtherLine, ...]:
    """Write the seats of flat-rate plans."""
    return tuple(
        OtherLine(
            each.plan,
            f"{each.seats} {'seat' if each.seats == 1 else 'seats'} at "
            f"{money_of(each.seat_nanos).text} for {each.people} "
            f"{'person' if each.people == 1 else 'people'}",
            money_of(each.cost_nanos),
        )
        for each in seats
    )


def sharing_words(sharing: Sharing) -> str:
    """Say what is shared and how, as the end of a sentence."""
    also = [f"team {team}" for team in sorted(sharing.teams)]
    also += [f"calls tagged {key}={value}" for key, value in sharing.tags]
    what = "the cost of no team" + (f", of {', '.join(also)}" if also else "")
    return f"{what} is split {_SPLITS[sharing.split]}"


def days_of(found: MonthStatement) -> str:
    """Write from when to when a month lasts."""
    zone = zones.zone_info(found.zone)
    first, last = (
        zones.local_time(at_us, zone).date() for at_us in (found.start_us, found.end_us - 1)
    )
    return formatting.days(first, last)


def issued_on(view: MonthView, zone: str) -> date | None:
    """Give the day on which a statement was issued."""
    if view.issued is None:
        return None
    return zones.local_time(view.issued.issued_at_us, zones.zone_info(zone)).date()


def _count_or_none(number: int) -> str:
    return formatting.count_full(number) if number else ""
