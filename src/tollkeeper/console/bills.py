"""What a call cost as bills: one for each entry, its corrections in order, line by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tollkeeper.console import remedies, words
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.money import usd
from tollkeeper.domain.pricing import PriceLine
from tollkeeper.reports import formatting, price_words, zones
from tollkeeper.reports.call import CallDetail, EntryDetail

_DECIMALS_MAX: Final = 12


class CostLine(NamedTuple):
    """``number`` of ``counted``, times ``price`` ``per`` so many, is ``cost``.

    ``note`` says when another quantity's price was applied. ``price`` and ``cost`` are ""
    where nobody knows a price.
    """

    name: str
    number: str
    counted: str
    price: str
    per: str
    cost: str
    cost_full: str
    note: str


@dataclass(frozen=True, slots=True)
class Bill:
    """What one entry of the call cost, and why.

    ``heading`` says which entry this is, ``title`` names the model; ``corrects`` is set for a
    correction of an earlier entry.
    ``replaced`` says which later correction took its place, ``correction`` what one changed,
    and when and why. ``source`` says who published the prices and how sure they are,
    ``stated`` what the provider itself said that it costs.
    ``outdated`` tells that nobody has the prices of then any more: the lines then have none,
    and the booked cost stands.
    """

    heading: str
    title: str
    corrects: str
    lines: tuple[CostLine, ...]
    total: str
    basis: words.Word
    why: str
    what: str
    price_key: str
    price_version: str
    list_cost: str
    saved: str
    outdated: bool
    raw: str
    replaced: str = ""
    correction: str = ""
    source: str = ""
    stated: str = ""


def bills_of(found: CallDetail, zone: ZoneInfo) -> tuple[Bill, ...]:
    """Give what was booked, in order. What takes a booking back is told by what replaces it."""
    back = {
        (each.entry.corrects, each.entry.revision): each.entry
        for each in found.entries
        if each.entry.sign < 0
    }
    bills = []
    for each in found.entries:
        entry = each.entry
        if entry.sign < 0:
            continue
        bill = _bill(each)
        root = entry.corrects or entry.entry_id
        if (root, entry.revision + 1) in back and (entry.revision or not entry.corrects):
            bill = replace(bill, replaced=f"Correction {entry.revision + 1} below takes its place.")
        if entry.revision:
            bill = replace(
                bill, correction=_correction(entry, back.get((root, entry.revision)), zone)
            )
        bills.append(bill)
    return tuple(bills)


def _correction(entry: LedgerEntry, back: LedgerEntry | None, zone: ZoneInfo) -> str:
    """Say what a correction changed: when, why, from which amount and price book."""
    when = ""
    if entry.corrected_at_us is not None:
        when = f"On {zones.local_time(entry.corrected_at_us, zone):%Y-%m-%d %H:%M}: "
    why = price_words.correction(entry.correction)
    was = is_now = "unknown"
    if back is not None and back.cost_nanos is not None:
        was = formatting.money_full(usd(-back.cost_nanos))
    if entry.cost_nanos is not None:
        is_now = formatting.money_full(usd(entry.cost_nanos))
    old = (
        ""
        if back is None or back.price_version == entry.price_version
        else (f", price book {back.price_version or 'none'}")
    )
    return f"{when}{why}. It was {was}{old}, it is {is_now}."


def model_of(entry: LedgerEntry) -> str:
    """Give the model that answered, or the one asked for where none did."""
    return entry.model_served or entry.model_requested


def _bill(detail: EntryDetail) -> Bill:
    entry = detail.entry
    plain = bool(entry.corrects) and not entry.revision
    lines = tuple(_line(line) for line in detail.lines) or tuple(
        CostLine(words.quantity(name), formatting.count_full(count), words.counted(name), *[""] * 5)
        for name, count in detail.quantities.items()
    )
    cost = None if entry.cost_nanos is None else usd(entry.cost_nanos)
    listed = None if entry.list_cost_nanos is None else usd(entry.list_cost_nanos)
    why, what = remedies.unpriced(entry) if cost is None and not plain else ("", "")
    title = " · ".join(filter(None, (entry.provider, model_of(entry))))
    stated = entry.provider_cost_nanos
    total = formatting.money_full(cost)
    list_cost = "" if listed is None or listed == cost else formatting.money_full(listed)
    *costs, total, list_cost = _aligned([*(line.cost for line in lines), total, list_cost])
    lines = tuple(line._replace(cost=text) for line, text in zip(lines, costs, strict=True))
    return Bill(
        heading=_heading(entry, title),
        title=title,
        corrects=entry.corrects if plain else "",
        lines=() if plain else lines,
        total=total,
        basis=words.basis(entry.basis),
        why=why,
        what=what,
        price_key=entry.price_key.partition(" rule=")[0],
        price_version=entry.price_version,
        list_cost=list_cost,
        saved=formatting.money_full(usd(entry.saved_nanos)) if entry.saved_nanos else "",
        outdated=_is_outdated(detail),
        raw=_pretty(entry.usage_raw),
        source=price_words.published(*detail.explanation[1:]),
        stated="" if stated is None else formatting.money_full(usd(stated)),
    )


def _heading(entry: LedgerEntry, title: str) -> str:
    if entry.revision:
        return f"Correction {entry.revision}: {title}"
    if entry.corrects:
        return "Correction"
    if entry.part:
        return f"Attempt {entry.attempt}, further model: {title}"
    return f"Attempt {entry.attempt}: {title}"


def _line(line: PriceLine) -> CostLine:
    full = "" if line.cost is None else f"${line.cost}"
    return CostLine(
        name=words.quantity(line.quantity),
        number=formatting.count_full(line.count),
        counted=words.counted(line.quantity),
        price="" if line.price is None else _price(Decimal(line.price)),
        per=words.per(line.per),
        cost="" if line.cost is None else _exact(Decimal(line.cost)),
        cost_full=full,
        note=f"at the price of {words.quantity(line.priced_as).lower()}"
        if line.priced_as != line.quantity and line.price is not None
        else "",
    )


def _price(price: Decimal) -> str:
    """Write a price as published: ``$3.00``, ``$0.075``."""
    whole, _, fraction = f"{price:f}".partition(".")
    return f"${int(whole):,}.{fraction.rstrip('0'):0<2}"


def _exact(cost: Decimal) -> str:
    """Write the cost of a line with every digit, unless there is no end to them."""
    text = f"{cost:f}"
    whole, _, fraction = text.partition(".")
    if len(fraction) > _DECIMALS_MAX:
        return formatting.money_full(cost)
    return f"${int(whole):,}.{fraction.rstrip('0'):0<2}"


def _aligned(amounts: Sequence[str]) -> list[str]:
    """Give amounts of a column the same number of decimals, as many as the longest has."""
    most = max(len(each.partition(".")[2]) for each in amounts)
    return [
        f"{each}{'0' * (most - len(each.partition('.')[2]))}" if "." in each else each
        for each in amounts
    ]


def _is_outdated(detail: EntryDetail) -> bool:
    """Tell whether a priced entry has no lines, because today's prices are others."""
    entry = detail.entry
    return bool(entry.price_key and entry.list_cost_nanos and not detail.lines) and (
        not entry.corrects
    )


def _pretty(raw: str) -> str:
    """Indent what the provider reported; as it came where it is no JSON."""
    try:
        return json.dumps(json.loads(raw), indent=2, ensure_ascii=False) if raw else ""
    except ValueError:
        return raw
