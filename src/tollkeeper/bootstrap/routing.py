"""From configuration and stored secrets to what the gateway routes by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from tollkeeper.config import Configuration
from tollkeeper.domain.price_rules import PriceRule, PriceRules
from tollkeeper.domain.pricing import PriceBook, RateCard
from tollkeeper.domain.routing import AuthStyle, CutPolicy, Provider
from tollkeeper.ports import DataFolder, Vault
from tollkeeper.providers.catalogue import login_providers, with_api_key
from tollkeeper.providers.kinds import KINDS
from tollkeeper.runtime import Routing
from tollkeeper.services.secrets import open_secrets
from tollkeeper.telemetry import logger

SANDBOX: Final = "sandbox"
SANDBOX_PRICES: Final[Mapping[str, str]] = {
    "input": "1.00",
    "cache_read": "0.10",
    "cache_write": "1.25",
    "output": "4.00",
}
"""Made-up prices in USD per million tokens, so that a first call has a cost to look at."""


class Routed(NamedTuple):
    """What is routed to, and the book that prices it."""

    routing: Routing
    book: PriceBook


def route(
    configuration: Configuration,
    sealed: Mapping[str, bytes],
    vault: Vault,
    shipped: PriceBook,
    data: DataFolder,
    stored_rules: Iterable[PriceRule] = (),
) -> Routed:
    """Put providers, their keys and their prices together.

    Of the operator's price rules those that were made on the page are tried first.
    """
    providers = dict(configuration.providers)
    base_urls = {name: provider.root for name, provider in providers.items()}
    opened = open_secrets(sealed, vault, base_urls)
    for name in (*opened.moved, *opened.unreadable):
        logger.warning("a stored provider key cannot be used", extra={"provider": name})
    for name, secret in opened.secrets.items():
        provider = providers.get(name)
        if provider is not None and not (provider.api_key or provider.aws_key):
            providers[name] = with_api_key(provider, secret)
    if sandbox_wanted(configuration, sealed):
        providers[SANDBOX] = sandbox_provider(data)
    rules = (*stored_rules, *configuration.price_rules)
    book = own_book(shipped, providers.values(), rules)
    logins = {name: it for name, it in login_providers().items() if name not in providers}
    plans = configuration.seat_plans
    return Routed(Routing(providers, configuration.aliases, logins, plans), book)


def own_book(
    shipped: PriceBook, providers: Iterable[Provider], rules: Iterable[PriceRule]
) -> PriceBook:
    """Lay the operator's own prices and rules over a book."""
    cards = {
        provider.name: RateCard.custom(provider.custom_prices)
        for provider in providers
        if provider.custom_prices is not None
    }
    return shipped.with_cards(cards).with_rules(PriceRules(rules))


def sandbox_wanted(configuration: Configuration, sealed: Mapping[str, bytes]) -> bool:
    """Tell whether the sandbox is to be reachable: on, or until there is a real provider."""
    wanted = configuration.settings.sandbox
    return wanted == "on" or (wanted == "auto" and not configuration.providers and not sealed)


def sandbox_provider(data: DataFolder) -> Provider:
    """Give the provider inside the product, behind its own socket."""
    address = f"unix:{data.socket('sandbox')}"
    return Provider(
        name=SANDBOX,
        kind=SANDBOX,
        price_id="",
        root=address,
        bases=dict.fromkeys(KINDS[SANDBOX].dialects, address),
        auth=dict.fromkeys(KINDS[SANDBOX].dialects, AuthStyle.NONE),
        cut_policy=CutPolicy.CANCEL,
        custom_prices=SANDBOX_PRICES,
        models=("echo",),
        login=False,
    )
