"""The check of the price book: which version is in force, and whether it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from tollkeeper.bootstrap.checks import Check, Place, fail, ok
from tollkeeper.providers.price_data import known_versions, newest_price_book, shipped_price_book

_NAME: Final = "price book"
_REMEDY: Final = (
    "calls are priced by the book of this release meanwhile; fetch again: tollkeeper prices refresh"
)


def price_book(place: Place) -> Iterator[Check]:
    """Look whether the price book in force is the one that it should be, and whole."""
    newest = newest_price_book(place.data)
    if newest.fault:
        yield fail(_NAME, newest.fault, _REMEDY)
        return
    try:
        models = sum(len(newest.book.models(provider)) for provider in newest.book.providers())
    except (msgspec.MsgspecError, ValueError) as error:
        yield fail(_NAME, f"{newest.book.version} cannot be read: {error}", _REMEDY)
        return
    is_own = newest.book.version == shipped_price_book().version
    of_whom = "of this release" if is_own else "fetched"
    count = len(known_versions(place.data))
    yield ok(
        _NAME,
        f"{newest.book.version}, {of_whom}: {models:,} models; {count} versions are kept",
    )
