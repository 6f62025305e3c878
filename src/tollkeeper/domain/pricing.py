"""The price book: what any usage of any model costs, exactly and with its reason.

A cost is an exact sum of count times price, rounded once to whole nano-dollars. A price of 0
is a price; a price that is not known is None with a reason, never 0 and never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.bedrock_names import AMAZON, names_its_maker, opaque_kind
from tollkeeper.domain.price_data import ModelRow, PriceRow, ProviderRow
from tollkeeper.domain.price_match import Match, PriceList
from tollkeeper.domain.price_plan import Priced, PriceLine, PricePlan
from tollkeeper.domain.price_rules import NO_RULES, PriceRules, base_of, under_rule
from tollkeeper.domain.price_table import ModelPrices, PriceRowShown, table
from tollkeeper.domain.rate_card import (
    FALLS_BACK,
    WORD_CHARS_MAX,
    Conditions,
    RateCard,
    conditions_of,
)
from tollkeeper.domain.usage import Usage

__all__ = ["ModelPrices", "PriceBook", "PriceLine", "PriceRowShown", "Priced", "RateCard"]

FIRST_PARTIES: Final = (
    "openai",
    "anthropic",
    "google",
    "mistral",
    "deepseek",
    "x-ai",
    "moonshotai",
    "cohere",
    "zai",
    "minimax",
    "meta",
    "voyageai",
    "groq",
    "perplexity",
    "cerebras",
)
"""Who makes models comes before who resells them, when a model is called by its bare name."""

_PLANS_MAX: Final = 4096  # callers choose model names: what is remembered of them has an end
_NAME_CHARS_MAX: Final = 200
_FOREVER_US: Final = 2**62
_DIGEST_CHARS: Final = 8


class PriceBook:
    """Prices of all models of all providers, in one immutable version.

    ``providers`` may be lazy: a provider's rows are asked for when it is first needed.
    ``other_names`` maps further names of providers to the book's ("vertex" → "google").
    ``by_the_hour`` names the providers whose machines cost the operator by the hour.
    Plans are remembered, so that a price costs a look-up and a sum of products.
    """

    def __init__(
        self,
        version: str,
        providers: Mapping[str, ProviderRow],
        other_names: Mapping[str, str] | None = None,
        cards: Mapping[str, RateCard] | None = None,
        rules: PriceRules = NO_RULES,
    ) -> None:
        self.version = version
        self.rules = rules
        self._cards = cards or {}
        self.by_the_hour = frozenset(
            name for name, card in self._cards.items() if card.has_price_of(u.GPU_MS)
        )
        self._providers = providers
        self._other_names = other_names or {}
        self._lists: dict[str, PriceList] = {}
        self._owners: dict[str, str] = {}
        self._plans: dict[tuple[str, str, str, bool, str, str, str], PricePlan] = {}

    def with_cards(self, cards: Mapping[str, RateCard]) -> PriceBook:
        """Give this book with an operator's own prices: provider name → card for all its models.

        Such a card comes before anything that the book says of a provider of that name. The
        version of the new book tells the operator's prices too.
        """
        if not cards:
            return self
        prices = sorted((name, str(card.row["prices"])) for name, card in cards.items())
        digest = sha256(repr(prices).encode()).hexdigest()[:_DIGEST_CHARS]
        version = f"{self.version}+own.{digest}"
        return PriceBook(version, self._providers, self._other_names, cards, self.rules)

    def with_rules(self, rules: PriceRules) -> PriceBook:
        """Give this book under an operator's contracts and own prices, told by its version."""
        if not rules:
            return self
        version = f"{self.version}+rules.{rules.digest}"
        return PriceBook(version, self._providers, self._other_names, self._cards, rules)

    def under_terms_of(self, other: PriceBook) -> PriceBook:
        """Lay the operator's own prices and rules of another book over this one."""
        return self.with_cards(other._cards).with_rules(other.rules)

    def place(self, provider: str, account: str, team: str) -> str:
        """Say where the price of a call stands: what ``price`` takes as its provider.

        ``account`` is the operator's name for the provider. Without rules it is ``provider``.
        """
        return self.rules.place(provider, account, team) if self.rules else provider

    def price(self, provider: str, model: str, usage: Usage, at_us: int) -> Priced:
        """Price one usage, without its components: each of those is priced by itself."""
        plan = self._plans.get(
            (provider, model, usage.tier, usage.batch, usage.speed, usage.geo, usage.terms),
        )
        if plan is None or not plan.since_us <= at_us < plan.until_us:
            plan = self._plan(provider, model, conditions_of(usage), at_us)
        return plan.price(usage)

    def plan(self, place: str, model: str, conditions: Conditions, at_us: int) -> PricePlan:
        """Give the plan that holds at a time under some conditions."""
        plan = self._plans.get((place, model, *conditions))
        if plan is None or not plan.since_us <= at_us < plan.until_us:
            plan = self._plan(place, model, conditions, at_us)
        return plan

    def plans(self, provider: str, model: str, at_us: int, tier: str = "") -> list[PricePlan]:
        """Give all plans that a call may be billed by, the one of the tier it asks for first.

        The others are those of every tier and speed that the provider may serve instead.
        """
        card, _ = self._card(base_of(provider), model, at_us)
        found = [Conditions(tier[:WORD_CHARS_MAX])]
        if card is not None:
            found += [Conditions(), *card.servable()]
        plans = [self._plan(provider, model, each, at_us) for each in dict.fromkeys(found)]
        # A tier without a price is not served: but one that is asked for is not passed over.
        return [plan for number, plan in enumerate(plans) if not (number and plan.reason)]

    def weights(self, provider: str, model: str, at_us: int, tier: str = "") -> Mapping[str, int]:
        """Say what each quantity costs in proportion to the others, {} where no price is known.

        Of a model whose prices depend on the size of the prompt, those of small prompts.
        """
        plan = self.plan(provider, model, Conditions(tier[:WORD_CHARS_MAX]), at_us)
        return {} if plan.reason else plan.weights[0]

    def explain(self, provider: str, model: str, usage: Usage, at_us: int) -> list[PriceLine]:
        """Say line by line how a usage is priced; the lines add up to its price."""
        return self._plan(provider, model, conditions_of(usage), at_us).explain(usage)

    def providers(self) -> list[str]:
        """List the provider ids of the book."""
        return list(self._providers)

    def models(self, provider: str) -> list[str]:
        """List the models of a provider; empty for a provider that is not in the book."""
        row = self._provider(provider)
        return sorted(model["model"] for model in row["models"]) if row else []

    def owner_of(self, model: str) -> str:
        """Name the provider that a bare model name belongs to, "" if none is known.

        Who makes a model comes first, then anyone who lists it by exactly this name. A name
        that the book does not know yet still goes to its maker by how it begins: it can be
        called at once, and is unpriced until its price is known.
        """
        owner = self._owners.get(model)
        if owner is None:
            owner = self._owner_of(model)
            if len(self._owners) >= _PLANS_MAX:
                self._owners.clear()
            self._owners[model] = owner
        return owner

    def show(self, provider: str, model: str, at_us: int) -> ModelPrices | None:
        """Give the whole price table of a model at a time, or None if it is not listed."""
        card, rule = self._card(provider, model, at_us)
        if card is None:
            return None
        row = card.row
        ordinary = card.plan(Conditions(), at_us, rule=rule)
        return ModelPrices(
            self._id(provider),
            row["model"],
            ordinary.keys[0],
            table(card, at_us),
            row.get("aliases", ()),
            row.get("said_by", ""),
            row.get("gone", ""),
        )

    def _plan(self, place: str, model: str, conditions: Conditions, at_us: int) -> PricePlan:
        plan = self._listed(base_of(place), model, conditions, at_us)
        rule = self.rules.deciding(place, model, at_us)
        if rule is not None:
            plan = under_rule(rule, plan, conditions)
        plan = _between(plan, self.rules.edges_us(place, model), at_us)
        if len(self._plans) >= _PLANS_MAX:
            self._plans.clear()
        if len(model) <= _NAME_CHARS_MAX:  # a longer one is made up
            self._plans[(place, model, *conditions)] = plan
        return plan

    def _listed(self, provider: str, model: str, conditions: Conditions, at_us: int) -> PricePlan:
        """Make the plan that the book has, or the card for all models of a provider."""
        card, rule = self._card(provider, model, at_us)
        if card is None:
            label = f"{self._id(provider)}/{model[:_NAME_CHARS_MAX]} rule=none"
            opaque = opaque_kind(model)  # an ARN, behind which any model may be
            reason = f"unknown_model:{opaque}" if opaque else "unknown_model"
            return PricePlan(-_FOREVER_US, _FOREVER_US, (label,), reason)
        return self._clipped(card.plan(conditions, at_us, rule=rule), provider, model, at_us)

    def _clipped(self, plan: PricePlan, provider: str, model: str, at_us: int) -> PricePlan:
        """End a plan where the name begins to mean another model."""
        edges = (
            [] if self._provider(provider) is None else self._list(self._id(provider)).edges(model)
        )
        return _between(plan, edges, at_us)

    def _card(self, provider: str, model: str, at_us: int) -> tuple[RateCard | None, str]:
        if provider in self._cards:
            return self._cards[provider], ""
        row = self._provider(provider)
        if row is None:
            return None, ""
        own = self._list(row["provider"]).find(model, at_us)
        if own:
            return _card_of(row, own.row), own.rule
        for lender in row.get("borrows", ()):
            lent = self._list(lender).find(model, at_us)
            if lent:
                return _card_of(row, _standard_only(lent)), f"{lent.rule} borrowed={lender}"
        return None, ""

    def _owner_of(self, model: str) -> str:
        makers = [provider for provider in FIRST_PARTIES if provider in self._providers]
        for provider in makers:
            if self._lists_itself(provider, model):
                return provider
        at_amazon = names_its_maker(model) and AMAZON in self._providers
        if at_amazon and self._lists_itself(AMAZON, model):
            return AMAZON
        beginnings = {
            beginning: provider
            for provider in makers
            for beginning in self._providers[provider].get("owns", ())
            if model.lower().startswith(beginning)
        }
        if beginnings:
            return beginnings[max(beginnings, key=len)]
        for provider in self._providers:
            if provider not in makers and self._lists_itself(provider, model):
                return provider
        return ""

    def _lists_itself(self, provider: str, model: str) -> bool:
        """Tell whether a provider lists a model now: what is gone or fills a gap routes no call."""
        found = self._list(provider).find(model, _FOREVER_US)
        return found is not None and not found.row.keys() & {"said_by", "gone"}

    def _provider(self, provider: str) -> ProviderRow | None:
        return self._providers.get(self._id(provider))

    def _id(self, provider: str) -> str:
        return self._other_names.get(provider, provider)

    def _list(self, provider: str) -> PriceList:
        if provider not in self._lists:
            self._lists[provider] = PriceList(self._providers[provider])
        return self._lists[provider]


