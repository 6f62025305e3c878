"""What pages and their reports are asked when they are timed, and how long each may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final
from urllib.parse import urlencode

from tollkeeper import clock
from tollkeeper.console.beside import Threads
from tollkeeper.demo.company import ORG
from tollkeeper.domain.access import Scope
from tollkeeper.domain.adoption import GROUP_MIN
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.ports import Ledger
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.reports import zones
from tollkeeper.reports.adoption import publication
from tollkeeper.reports.bridge import ChangesQuestion, changes
from tollkeeper.reports.calls import CallsQuestion, calls
from tollkeeper.reports.explore import explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.forecast import forecast
from tollkeeper.reports.keys import key_tools, key_uses
from tollkeeper.reports.live import live_figures
from tollkeeper.reports.me import spent_today
from tollkeeper.reports.overview import OverviewQuestion, overview
from tollkeeper.reports.period import period_named
from tollkeeper.reports.savings import SavingsQuestion, savings
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.reports.usage import UsageQuestion, usage

Ask = Callable[[], object]
Page = Callable[[str, str], object]
"""Serves a page: its path and query."""

OVERVIEW: Final = "Overview, whole page"
EXPLORE: Final = "Explore"
EXPLORE_FINER: Final = "Explore, of finer sums"
EXPLORE_TIMES: Final = "Explore, percentiles"
EXPLORE_FINER_TIMES: Final = "Explore, percentiles of finer sums"
EXPLORE_ENTRIES: Final = "Explore, of single entries"
SAVINGS: Final = "Savings"
OTHERS: Final = "other pages"
LIMITS_MS: Final = {
    OVERVIEW: 100,
    EXPLORE: 300,
    EXPLORE_FINER: 300,
    EXPLORE_TIMES: 300,
    EXPLORE_FINER_TIMES: 300,
    EXPLORE_ENTRIES: 300,
    SAVINGS: 1_000,
    OTHERS: 300,
}
"""What was wanted of each page; Explore is told apart by what it is answered from. Overview is
measured as a whole page, of all others the reports that they wait for."""

ZONE: Final = "Europe/Berlin"
_SCOPE: Final = Scope(ORG)

_OVERVIEWS: Final = (("model", ""), ("team", ""), ("user", ""), ("model", "provider:openai"))
_OF_SUMS: Final = (
    ("cost_usd", "model", "bars", ""),
    ("cost_usd", "team model tool", "bars", ""),
    ("requests", "user key model", "bars", ""),
    ("tokens", "model", "bars", "team:Platform"),
    ("cost_per_user_usd", "team", "bars", ""),
    ("error_rate", "provider model outcome", "table", ""),
    ("cost_usd", "team tool model", "sankey", ""),
    ("cost_usd", "model", "heat", ""),
)
_OF_TIMES: Final = (
    ("duration_p50_ms", "model", "bars", ""),
    ("duration_p95_ms", "model tool team", "bars", ""),
    ("ttft_p95_ms", "provider", "heat", ""),
)
_OF_FINER_TIMES: Final = (
    ("duration_p50_ms", "customer", "bars", ""),
    ("duration_p95_ms", "tag:feature", "bars", ""),
    ("ttft_p95_ms", "customer team", "bars", ""),
    ("duration_p95_ms", "model", "bars", "tag:env=production"),
    ("duration_p95_ms", "session", "bars", ""),
)
_OF_FINER_SUMS: Final = (
    ("cost_usd", "tag:feature", "bars", ""),
    ("cost_usd", "customer", "bars", ""),
    ("sessions", "team", "bars", ""),
    ("cost_usd", "session", "bars", ""),
    ("cost_usd", "team customer tag:feature", "bars", ""),
    ("sessions", "user model tool", "bars", ""),
    ("cost_per_customer_usd", "team", "bars", ""),
    ("cost_per_session_usd", "team", "bars", ""),
    ("sessions", "model", "bars", "tag:env=production"),
    ("cost_usd", "session model", "bars", ""),
    ("cost_usd", "tag:feature team model", "sankey", ""),
    ("sessions", "team", "heat", ""),
    ("sessions", "customer", "bars", ""),
    ("cost_per_session_usd", "session", "bars", ""),
    ("sessions", "user session", "bars", ""),
)
_OF_ENTRIES: Final = (
    ("cost_usd", "call", "bars", ""),
    ("requests", "call model", "bars", ""),
)


def questions(ledger: Ledger, page: Page, now_us: int) -> Iterator[tuple[str, str, Ask]]:
    """Give what is asked: page, name, and a function that asks."""
    yield from _of_overview(page)
    yield from _of_explore(ledger, now_us)
    month = period_named("30d", ZONE, now_us)
    asked = (SavingsQuestion(month), SavingsPrices(shipped_price_book(), {}), Threads())
    yield SAVINGS, "30 days and those before", partial(savings, ledger, _SCOPE, *asked)
    yield from _of_others(ledger, now_us)


def moment_of(ledger: Ledger) -> int:
    """Give the moment at which everything is asked: just after the newest entry."""
    table = ledger.entries()
    newest = ledger.run(table.agg(newest=table.started_at.max()))[0]["newest"]
    return zones.epoch_us_of(newest) + 1 if newest else clock.now_us()


def _of_overview(page: Page) -> Iterator[tuple[str, str, Ask]]:
    for by, filters in _OVERVIEWS:
        query = urlencode({"period": "30d", "by": by, "filter": filters, "tz": ZONE})
        name = f"30 days by {by}{' of ' * bool(filters)}{filters}"
        yield OVERVIEW, name, partial(page, "/", query)


def _of_explore(ledger: Ledger, now_us: int) -> Iterator[tuple[str, str, Ask]]:
    beside = Threads()  # which the console lends
    month, quarter = (period_named(name, ZONE, now_us) for name in ("30d", "90d"))
    for page, asked_of in (
        (EXPLORE, _OF_SUMS),
        (EXPLORE_FINER, _OF_FINER_SUMS),
        (EXPLORE_TIMES, _OF_TIMES),
        (EXPLORE_FINER_TIMES, _OF_FINER_TIMES),
        (EXPLORE_ENTRIES, _OF_ENTRIES),
    ):
        for metric, by, view, filters in asked_of:
            chosen = parse_filters(filters)
            asked = ExploreQuestion(month, metric, tuple(by.split()), chosen, view=view)
            name = f"{metric} by {by}, {view}{', ' * bool(filters)}{filters}"
            yield page, name, partial(explore, ledger, _SCOPE, asked, now_us, beside)
    asked = ExploreQuestion(quarter, group_by=("team", "model"))
    yield EXPLORE, "90 days by team, model", partial(explore, ledger, _SCOPE, asked, now_us, beside)


def _of_others(ledger: Ledger, now_us: int) -> Iterator[tuple[str, str, Ask]]:
    month = period_named("30d", ZONE, now_us)
    person = key_user(ledger)
    why = ChangesQuestion(month, month.previous(), "team")
    book = PriceBook("none", {})
    one = Scope(ORG, user_id=person)
    found: dict[str, Ask] = {
        "figures that tick on Overview": lambda: live_figures(ledger, _SCOPE, ZONE, now_us),
        "Why by team": lambda: changes(ledger, _SCOPE, why, book, now_us),
        "forecast alone": lambda: forecast(ledger, _SCOPE, ZONE, (), now_us),
        "Calls": lambda: calls(ledger, _SCOPE, CallsQuestion()),
        "Calls of 30 days, estimated": lambda: calls(
            ledger, _SCOPE, CallsQuestion(month, parse_filters("basis:estimated"))
        ),
        "Models": lambda: usage(ledger, _SCOPE, UsageQuestion(month, group_by=("model",))),
        "Keys": lambda: (key_uses(ledger, _SCOPE, month), key_tools(ledger, _SCOPE, month)),
        "Me": lambda: (
            overview(ledger, one, OverviewQuestion(month), now_us),
            spent_today(ledger, ORG, user_id=person, key_id="", zone=ZONE, now_us=now_us),
        ),
        "API usage by day, model": lambda: usage(
            ledger, _SCOPE, UsageQuestion(month, group_by=("day", "model"))
        ),
    }
    for name, ask in found.items():
        yield OTHERS, name, ask
    yield (
        *("Adoption, counted every 20 minutes", "all weeks"),
        lambda: publication(ledger, ORG, (), ZONE, GROUP_MIN, now_us),
    )


def key_user(ledger: Ledger) -> str:
    """Give somebody who called."""
    table = ledger.summed(())
    table = table.filter(table.user_id != "")
    rows = ledger.run(table.agg(who=table.user_id.max()))
    return str(rows[0]["who"])
