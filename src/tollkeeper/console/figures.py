"""Figures with what belongs to them: the stretch before, how well they are known, their rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, NamedTuple

from tollkeeper.console.heads import elapsed_day
from tollkeeper.console.links import Links
from tollkeeper.domain.ledger import ERROR_OUTCOMES, Basis, Outcome
from tollkeeper.reports import formatting
from tollkeeper.reports.comparison import NOTHING, Change, Comparison, Sums
from tollkeeper.reports.forecast import MonthForecast
from tollkeeper.reports.forecast_answers import headline, how
from tollkeeper.reports.measures import ratio
from tollkeeper.reports.overview import Overview
from tollkeeper.reports.period import Period
from tollkeeper.reports.zones import local_time

Unit = Literal["money", "count", "share"]

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Note(NamedTuple):
    """How well a figure is known: a few words, the whole sentence, and the calls behind it."""

    text: str
    meaning: str
    href: str


class Outlook(NamedTuple):
    """Where the month will end: a line below its figure, and how that came about."""

    text: str
    sentences: tuple[str, ...]
    is_known: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """What a stretch of time cost.

    ``versus`` says in words which stretch it is compared with, ``stretches`` names both in
    full. ``href`` and ``before_href`` lead to the calls of each. ``key`` names it for live
    updates. ``outlook`` says where it will end, None where nobody asked.
    """

    key: str
    name: str
    now: Sums
    before: Sums
    change: Change
    versus: str
    stretches: str
    href: str
    before_href: str
    notes: tuple[Note, ...]
    outlook: Outlook | None = None

    @property
    def delta(self) -> formatting.ChangeText:
        """Write the change from the stretch before."""
        change = self.change
        return formatting.change(change.ratio, now=change.now, before=change.before)


class Measure(NamedTuple):
    """Something that is counted in the period, and was in the period before.

    ``detail`` are a few words below it, ``meaning`` says how it is computed. ``more_is_worse``
    decides whether a rise is shown in red; None where it is neither good nor bad.
    """

    name: str
    now: Decimal | None
    before: Decimal | None
    unit: Unit
    detail: str
    meaning: str
    href: str
    more_is_worse: bool | None = None

    @property
    def ratio(self) -> Decimal | None:
        """Give the change as a part of what was before; None where it cannot be told."""
        return Change(self.now, self.before).ratio

    @property
    def delta(self) -> formatting.ChangeText:
        """Write the change from the period before."""
        return formatting.change(self.ratio, now=self.now, before=self.before)

    @property
    def text(self) -> str:
        """Write the value as a large figure."""
        return _written(self.now, self.unit)

    @property
    def full(self) -> str:
        """Write all that is known of the value."""
        if self.now is None or self.unit == "share":
            return _written(self.now, self.unit)
        whole = formatting.count_full(int(self.now))
        return whole if self.unit == "count" else formatting.money_full(self.now)

    @property
    def before_text(self) -> str:
        """Write what it was in the period before."""
        return _written(self.before, self.unit)


def _written(value: Decimal | None, unit: Unit) -> str:
    if unit == "count":
        return formatting.count(None if value is None else int(value))
    if unit == "share":
        return formatting.share(value)
    if value is None or not 0 < abs(value) < 1:
        return formatting.money_tile(value)
    return formatting.money_exact(value)


def figures_of(
    found: Overview, links: Links, ahead: MonthForecast | None = None
) -> tuple[Figure, ...]:
    """Give month to date, today, and the chosen period unless it is one of these.

    ``ahead`` is where the month will end.
    """
    named = [
        ("month", f"{_MONTHS[found.month.period.first_day.month - 1]} so far", found.month),
        ("today", "Today so far", found.today),
        ("period", period_name(found.stretch.period), found.stretch),
    ]
    if found.stretch.period.name in {"month", "today"}:
        named.pop()
    figures = [_figure(key, name, comparison, links) for key, name, comparison in named]
    if ahead is not None:
        figures[0] = replace(figures[0], outlook=_outlook(ahead))
    return tuple(figures)


def _outlook(ahead: MonthForecast) -> Outlook:
    return Outlook(headline(ahead), tuple(how(ahead)), ahead.end_usd is not None)


def period_name(period: Period) -> str:
    """Name a period as it stands above a figure."""
    if period.name.endswith("d") and period.name[:-1].isdigit():
        return f"Last {period.name[:-1]} days"
    if period.name.endswith("h") and period.name[:-1].isdigit():
        return f"Last {period.name[:-1]} hours"
    known = {"week": "This week", "year": "This year", "last_month": "Last month"}
    if period.name in known:
        return known[period.name]
    if period.name == "yesterday":
        return "Yesterday"
    return formatting.days(period.first_day, elapsed_day(period))


def _figure(key: str, name: str, compared: Comparison, links: Links) -> Figure:
    period = compared.period
    if period.name == "custom":
        calls = links
    else:
        calls = links.during(period=period.name)
    return Figure(
        key=key,
        name=name,
        now=compared.now,
        before=compared.before,
        change=compared.change,
        versus=_versus(key, compared),
        stretches=f"{_stretch(period)}, compared with {_stretch(compared.previous)}",
        href=calls.calls(),
        before_href=links.within(compared.previous).calls(),
        notes=tuple(_notes(compared.now, calls)),
    )


def _versus(key: str, compared: Comparison) -> str:
    """Say in a few words which stretch came before."""
    previous = compared.previous
    if key == "today":
        return "by this time yesterday"
    if key == "month":
        last = elapsed_day(previous)
        return f"by {formatting.day(last)}"
    days = len(previous.days())
    return f"in the {days} days before" if days > 1 else "the day before"


def _stretch(period: Period) -> str:
    """Write both ends of what has elapsed: ``Nov 1 00:00 to Nov 21 15:30``."""
    start, end = (
        local_time(at_us, period.zone_info) for at_us in (period.start_us, period.until_us)
    )
    return " to ".join(f"{formatting.day(at.date())} {at:%H:%M}" for at in (start, end))


def _notes(now: Sums, calls: Links) -> Iterator[Note]:
    """Say what of the cost is not measured. Nothing to say is said as well."""

    def rows(basis: Basis) -> str:
        return calls.narrowed("basis", basis).calls()

    estimated = now.by_basis.get(Basis.ESTIMATED, NOTHING)
    flat = now.by_basis.get(Basis.FLAT_RATE, NOTHING).requests
    if estimated.requests:
        share = formatting.share(ratio(estimated.cost_usd, now.cost_usd))
        yield Note(
            f"{share} estimated",
            f"{formatting.money_full(estimated.cost_usd)} of this was counted here, because the "
            "provider could not say what was used.",
            rows(Basis.ESTIMATED),
        )
    if now.unpriced_calls:
        yield Note(
            f"{formatting.count(now.unpriced_calls)} unpriced",
            f"Calls whose price nobody knows, with {formatting.count_full(now.unpriced_tokens)} "
            "tokens. Their cost is missing in this sum.",
            rows(Basis.UNPRICED),
        )
    if flat:
        yield Note(
            f"{formatting.share(ratio(flat, now.requests))} flat rate",
            "Calls that a subscription pays. They count as $0 here.",
            rows(Basis.FLAT_RATE),
        )
    if now.requests and not (estimated.requests or now.unpriced or flat):
        yield Note(
            "All measured",
            "Every cost is the usage that the provider reported, times its price.",
            calls.calls(),
        )


def measures_of(stretch: Comparison, links: Links) -> tuple[Measure, ...]:
    """Give what else there is to know of a period."""
    return (
        *_of_requests(stretch, links),
        *_of_tokens(stretch, links),
        _of_errors(stretch, links),
        *_of_basis(stretch, links),
    )


def _of_requests(stretch: Comparison, links: Links) -> tuple[Measure, Measure]:
    now, before = stretch.now, stretch.before
    calls = links.calls()
    return (
        Measure(
            "Requests",
            Decimal(now.requests),
            Decimal(before.requests),
            "count",
            f"{formatting.count(now.refusals)} refused" if now.refusals else "none refused",
            "Attempts that reached a provider. Refused ones are counted apart.",
            links.narrowed("outcome", Outcome.REFUSED).calls() if now.refusals else calls,
        ),
        Measure(
            "Cost per request",
            now.cost_per_request_usd,
            before.cost_per_request_usd,
            "money",
            "known costs only" if now.unpriced else "",
            "The period's cost, divided by its requests.",
            calls,
            more_is_worse=True,
        ),
    )


def _of_tokens(stretch: Comparison, links: Links) -> tuple[Measure, Measure, Measure]:
    now, before = stretch.now, stretch.before
    calls = links.calls()
    return (
        Measure(
            "Tokens in",
            Decimal(now.tokens_in),
            Decimal(before.tokens_in),
            "count",
            f"{formatting.share(now.cached_share)} from cache" if now.tokens_in else "",
            "All input tokens. The cached ones were read from a provider's prompt cache.",
            calls,
        ),
        Measure(
            "Tokens out",
            Decimal(now.tokens_out),
            Decimal(before.tokens_out),
            "count",
            "with reasoning",
            "All output tokens, reasoning included.",
            calls,
        ),
        Measure(
            "Cache savings",
            now.saved_usd,
            before.saved_usd,
            "money",
            f"{formatting.count(now.tokens_cached)} cached",
            "What the same tokens would have cost without prompt caches, less what writing to "
            "the caches cost.",
            links.savings(),
            more_is_worse=False,
        ),
    )


def _of_basis(stretch: Comparison, links: Links) -> tuple[Measure, Measure]:
    """Say how much of the cost was counted here, and what has no price."""
    now, before = stretch.now, stretch.before
    estimated = now.by_basis.get(Basis.ESTIMATED, NOTHING)
    return (
        Measure(
            "Estimated",
            _estimated_share(now),
            _estimated_share(before),
            "share",
            f"{formatting.money_exact(estimated.cost_usd)} in {_calls(estimated.requests)}"
            if estimated.requests
            else "nothing was estimated",
            "The part of the period's cost that was counted here, because the provider could "
            "not say what was used.",
            links.narrowed("basis", Basis.ESTIMATED).calls(),
            more_is_worse=True,
        ),
        Measure(
            "Unpriced",
            Decimal(now.unpriced_calls),
            Decimal(before.unpriced_calls),
            "count",
            f"{formatting.share(ratio(now.unpriced_calls, now.requests))} of requests, "
            f"{formatting.count(now.unpriced_tokens)} tokens"
            if now.unpriced_calls
            else "every call has its price",
            "Calls of which some cost is unknown, because nobody knows a price. It is missing in "
            "every sum, and not counted as $0.",
            links.narrowed("basis", Basis.UNPRICED).calls(),
            more_is_worse=True,
        ),
    )


def _calls(count: int) -> str:
    return f"{formatting.count(count)} {'call' if count == 1 else 'calls'}"


def _estimated_share(sums: Sums) -> Decimal | None:
    """Give the part of the known cost that was estimated; None where nothing is known."""
    estimated = sums.by_basis.get(Basis.ESTIMATED, NOTHING)
    return ratio(Decimal(0) if not estimated.requests else estimated.cost_usd, sums.cost_usd)


def _of_errors(stretch: Comparison, links: Links) -> Measure:
    now, before = stretch.now, stretch.before
    return Measure(
        "Errors",
        now.error_rate,
        before.error_rate,
        "share",
        f"{formatting.count(now.errors)} of {formatting.count(now.requests)}",
        "Requests that failed, whoever was to blame, as a share of all requests.",
        links.narrowed("outcome", *sorted(ERROR_OUTCOMES)).calls(),
        more_is_worse=True,
    )
