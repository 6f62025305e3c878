"""A rate card: every price of one model, at any time and under any condition.

From it a plan is made for the conditions of one call: the history row that is active, the
variants for what was served (tier, batch, speed), the place's factor, and for quantities
without a price of their own the price that the provider applies instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.money import price_units
from tollkeeper.domain.price_data import PER, REQUESTS, ModelRow, PriceRow, VariantRow
from tollkeeper.domain.price_plan import (
    Priced,
    PriceLine,
    PricePlan,
    Rate,
    weights_of,
)
from tollkeeper.domain.price_windows import Calendars, active_row, edges, has_begun, instant_us
from tollkeeper.domain.usage import Usage

__all__ = ["FALLS_BACK", "Conditions", "RateCard", "conditions_of", "instant_us"]

STANDARD_WORDS: Final = frozenset({"", "default", "standard"})
"""Tier and speed words that mean the ordinary price with every provider."""

PLACES_WITHOUT_FACTOR: Final = frozenset({"", "global", "not_available"})

FALLS_BACK: Final[Mapping[str, str]] = {
    u.CACHE_READ: u.INPUT,  # no discount is published: cached input costs what input costs
    u.INPUT_IMAGE: u.INPUT,
    u.INPUT_TOOL: u.INPUT,
    u.REASONING: u.OUTPUT,
}
"""What every provider does. What only some do stands in their own data."""

_CACHED_MODALITIES: Final[Mapping[str, str]] = {
    u.CACHE_READ_AUDIO: u.INPUT_AUDIO,
    u.CACHE_READ_IMAGE: u.INPUT_IMAGE,
    u.CACHE_READ_VIDEO: u.INPUT_VIDEO,
}
_CUSTOM_FALLS_BACK: Final[Mapping[str, str]] = {
    **dict.fromkeys(u.INPUT_TOKENS, u.INPUT),
    **dict.fromkeys(u.OUTPUT_TOKENS, u.OUTPUT),
    u.CACHE_WRITE_1H: u.CACHE_WRITE,
    **dict.fromkeys(_CACHED_MODALITIES, u.CACHE_READ),
}
OWN_PRICES: Final = "custom"
"""How the key of a price begins that the operator set."""

_STAND_INS_MAX: Final = 5
WORD_CHARS_MAX: Final = 64  # no provider's word for a tier is as long
_TERMS_CHARS_MAX: Final = 128
_SERVED: Final = frozenset({"tier", "speed"})
_BEGINNING_US: Final = -(2**62)
_END_US: Final = 2**62

Steps = tuple[tuple[int, Decimal], ...]
"""Prices by prompt size: (more than so many tokens, price), ascending; the first is (-1, base)."""


class Conditions(NamedTuple):
    """What of a usage decides which price applies, in the provider's own words."""

    tier: str = ""
    batch: bool = False
    speed: str = ""
    geo: str = ""
    terms: str = ""


