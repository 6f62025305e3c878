"""A model's price table for people: every price with its condition, and how sure it is.

A price is *agreed* where every other source that names it says the same, *disputed* where one
says otherwise (our reviewed correction then says why), *single* where only one source has it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tollkeeper.domain.price_data import PER, ModelRow, PriceRow
from tollkeeper.domain.price_plan import PricePlan, plain
from tollkeeper.domain.price_windows import active_row, has_begun, instant_us
from tollkeeper.domain.rate_card import Conditions, RateCard

FIRST_SOURCE: Final = "genai-prices"
_SERVED: Final = ("tier", "speed")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_VOTED_US: Final = instant_us("2026-11-12T12:00")
"""What other sources say, they say of this time."""


class Standing(enum.StrEnum):
    """How sure a price is."""

    AGREED = "agreed"
    SINGLE = "single"
    DISPUTED = "disputed"


class Said(NamedTuple):
    """What stands behind one price. ``others`` maps each other source to its price."""

    standing: Standing
    others: Mapping[str, str]


class PriceRowShown(NamedTuple):
    """One row of a model's price table: ``prices`` maps a quantity to (USD, for how many).

    ``condition`` is "" for the ordinary price, else what must have been served ("tier=flex",
    "geo=us"), or at which other hours (UTC) it holds. ``above_tokens`` is the prompt size that
    the row starts above, 0 for none.
    ``said`` tells how sure each price is, under a condition only of those that differ there.
    """

    condition: str
    above_tokens: int
    prices: Mapping[str, tuple[str, int]]
    said: Mapping[str, Said] = {}


class ModelPrices(NamedTuple):
    """What the book says of one model at one time, and which rule found it.

    ``model`` is "" for an operator's own prices, which hold for every model of the provider.
    ``aliases`` are further names for exactly this model. ``said_by`` names the source of a
    model that the first source does not list, ``gone`` the day since which it lists it no more.
    """

    provider: str
    model: str
    key: str
    rows: list[PriceRowShown]
    aliases: Sequence[str] = ()
    said_by: str = ""
    gone: str = ""


def table(card: RateCard, at_us: int) -> list[PriceRowShown]:
    """Give every price of a card that holds at a time."""
    rows: list[PriceRowShown] = []
    ordinary: dict[int, Mapping[str, tuple[str, int]]] = {}
    for condition in dict.fromkeys(_conditions(card.row)):
        plan = card.plan(condition, at_us)
        if plan.reason:
            continue
        for row in _shown(card, plan, condition, at_us):
            if condition == Conditions():
                ordinary[row.above_tokens] = row.prices
                rows.append(row)
                continue
            usual = ordinary.get(row.above_tokens, {})
            own = {it: said for it, said in row.said.items() if row.prices[it] != usual.get(it)}
            rows.append(row._replace(said=own))
    return [*rows, *_other_hours(card, at_us)]


def _other_hours(card: RateCard, at_us: int) -> Iterator[PriceRowShown]:
    """Give the prices of other hours of the same time, each once."""
    rows = _of_the_time(card.row["prices"], at_us)
    seen = [active_row(rows, at_us, card.calendars)["usd"]]
    for row in rows:
        if row["usd"] in seen:
            continue
        seen.append(row["usd"])
        same = [it for it in rows if it["usd"] == row["usd"]]
        hours = ",".join("-".join(it["daily"]) for it in same if "daily" in it)
        days = [_DAYS[number - 1] for number in row.get("weekdays", ())]
        words = f"hours={hours or 'other'}" + (f" days={days[0]}-{days[-1]}" if days else "")
        prices = {it: (plain(Decimal(usd)), PER[it]) for it, usd in row["usd"].items()}
        yield PriceRowShown(words, 0, prices)


def _of_the_time(rows: Sequence[PriceRow], at_us: int) -> list[PriceRow]:
    """Give the row that has no window and holds at a time, and the windows behind it."""
    begun = [row for row in rows if has_begun(row, at_us)] or [rows[0]]
    bases = [place for place, row in enumerate(begun) if not _has_window(row)]
    return begun[bases[-1] :] if bases else begun


def _has_window(row: PriceRow) -> bool:
    return bool(row.keys() & {"daily", "weekdays", "holidays"})


def _conditions(row: ModelRow) -> Iterator[Conditions]:
    yield Conditions()
    for variant in row.get("variants", ()):
        when = variant["when"]
        terms = " ".join(f"{name}={when[name]}" for name in sorted(when) if name not in _SERVED)
        yield Conditions(when.get("tier", ""), speed=when.get("speed", ""), terms=terms)
    for place in row.get("geo", ()):
        yield Conditions(geo=place)


def _words(condition: Conditions) -> str:
    words = {"tier": condition.tier, "speed": condition.speed, "geo": condition.geo}
    served = [f"{name}={word}" for name, word in words.items() if word]
    return " ".join([*served, *condition.terms.split()])


def _shown(
    card: RateCard, plan: PricePlan, condition: Conditions, at_us: int
) -> Iterator[PriceRowShown]:
    words = _words(condition)
    for above, rates in zip((0, *plan.thresholds), plan.rates, strict=True):
        usd = {it: plain(rate.price) for it, rate in rates.items() if rate.priced_as == it}
        said = {}
        if not condition.geo:  # a place has a factor, and its own prices with nobody
            said = {it: _said(card, words, above, it, price, at_us) for it, price in usd.items()}
        yield PriceRowShown(words, above, {it: (usd[it], PER[it]) for it in usd}, said)


def _said(card: RateCard, words: str, above: int, quantity: str, price: str, at_us: int) -> Said:
    rows = _of_the_time(card.row["prices"], at_us)
    is_present = rows == _of_the_time(card.row["prices"], _VOTED_US)
    others = _others(card.row, words, above, quantity) if is_present else {}
    possible = {Decimal(price)}
    if not words and not above:
        active = active_row(rows, at_us, card.calendars)
        if quantity in active.get("replaced", {}):
            others = {FIRST_SOURCE: active["replaced"][quantity], **others}
        # Who knows no windows lists the price of one of them.
        possible |= {Decimal(row["usd"][quantity]) for row in rows if quantity in row["usd"]}
    if not others:
        return Said(Standing.SINGLE, {})
    differ = {name: usd for name, usd in others.items() if Decimal(usd) not in possible}
    return Said(Standing.DISPUTED if differ else Standing.AGREED, others)


def _others(row: ModelRow, words: str, above: int, quantity: str) -> dict[str, str]:
    """Give what other sources say of one price: thresholds of both kinds mean the same."""
    prefix = f"{words} " if words else ""
    keys = [f"{prefix}{quantity}"]
    if above:
        keys = [f"{prefix}above={tokens} {quantity}" for tokens in (above, above + 1)]
    return {
        name: vote[key]
        for name, vote in row.get("votes", {}).items()
        for key in keys
        if key in vote
    }
