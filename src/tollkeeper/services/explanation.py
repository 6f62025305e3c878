"""Price lines of an entry: which quantity cost what, by the book that it was priced with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Final

from tollkeeper.domain.corrections import CUSTOM, PriceInputs, price_inputs
from tollkeeper.domain.explanation import UNEXPLAINED, Explanation
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.money import PRICE_UNITS_PER_USD, nanos_of_price_units
from tollkeeper.domain.price_rules import base_of
from tollkeeper.domain.price_table import FIRST_SOURCE, Standing
from tollkeeper.domain.pricing import PriceBook, PriceLine

OWN_PRICES: Final = "own prices"
_LEAST_SURE_FIRST: Final = (Standing.DISPUTED, Standing.SINGLE, Standing.AGREED)


def explanation_of(
    entry: LedgerEntry, current: PriceBook, former: Callable[[str], PriceBook | None]
) -> Explanation:
    """Explain an entry by the book that priced it; ``former`` gives the book of a version.

    An operator's own prices of then are not kept: those of now are tried. A book has to come
    to the amount that the entry has: where none does, there are no lines rather than wrong
    ones.
    """
    for book in _books(entry, current, former):
        lines = explain(entry, book)
        if lines:
            return Explanation(lines, *_witness(entry, lines, book))
    return UNEXPLAINED


def _books(
    entry: LedgerEntry, current: PriceBook, former: Callable[[str], PriceBook | None]
) -> Iterator[PriceBook]:
    if entry.price_version == current.version:
        yield current
        return
    then = former(entry.price_version)
    if then is not None:
        yield then.under_terms_of(current)
        yield then
    yield current


def explain(entry: LedgerEntry, book: PriceBook) -> Sequence[PriceLine]:
    """Say line by line how an entry was priced, if the book comes to the price that it has.

    An entry without a price keeps its lines while they show what no price is known for.
    """
    inputs = price_inputs(entry)
    if inputs is None:
        return ()
    for place in dict.fromkeys((inputs.provider, base_of(inputs.provider))):
        lines = book.explain(place, inputs.model, inputs.usage, entry.started_at_us)
        if _total_nanos(lines) in {entry.list_cost_nanos, entry.cost_nanos}:
            return lines
    return ()


def _witness(
    entry: LedgerEntry, lines: Sequence[PriceLine], book: PriceBook
) -> tuple[str, Standing | str]:
    """Say who published the prices of some lines, and how sure the least sure of them is."""
    if entry.price_key.startswith(CUSTOM):
        return OWN_PRICES, ""
    inputs = price_inputs(entry)
    if inputs is None:
        return "", ""
    listed = book.show(base_of(inputs.provider), inputs.model, entry.started_at_us)
    if listed is None:
        return "", ""
    conditions = {"", _condition(inputs)}
    prompt = inputs.usage.prompt_tokens()
    said: dict[str, Standing] = {}
    for row in listed.rows:
        if row.condition in conditions and row.above_tokens <= prompt:
            said |= {name: each.standing for name, each in row.said.items()}
    found = {said[line.priced_as] for line in lines if line.priced_as in said}
    standing = next((each for each in _LEAST_SURE_FIRST if each in found), "")
    return listed.said_by or FIRST_SOURCE, standing


def _condition(inputs: PriceInputs) -> str:
    usage = inputs.usage
    tier = "batch" if usage.batch else usage.tier
    words = {"tier": tier, "speed": usage.speed, "geo": usage.geo}
    return " ".join(f"{name}={word}" for name, word in words.items() if word)


def _total_nanos(lines: Sequence[PriceLine]) -> int | None:
    """Add the lines up, exactly, and round once; None where one has no price."""
    total = Fraction(0)
    for line in lines:
        if line.price is None:
            return None
        total += Fraction(line.price) * line.count / line.per
    return nanos_of_price_units(round(total * PRICE_UNITS_PER_USD))