def _between(plan: PricePlan, edges_us: Sequence[int], at_us: int) -> PricePlan:
    """Let a plan hold no further than the nearest edges around a time."""
    if not edges_us:
        return plan
    since_us = max([plan.since_us, *(edge for edge in edges_us if edge <= at_us)])
    until_us = min([plan.until_us, *(edge for edge in edges_us if edge > at_us)])
    return replace(plan, since_us=since_us, until_us=until_us)


def _card_of(provider: ProviderRow, row: ModelRow) -> RateCard:
    fixed = provider.get("usd")
    if fixed:
        prices: list[PriceRow] = [{**old, "usd": {**old["usd"], **fixed}} for old in row["prices"]]
        row = {**row, "prices": prices}
    return RateCard(
        f"{provider['provider']}/{row['model']}",
        row,
        provider.get("tiers", {}),
        {**FALLS_BACK, **provider.get("falls_back", {})},
        calendars={name: frozenset(days) for name, days in provider.get("calendars", {}).items()},
    )


def _standard_only(lent: Match) -> ModelRow:
    """Take the ordinary prices of a lender: its tiers, batches and places are its own offers."""
    row: ModelRow = {"model": lent.row["model"], "prices": lent.row["prices"]}
    if "falls_back" in lent.row:
        row["falls_back"] = lent.row["falls_back"]
    return row
