"""Which cheaper model of the same provider stands beside a model, by the price book.

Names are the only thing that says what belongs together: models whose names differ by nothing
but a word for their size, or a date, are sizes of one model. Where there is none, a cheaper
model of the same family counts that is in use already. Nothing here says that it is as good.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.pricing import PriceBook

SIZES: Final = frozenset(
    {
        *("opus", "sonnet", "haiku", "pro", "flash", "lite", "mini", "nano", "micro", "tiny"),
        *("small", "medium", "large", "max", "plus", "turbo", "ultra", "premier"),
    }
)
"""Words of names that say how large a model is."""

CHEAPER: Final = 2
"""A sibling costs at most so much less: one part in so many, for input and output alike."""

_DAY_US: Final = 86_400_000_000
_REMEMBERED: Final = 2_048
_NO_DIFFERENCE: Final = frozenset({"preview", "latest"})
_DATE: Final = re.compile(r"[-@]?\b(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{6})\b")
_FAMILY: Final = re.compile(r"[a-z]+")


class Sibling(NamedTuple):
    """A cheaper model. ``in_use`` tells that it is called already."""

    model: str
    in_use: bool


class _Prices(NamedTuple):
    model: str
    input: Decimal
    output: Decimal


def cheaper_sibling(
    book: PriceBook, provider: str, model: str, at_us: int, used: Collection[str]
) -> Sibling | None:
    """Find the dearest model that costs at most half, one in use before any other.

    ``provider`` is the book's, ``used`` are the names of models that are called there.
    """
    day = at_us // _DAY_US
    own = _prices(book, provider, model, day)
    if own is None:
        return None
    sizes = _cheaper(book, provider, _of_same_name(book, provider, own.model), own, day)
    in_use = {each.model for each in _listed(book, provider, used, day)}
    for found in ([it for it in sizes if it.model in in_use], sizes):
        if found:
            best = max(found, key=lambda it: (it.output, it.input, it.model))
            return Sibling(best.model, best.model in in_use)
    family = _family(own.model)
    others = _cheaper(
        book, provider, (name for name in in_use if family and _family(name) == family), own, day
    )
    if not others:
        return None
    return Sibling(max(others, key=lambda it: (it.output, it.input, it.model)).model, in_use=True)


@lru_cache(_REMEMBERED)
def bare_name(model: str) -> tuple[str, ...]:
    """Give the words of a name that say which model it is, whatever its size and date."""
    words = _DATE.sub("", model.lower()).split("-")
    return tuple(word for word in words if word and word not in SIZES | _NO_DIFFERENCE)


def _family(model: str) -> str:
    found = _FAMILY.match(model.lower().rpartition("/")[2])
    return found[0] if found else ""


def _of_same_name(book: PriceBook, provider: str, model: str) -> Iterable[str]:
    name = bare_name(model)
    return [each for each in book.models(provider) if bare_name(each) == name and each != model]


def _cheaper(
    book: PriceBook, provider: str, names: Iterable[str], own: _Prices, day: int
) -> list[_Prices]:
    return [
        each
        for each in _listed(book, provider, names, day)
        if 0 < each.input * CHEAPER <= own.input and 0 < each.output * CHEAPER <= own.output
    ]


def _listed(book: PriceBook, provider: str, names: Iterable[str], day: int) -> list[_Prices]:
    found = (_prices(book, provider, name, day) for name in names)
    return [each for each in found if each is not None]


@lru_cache(_REMEMBERED)
def _prices(book: PriceBook, provider: str, model: str, day: int) -> _Prices | None:
    """Give the ordinary prices of text; None for a model that is gone or priced otherwise."""
    shown = book.show(provider, model, day * _DAY_US)
    if shown is None or shown.gone or not shown.model or not shown.rows:
        return None
    prices = shown.rows[0].prices
    if u.INPUT not in prices or u.OUTPUT not in prices:
        return None
    return _Prices(shown.model, Decimal(prices[u.INPUT][0]), Decimal(prices[u.OUTPUT][0]))
