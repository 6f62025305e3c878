"""What a budget would have refused, as pages show it."""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.console.budget_lines import Amount, amount
from tollkeeper.console.links import Links
from tollkeeper.console.shared import Console
from tollkeeper.domain.budget_replay import Replay
from tollkeeper.domain.budgets import Budget
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.budget_replay import replay
from tollkeeper.services.budget_documents import METHOD, Names, entity_name, names_of

WINDOWS_SHOWN: Final = 12
WHOM_SHOWN: Final = 10
DAY_US: Final = 86_400_000_000


class RefusingWindow(NamedTuple):
    """A window in which it would have refused calls, and from when on."""

    when: str
    who: str
    calls: str
    refused: str
    amount: Amount
    first: str


class RefusedCaller(NamedTuple):
    """Whom it would have refused."""

    who: str
    calls: str
    amount: Amount
    href: str


class Trial(NamedTuple):
    """What a budget would have refused in the last ``days`` (0: in its window of now).

    ``verdict`` is one sentence. The last windows and whoever was refused most are listed.
    """

    days: int
    since: str
    until: str
    verdict: str
    refuses: bool
    calls: str
    amount: Amount
    refused: str
    refused_amount: Amount
    unpriced: int
    windows: tuple[RefusingWindow, ...]
    windows_in_all: int
    whom: tuple[RefusedCaller, ...]
    whom_in_all: int
    method: str


def trial_of(console: Console, budget: Budget, days: int, zone: str) -> Trial:
    """Try a budget on the last days, or with 0 on its window of now.

    Raises LedgerUnavailable, BadQuestion for a tag that the ledger cannot be asked for.
    """
    now_us = console.now_us()
    start_us = now_us - days * DAY_US
    if not days:
        start_us = max(budget.window.around(now_us).start_us, budget.since_us)
    found = replay(console.ledger, console.org, budget, start_us, now_us)
    return _written(found, names_of(console.store), days, zone)


def _written(found: Replay, names: Names, days: int, zone: str) -> Trial:
    unit, tz = found.budget.unit, zones.zone_info(zone)
    links = Links({"period": f"{days}d"} if days else {"period": "30d"}, zone)

    def moment(at_us: int) -> str:
        local = zones.local_time(at_us, tz)
        return f"{formatting.day(local.date())}, {local:%H:%M}"

    return Trial(
        days,
        formatting.day(zones.local_time(found.start_us, tz).date()),
        formatting.day(zones.local_time(found.end_us, tz).date()),
        _verdict(found),
        bool(found.refused),
        formatting.count_full(found.calls),
        amount(found.amount, unit),
        formatting.count_full(found.refused),
        amount(found.refused_amount, unit),
        found.unpriced,
        tuple(
            RefusingWindow(
                moment(each.window.start_us),
                entity_name(found.budget, each.entity, names),
                formatting.count_full(each.sums.calls),
                formatting.count_full(each.refused),
                amount(each.refused_amount, unit),
                moment(each.first_us),
            )
            for each in reversed(found.windows[-WINDOWS_SHOWN:])
        ),
        found.windows_refusing,
        tuple(
            RefusedCaller(
                each.who_name or each.who or "Nobody in particular",
                formatting.count_full(each.calls),
                amount(each.amount, unit),
                _calls_of(links, each.who, names),
            )
            for each in found.whom[:WHOM_SHOWN]
        ),
        len(found.whom),
        METHOD,
    )


def _calls_of(links: Links, who: str, names: Names) -> str:
    if not who:
        return ""
    return links.narrowed("user" if who in names.people else "key", who).calls()


def _verdict(found: Replay) -> str:
    if not found.calls:
        return "No call of that time would have counted."
    if not found.refused:
        return "It would have refused nothing."
    calls = f"{found.refused:,} {'call' if found.refused == 1 else 'calls'}"
    windows = found.windows_refusing
    return (
        f"It would have refused {calls}, {amount(found.refused_amount, found.budget.unit).text}, "
        f"in {windows:,} {'window' if windows == 1 else 'windows'}."
    )
