"""An operator's own terms, laid over the price book: contracts, discounts, own prices.

A rule names whom it concerns (provider, model, team: globs) and from when to when. Of all
rules that match a call the first one decides, so that two contracts never add up by
accident. It either sets prices or takes a discount off the book's.

Which rules could concern a call is known before it is made. That knowledge travels as the
call's *place*: the book's provider, or ``provider@account/team`` where a rule names that
account or team. So a call that no rule concerns pays nothing for there being rules, and an
old call can be priced again by what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.price_data import PER, REQUESTS
from tollkeeper.domain.price_plan import PricePlan, Rate, weights_of
from tollkeeper.domain.rate_card import OWN_PRICES, Conditions, RateCard

BASIS_POINTS: Final = 10_000
ANY: Final = "*"
ALWAYS_US: Final = 2**62
"""The end of what never ends; a rule from the beginning starts at its negative."""

_AT: Final = "@"
_DIGEST_CHARS: Final = 8


class PriceRule(NamedTuple):
    """One rule. ``name`` is shown wherever its price is.

    ``provider`` matches the operator's name for an account, not the book's. ``usd`` maps
    quantities to prices in USD for ``PER`` pieces; if it is empty, ``discount_bp`` basis
    points are taken off every price of the book (negative ones are put on it).
    """

    name: str
    provider: str = ANY
    model: str = ANY
    team: str = ANY
    usd: Mapping[str, str] = {}
    discount_bp: int = 0
    since_us: int = -ALWAYS_US
    until_us: int = ALWAYS_US
    reason: str = ""

    def problem(self) -> str:
        """Say why the rule cannot be used, "" if it can."""
        if not self.name or not self.name.isprintable():
            return "a price rule needs a name"
        if self.usd and self.discount_bp:
            return "set prices, or a discount on the book's, not both"
        if not self.usd and not self.discount_bp:
            return "set prices (usd) or a discount (discount_bp)"
        if not -BASIS_POINTS <= self.discount_bp <= BASIS_POINTS:
            return f"a discount is -{BASIS_POINTS} to {BASIS_POINTS} basis points (100 %)"
        if self.since_us >= self.until_us:
            return "it ends before it begins"
        try:
            RateCard.custom(self.usd)
        except ValueError as error:
            return str(error)
        return ""


class StoredRule(NamedTuple):
    """A rule that was made on the page or by a command, and by whom."""

    rule_id: str
    rule: PriceRule
    created_at_us: int
    created_by: str


class PriceRules:
    """All rules, in the order in which they are tried."""

    def __init__(self, rules: Iterable[PriceRule] = ()) -> None:
        self.rules: Sequence[PriceRule] = tuple(rules)

    def __bool__(self) -> bool:
        return bool(self.rules)

    @property
    def digest(self) -> str:
        """Give what changes whenever a price could."""
        told = [
            (
                rule.provider,
                rule.model,
                rule.team,
                sorted(rule.usd.items()),
                rule.discount_bp,
                rule.since_us,
                rule.until_us,
            )
            for rule in self.rules
        ]
        return sha256(repr(told).encode()).hexdigest()[:_DIGEST_CHARS]

    def place(self, price_id: str, account: str, team: str) -> str:
        """Say where a call's price stands: the book's provider, with account and team if need be.

        ``account`` is the operator's name for the provider.
        """
        base = base_of(price_id)
        matching = [rule for rule in self.rules if fnmatchcase(account, rule.provider)]
        if any(rule.team != ANY and fnmatchcase(team, rule.team) for rule in matching):
            return f"{base}{_AT}{account}/{team}"
        return f"{base}{_AT}{account}/" if any(rule.team == ANY for rule in matching) else base

    def deciding(self, place: str, model: str, at_us: int) -> PriceRule | None:
        """Give the rule that decides the price of a model at a place and time."""
        for rule in self._candidates(place, model):
            if rule.since_us <= at_us < rule.until_us:
                return rule
        return None

    def edges_us(self, place: str, model: str) -> list[int]:
        """Give the times at which another rule may begin to decide."""
        rules = self._candidates(place, model)
        return [edge for rule in rules for edge in (rule.since_us, rule.until_us)]

    def _candidates(self, place: str, model: str) -> list[PriceRule]:
        _, there, rest = place.partition(_AT)
        if not there:
            return []
        account, _, team = rest.partition("/")
        return [
            rule
            for rule in self.rules
            if fnmatchcase(account, rule.provider)
            and (rule.team == ANY or fnmatchcase(team, rule.team))
            and fnmatchcase(model.lower(), rule.model.lower())
        ]


NO_RULES: Final = PriceRules()
_PERCENT: Final = re.compile(r"(-?[0-9]{1,3}(?:\.[0-9]{1,2})?)\s*%?")


def basis_points_of(percent: str) -> int | None:
    """Read "12.5" or "12.5 %" as basis points; None for what is none, or has more decimals."""
    found = _PERCENT.fullmatch(percent.strip())
    return None if found is None else int(Decimal(found[1]) * 100)


def is_ruled(place: str) -> bool:
    """Tell whether a rule may apply at a place."""
    return _AT in place


def base_of(place: str) -> str:
    """Give the book's provider of a place."""
    return place.partition(_AT)[0]


def under_rule(rule: PriceRule, listed: PricePlan, conditions: Conditions) -> PricePlan:
    """Give the plan that a rule makes of the book's.

    A discount on what has no price leaves it without one. Own prices hold whatever was
    served; what is counted by the piece and not named keeps the book's price.
    """
    label = f"{OWN_PRICES}:{rule.name}"
    if not rule.usd:
        if listed.reason:
            return listed
        factor = Decimal(BASIS_POINTS - rule.discount_bp) / BASIS_POINTS
        rates = tuple(
            {name: rate._replace(price=rate.price * factor) for name, rate in segment.items()}
            for segment in listed.rates
        )
        keys = tuple(f"{label} {-rule.discount_bp:+d}bp {key}" for key in listed.keys)
        return _with_rates(listed, rates, keys)
    own = replace(RateCard.custom(rule.usd), name=label).plan(conditions, 0)
    if listed.reason:
        return replace(own, since_us=listed.since_us, until_us=listed.until_us)
    rates = tuple({**_by_the_piece(segment), **own.rates[0]} for segment in listed.rates)
    keys = tuple(f"{label} instead of {key}" for key in listed.keys)
    return _with_rates(listed, rates, keys)


def _by_the_piece(rates: Mapping[str, Rate]) -> dict[str, Rate]:
    return {name: rate for name, rate in rates.items() if name in PER and name not in u.TOKENS}


def _with_rates(
    plan: PricePlan, rates: tuple[Mapping[str, Rate], ...], keys: tuple[str, ...]
) -> PricePlan:
    weights, per_nano = weights_of(rates)
    fee = weights[0].get(REQUESTS, 0)
    return replace(plan, keys=keys, rates=rates, weights=weights, fee=fee, per_nano=per_nano)
