"""Corrections: how an entry is priced anew when entries are only ever added.

What a price depends on is read back from an entry, whoever wrote it. A correction is a pair:
one entry takes back all that the entry had booked, the other books it anew. Both keep the
call's time, names and tags, so that every sum of any group comes out right, and counts stay
what they were. Their ids follow from the corrected entry's, so a correction that is written
twice is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tollkeeper.domain.calls import Part
from tollkeeper.domain.ledger import TOKEN_FIELDS, Basis, LedgerEntry, Outcome
from tollkeeper.domain.usage import Usage

CUSTOM: Final = "custom"
"""How the key of an operator's own price begins."""

_BATCH: Final = "batch"
_INCONSISTENT: Final = "inconsistent_usage:"


class PriceInputs(NamedTuple):
    """What an entry's price depends on besides its time.

    ``provider`` and ``model`` are the names that the price is looked up by. ``stated`` tells
    that the provider itself said what was used.
    """

    provider: str
    model: str
    usage: Usage
    stated: bool


def price_inputs(entry: LedgerEntry) -> PriceInputs | None:
    """Read back what an entry was priced by; None where no price was asked for.

    That is so for refusals, errors and free endpoints, and for usage that is not known or
    contradicts itself: no price book changes what these cost.
    """
    if not entry.price_key or entry.sign < 0 or (entry.corrects and not entry.revision):
        return None
    model = entry.model_served or entry.model_requested
    if not entry.price_provider:
        return _of_a_former_version(entry, model)
    usage = Usage(
        _quantities(entry),
        model,
        entry.tier_served,
        entry.speed,
        entry.geo,
        entry.batch,
        fault=_fault(entry),
        provider_cost_nanos=entry.provider_cost_nanos,
        terms=entry.terms,
        provider_list_nanos=entry.provider_list_nanos,
    )
    return PriceInputs(entry.price_provider, model, usage, entry.stated)


def _of_a_former_version(entry: LedgerEntry, model: str) -> PriceInputs:
    """Read an entry whose price's conditions stand in its key only: ``a/b rule=c tier=d``."""
    place, *words = entry.price_key.split(" ")
    conditions = dict(_pairs(words))
    tier = conditions.get("tier", "")
    batch, _, other = tier.partition("+")
    usage = Usage(
        _quantities(entry),
        model,
        other if batch == _BATCH else tier,
        conditions.get("speed", ""),
        conditions.get("geo", ""),
        batch == _BATCH,
        fault=_fault(entry),
        provider_cost_nanos=entry.cost_nanos if entry.basis == Basis.PROVIDER_REPORTED else None,
    )
    provider = entry.provider if place == CUSTOM else place.partition("/")[0]
    # Which of the unpriced ones were counted here is not written down: those that did not
    # come to their end may have been.
    counted_here = entry.basis == Basis.ESTIMATED or (
        entry.basis == Basis.UNPRICED and entry.outcome != Outcome.OK
    )
    return PriceInputs(provider, model, usage, not counted_here)


def _fault(entry: LedgerEntry) -> str:
    """Give what was wrong with the usage itself, "" if nothing was."""
    reason = entry.unpriced_reason
    return reason.removeprefix(_INCONSISTENT) if reason.startswith(_INCONSISTENT) else ""


def _quantities(entry: LedgerEntry) -> dict[str, int]:
    found = {name: getattr(entry, field) for field, name in TOKEN_FIELDS} | dict(entry.units)
    return {name: count for name, count in found.items() if count}


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, sign, value = word.partition("=")
        if sign:
            yield name, value


class Booking(NamedTuple):
    """An entry of a call, and how it stands now: as it is, or as it was last booked anew."""

    entry: LedgerEntry
    standing: LedgerEntry


def bookings_of(entries: Sequence[LedgerEntry]) -> list[Booking]:
    """Put the entries of some calls together with their last corrections, in their order."""
    standing: dict[str, LedgerEntry] = {}
    for entry in entries:
        if entry.corrects and entry.revision and entry.sign > 0:
            known = standing.get(entry.corrects)
            if known is None or known.revision < entry.revision:
                standing[entry.corrects] = entry
    return [
        Booking(entry, standing.get(entry.entry_id, entry))
        for entry in entries
        if not entry.corrects
    ]


def differs(before: LedgerEntry, part: Part) -> bool:
    """Tell whether a price that was found anew changes anything that was booked."""
    return (before.cost_nanos, before.list_cost_nanos, before.saved_nanos, before.basis) != (
        part.cost_nanos,
        part.list_cost_nanos,
        part.saved_nanos,
        part.basis,
    )


def forgets(before: LedgerEntry, part: Part) -> bool:
    """Tell whether an amount that is known would become unknown: no correction does that."""
    return (before.cost_nanos is not None and part.cost_nanos is None) or (
        before.list_cost_nanos is not None and part.list_cost_nanos is None
    )


def why(before: LedgerEntry, part: Part) -> str:
    """Say in one word why the price is another one now."""
    was_own, is_own = (key.startswith(CUSTOM) for key in (before.price_key, part.price_key))
    if before.cost_nanos is None and part.cost_nanos is not None:
        return "own_price_set" if is_own else "price_known_now"
    if is_own != was_own:
        return "own_price_set" if is_own else "own_price_removed"
    if is_own:
        return "own_price_changed"
    if _terms(before.price_key) != _terms(part.price_key):
        return "other_terms"
    return "price_changed"


def _terms(key: str) -> dict[str, str]:
    """Give what decided a price, without how and since when it was found."""
    return {name: word for name, word in _pairs(key.split(" ")) if name not in {"rule", "since"}}


def correction(
    booking: Booking, part: Part, price_version: str, at_us: int
) -> tuple[LedgerEntry, LedgerEntry]:
    """Make the pair that books an entry anew. ``at_us`` is when."""
    entry, before = booking
    revision = before.revision + 1
    common = before._replace(
        corrects=entry.entry_id,
        revision=revision,
        usage_raw="",  # stands on the entry itself
        corrected_at_us=at_us,
        correction=why(before, part),
    )
    back = common._replace(
        entry_id=f"{entry.entry_id}~{revision}-",
        sign=-1,
        cost_nanos=_negative(before.cost_nanos),
        list_cost_nanos=_negative(before.list_cost_nanos),
        saved_nanos=_negative(before.saved_nanos),
        provider_cost_nanos=_negative(before.provider_cost_nanos),
        provider_list_nanos=_negative(before.provider_list_nanos),
        held_nanos=_negative(before.held_nanos),
        units={name: -count for name, count in before.units.items()},
        **{field: -getattr(before, field) for field, _ in TOKEN_FIELDS},
    )
    anew = common._replace(
        entry_id=f"{entry.entry_id}~{revision}+",
        sign=1,
        basis=part.basis,
        unpriced_reason=part.reason,
        cost_nanos=part.cost_nanos,
        list_cost_nanos=part.list_cost_nanos,
        saved_nanos=part.saved_nanos,
        price_version=price_version,
        price_key=part.price_key,
        held_nanos=before.held_nanos if part.cost_nanos is None else None,
    )
    return back, anew


def _negative(nanos: int | None) -> int | None:
    return None if nanos is None else -nanos
