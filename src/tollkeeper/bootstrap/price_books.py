"""The price book that a configuration makes: the newest there is, and the operator's own."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tollkeeper import bootstrap
from tollkeeper.bootstrap.routing import SANDBOX, own_book, sandbox_provider
from tollkeeper.config import Configuration
from tollkeeper.domain.errors import Refused
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.routing import Dialect, RouteTable
from tollkeeper.ports import DataFolder
from tollkeeper.providers.price_data import newest_price_book, price_book_version
from tollkeeper.providers.price_versions import DamagedBook
from tollkeeper.services.price_terms import Terms
from tollkeeper.storage.store.store_address import store_of
from tollkeeper.storage.store.stored_rules import stored_rules
from tollkeeper.telemetry import logger

_CLOSE_MAX: Final = 5
_CLOSE_ENOUGH: Final = 0.6


def configured_book(configuration: Configuration, data: DataFolder) -> PriceBook:
    """Give the book that the gateway prices by, with the same version.

    Only the prices of the configuration matter here, so no provider's key is opened.
    """
    return configured_terms(configuration, data).book


def configured_terms(configuration: Configuration, data: DataFolder) -> Terms:
    """Give all that decides prices now: that book, and where each account stands in it."""
    providers = [*configuration.providers.values()]
    if bootstrap.wants_sandbox(configuration, data):
        providers.append(sandbox_provider(data))
    book = own_book(
        newest_price_book(data).book,
        providers,
        (*stored_rules(store_of(data)), *configuration.price_rules),
    )
    accounts = {
        provider.name: provider.price_id if provider.custom_prices is None else provider.name
        for provider in providers
    }
    return Terms(book, accounts, configuration.seat_plans, configuration.price_rules)


def former_book(data: DataFolder, version: str) -> PriceBook | None:
    """Give the book of a version that priced calls, without the operator's own prices.

    None where nobody has it any more, or its file was changed.
    """
    try:
        return price_book_version(version, data)
    except (DamagedBook, msgspec.MsgspecError, OSError) as error:
        logger.warning("an old price book cannot be read", extra={"reason": str(error)})
        return None


class PricePlace(NamedTuple):
    """Where the price of a model stands: the book's provider, and the model's name there.

    ``provider`` is the operator's word for who serves it.
    """

    provider: str
    price_provider: str
    model: str


def price_places(model: str, configuration: Configuration, book: PriceBook) -> list[PricePlace]:
    """Say where a call for this model would go, and where its price stands.

    As the gateway does it: aliases first, then ``provider/model``, then who makes a model of
    this name. A provider that is not configured is looked up in the book by its name there.
    """
    providers = {**configuration.providers, SANDBOX: sandbox_provider(DataFolder(Path()))}
    table = RouteTable(providers, configuration.aliases, book.owner_of)
    targets: dict[tuple[str, str], PricePlace] = {}
    for dialect in Dialect:
        with suppress(Refused):
            for provider, name in (
                (found.provider, found.model) for found in table.targets(model, dialect)
            ):
                own = provider.custom_prices is not None
                place = PricePlace(provider.name, provider.name if own else provider.price_id, name)
                targets.setdefault((provider.name, name), place)
    if targets:
        return list(targets.values())
    name, slash, rest = model.partition("/")
    if slash and rest and book.models(name):
        return [PricePlace(name, name, rest)]
    owner = book.owner_of(model)
    return [PricePlace(owner, owner, model)] if owner else []


def close_names(model: str, book: PriceBook) -> list[str]:
    """Give names of priced models that look like one that is not known, the closest first."""
    name, slash, rest = model.partition("/")
    if slash and book.models(name):
        near = get_close_matches(rest, book.models(name), _CLOSE_MAX, _CLOSE_ENOUGH)
        return [f"{name}/{found}" for found in near]
    known = {found for provider in book.providers() for found in book.models(provider)}
    return get_close_matches(model, sorted(known), _CLOSE_MAX, _CLOSE_ENOUGH)
