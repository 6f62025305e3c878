"""What a ledger entry says of its call, in the words that the tests compare it in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tollkeeper.domain.ledger import TOKEN_FIELDS, LedgerEntry


def quantities_of(entry: LedgerEntry) -> dict[str, int]:
    """Give the exclusive quantities of an entry, tokens and units, without zeros."""
    tokens = {name: getattr(entry, field) for field, name in TOKEN_FIELDS}
    return {name: count for name, count in tokens.items() if count} | dict(entry.units)


def by_call(entries: Iterable[LedgerEntry]) -> Mapping[str, list[LedgerEntry]]:
    """Give the entries of each call, by its id."""
    found: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        found.setdefault(entry.call_id, []).append(entry)
    return found


def is_near(estimated: int, billed: int) -> bool:
    """Tell whether an estimate is of the right size, and 0 for nothing only.

    The sandbox bills a token for four bytes; an estimate counts what a model would.
    """
    if not billed:
        return not estimated
    return billed * 0.5 <= estimated <= billed * 1.6 + 4