@dataclass(frozen=True, slots=True)
class RateCard:
    """Prices of one model. ``name`` begins the key of everything priced with it.

    ``tiers`` maps the provider's tier words to the book's. A card with ``any_tier`` has one
    price whatever was served. ``calendars`` are the holidays that windows go by.
    """

    name: str
    row: ModelRow
    tiers: Mapping[str, str] = field(default_factory=dict)
    falls_back: Mapping[str, str] = field(default_factory=lambda: FALLS_BACK)
    any_tier: bool = False
    calendars: Calendars = field(default_factory=dict)

    @staticmethod
    def custom(prices: Mapping[str, str]) -> RateCard:
        """Make a card from an operator's own prices: quantity name → USD per ``PER`` pieces.

        Token prices are per million tokens; kinds of tokens that are not named cost what
        their parent costs (cache reads: input, reasoning: output). Raises ValueError for a
        name or price that cannot be used.
        """
        for name, price in prices.items():
            if name not in PER:
                raise ValueError(f"no such quantity: {name!r}; known: {', '.join(sorted(PER))}")
            price_units(price, PER[name])
        row: ModelRow = {"model": "", "prices": [{"usd": dict(prices)}]}
        return RateCard(OWN_PRICES, row, falls_back=_CUSTOM_FALLS_BACK, any_tier=True)

    def has_price_of(self, quantity: str) -> bool:
        """Tell whether the card ever had a price of a quantity's own."""
        return any(quantity in row.get("usd", {}) for row in self.row["prices"])

    def price(self, usage: Usage, at_us: int) -> Priced:
        """Price one usage, without its components."""
        return self.plan_for(usage, at_us).price(usage)

    def explain(self, usage: Usage, at_us: int) -> list[PriceLine]:
        """Say line by line how a usage is priced."""
        return self.plan_for(usage, at_us).explain(usage)

    def plan_for(self, usage: Usage, at_us: int) -> PricePlan:
        """Make the plan that a usage needs."""
        return self.plan(conditions_of(usage), at_us)

    def plan(self, conditions: Conditions, at_us: int, *, rule: str = "") -> PricePlan:
        """Make the plan for some conditions at a time. Raises ValueError for unusable data."""
        since_us, until_us = self._validity(at_us)
        label = self.name + (f" rule={rule}" if rule else "")
        wanted, label, reason = self._wanted(conditions, label)
        active = active_row(self.row["prices"], at_us, self.calendars)
        if "since" in active:
            label += f" since={active['since']}"
        steps = _steps(active)
        terms = _terms(conditions.terms)
        variants = [
            variant
            for variant in self.row.get("variants", ())
            if has_begun(variant, at_us) and _applies(variant, wanted, terms)
        ]
        if wanted and not any(_served(variant) == wanted for variant in variants):
            # Two conditions at once need a price for exactly both: neither alone is the answer.
            kind = "speed" if "tier" not in wanted else "tier"
            reason = reason or f"unknown_{kind}:{'+'.join(wanted.values())}"
        decisive = {name for variant in variants for name in variant["when"]} - _SERVED
        label += "".join(f" {name}={terms[name]}" for name in sorted(decisive))
        if reason:
            return PricePlan(since_us, until_us, (label,), reason)
        steps = _factored(_varied(steps, variants), self._factor(conditions))
        return _plan_of(steps, self._falls_back(), label, since_us, until_us)

    def servable(self) -> list[Conditions]:
        """List the tiers, speeds and places that the card has prices for, but not batches."""
        found = [Conditions(geo=geo) for geo in self.row.get("geo", {})]
        for variant in self.row.get("variants", ()):
            when = variant["when"]
            tier = when.get("tier", "")
            if "batch" not in tier:
                terms = " ".join(
                    f"{name}={when[name]}" for name in sorted(when) if name not in _SERVED
                )
                speed = when.get("speed", "")
                found += [
                    Conditions(tier, speed=speed, geo=geo, terms=terms)
                    for geo in ("", *self.row.get("geo", {}))
                ]
        return found

    def _falls_back(self) -> Mapping[str, str]:
        return {**self.falls_back, **self.row.get("falls_back", {})}

    def _factor(self, conditions: Conditions) -> Decimal:
        return Decimal(self.row.get("geo", {}).get(conditions.geo, "1"))

    def _wanted(self, conditions: Conditions, label: str) -> tuple[dict[str, str], str, str]:
        """Give the variant conditions, the label with them, and why they cannot be met."""
        if self.any_tier:
            return {}, label, ""
        wanted = {}
        word = conditions.tier.lower()
        tier = self.tiers.get(word, "" if word in STANDARD_WORDS else word)
        if conditions.batch and tier != "batch":
            tier = f"batch+{tier}" if tier else "batch"
        if tier:
            wanted["tier"] = tier
            label += f" tier={tier}"
        if conditions.speed not in STANDARD_WORDS:
            wanted["speed"] = conditions.speed
            label += f" speed={conditions.speed}"
        if conditions.geo in PLACES_WITHOUT_FACTOR:
            return wanted, label, ""
        known = conditions.geo in self.row.get("geo", {})
        label += f" geo={conditions.geo}"
        return wanted, label, "" if known else f"unknown_geo:{conditions.geo}"

    def _validity(self, at_us: int) -> tuple[int, int]:
        found = [_BEGINNING_US, _END_US]
        found += edges(self.row["prices"], self.row.get("variants", ()), at_us)
        return (
            max(edge for edge in found if edge <= at_us),
            min(edge for edge in found if edge > at_us),
        )


def conditions_of(usage: Usage) -> Conditions:
    """Take from a usage what decides its price."""
    return Conditions(
        usage.tier[:WORD_CHARS_MAX],
        usage.batch,
        usage.speed[:WORD_CHARS_MAX],
        usage.geo[:WORD_CHARS_MAX],
        usage.terms[:_TERMS_CHARS_MAX],
    )


def _terms(text: str) -> dict[str, str]:
    """Read ``name=word`` pairs; what is not one is no term."""
    pairs = (word.partition("=") for word in text.split(" "))
    return {name: word for name, sign, word in pairs if sign and name not in _SERVED}


def _applies(variant: VariantRow, wanted: Mapping[str, str], terms: Mapping[str, str]) -> bool:
    return all(
        (wanted if name in _SERVED else terms).get(name) == word
        for name, word in variant["when"].items()
    )


def _served(variant: VariantRow) -> dict[str, str]:
    return {name: word for name, word in variant["when"].items() if name in _SERVED}


def _steps(row: PriceRow | VariantRow) -> dict[str, Steps]:
    steps: dict[str, Steps] = {
        name: ((-1, Decimal(price)),) for name, price in row.get("usd", {}).items()
    }
    # Tokens are whole: as many as n or more is more than n - 1.
    tiers = [*row.get("above", ()), *((n - 1, prices) for n, prices in row.get("at_least", ()))]
    for tokens, prices in sorted(tiers, key=lambda tier: tier[0]):
        for name, price in prices.items():
            steps[name] = (*steps[name], (tokens, Decimal(price)))
    return steps


def _varied(steps: dict[str, Steps], variants: list[VariantRow]) -> dict[str, Steps]:
    """Apply variants; the first one that names a quantity decides."""
    varied = dict(steps)
    decided: set[str] = set()
    for variant in variants:
        replaced = _steps(variant)
        for name, factor in variant.get("multiply", {}).items():
            if name in steps:
                replaced[name] = _times(steps[name], Decimal(factor))
        for name in replaced.keys() - decided:
            varied[name] = replaced[name]
            decided.add(name)
    return varied


def _factored(steps: dict[str, Steps], factor: Decimal) -> dict[str, Steps]:
    """Apply a place's factor, which is on tokens and not on tool fees."""
    if factor == 1:
        return steps
    return {
        name: _times(prices, factor) if name in u.TOKENS else prices
        for name, prices in steps.items()
    }


def _times(steps: Steps, factor: Decimal) -> Steps:
    return tuple((tokens, price * factor) for tokens, price in steps)


def _plan_of(
    steps: Mapping[str, Steps],
    falls_back: Mapping[str, str],
    label: str,
    since_us: int,
    until_us: int,
) -> PricePlan:
    thresholds = sorted({tokens for prices in steps.values() for tokens, _ in prices[1:]})
    rates = []
    for floor in (-1, *thresholds):
        prices = {
            name: [price for tokens, price in listed if tokens <= floor][-1]
            for name, listed in steps.items()
        }
        rates.append(_with_stand_ins(prices, falls_back))
    weights, per_nano = weights_of(rates)
    return PricePlan(
        since_us,
        until_us,
        (label, *(f"{label} above={tokens}" for tokens in thresholds)),
        "",
        tuple(thresholds),
        tuple(rates),
        weights,
        weights[0].get(REQUESTS, 0),
        per_nano,
    )


def _with_stand_ins(
    prices: Mapping[str, Decimal], falls_back: Mapping[str, str]
) -> dict[str, Rate]:
    """Add a rate for each quantity that is covered by another one's price."""
    rates = {name: Rate(price, name) for name, price in prices.items()}
    for name in u.TOKENS + u.UNITS:
        stand_in = _stand_in(name, prices, falls_back)
        if stand_in in prices:
            rates[name] = Rate(prices[stand_in], stand_in)
    return rates


def _stand_in(name: str, prices: Mapping[str, Decimal], falls_back: Mapping[str, str]) -> str:
    """Follow the stand-ins of a quantity to one that has a price, or to a dead end ("")."""
    for _ in range(_STAND_INS_MAX):
        if name in prices:
            return name
        if name in _CACHED_MODALITIES and name not in falls_back:
            modality = _CACHED_MODALITIES[name]
            if modality not in prices:
                name = u.CACHE_READ
            elif u.CACHE_READ in prices:
                return ""  # both have a price of their own: which one applies is not published
            else:
                name = modality
        elif name in falls_back:
            name = falls_back[name]
        else:
            return ""
    return ""
