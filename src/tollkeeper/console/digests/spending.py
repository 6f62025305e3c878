"""The sections of a digest about what was spent: the week, its days, its parts, what moved."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tollkeeper.console import words
from tollkeeper.console.charts.bar_picture import SWATCH, TALL, WIDTH, bar_picture, swatch
from tollkeeper.console.charts.stacked_bars import Series
from tollkeeper.console.colours import OTHER, ColourBook
from tollkeeper.console.digests.content import (
    Cell,
    Chart,
    Link,
    Places,
    Row,
    Section,
    Tone,
    arrow,
    called,
    tone_of,
)
from tollkeeper.console.figures import measures_of
from tollkeeper.console.links import value_of
from tollkeeper.domain.digests import Week
from tollkeeper.domain.mails import Picture
from tollkeeper.reports import formatting
from tollkeeper.reports.comparison import Comparison
from tollkeeper.reports.overview import SERIES, Overview, Part

PARTS_SHOWN: Final = 10
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_OTHERS: Final = "All others"

Amount = Decimal | None


def week_section(compared: Comparison, places: Places) -> Section:
    """Compare the week with the one before, measure by measure."""
    change = compared.change
    spent = formatting.change(change.ratio, now=change.now, before=change.before)
    rows = [
        Row(
            (
                Cell("Spent", places.at(places.links.calls())),
                Cell(formatting.money_tile(change.now)),
                Cell(formatting.money_tile(change.before), places.at(places.before.calls())),
                Cell(arrow(spent), tone=tone_of(spent.direction, True)),
            )
        )
    ]
    rows += [
        Row(
            (
                Cell(
                    each.name + (f" ({each.detail})" if each.detail else ""), places.at(each.href)
                ),
                Cell(each.text),
                Cell(each.before_text),
                Cell(arrow(each.delta), tone=tone_of(each.delta.direction, each.more_is_worse)),
            )
        )
        for each in measures_of(compared, places.links)
    ]
    return Section(
        "The week",
        ("", "This week", "Week before", "Change"),
        tuple(rows),
        note="Estimated is what was counted here, because the provider could not say what was "
        "used. Unpriced calls have no known cost: it is missing in every sum, and not $0.",
        whole=True,
    )


def by_day_section(
    found: Overview, week: Week, colours: ColourBook, places: Places
) -> tuple[Section, tuple[Picture, ...]]:
    """Draw what each day cost by the largest parts, above a table of the same amounts."""
    dimension = found.question.dimension
    labels = labels_of(found, found.parts[:SERIES])
    slots = list(
        colours.places(
            dimension,
            [part.name or words.dimension(dimension).none for part in found.parts[:SERIES]],
        )
    )
    values = [part.by_day for part in found.parts[:SERIES]]
    if found.other is not None:
        labels, slots = [*labels, _OTHERS], [*slots, OTHER]
        values.append(found.other.by_day)
    totals = [_total([each[day] for each in values]) for day in range(len(found.days))]
    drawn = bar_picture(
        [Series(slot, each) for slot, each in zip(slots, values, strict=True)], len(found.days)
    )
    mark = f"{week.name}.{dimension}@digest".lower()
    texts = formatting.money_column([*(it for each in values for it in each), *totals])
    width = len(found.days)
    rows = [
        Row(
            (
                Cell(label),
                *(Cell(text) for text in texts[index * width : (index + 1) * width]),
            ),
            swatch=f"colour.{slot}.{mark}",
        )
        for index, (label, slot) in enumerate(zip(labels, slots, strict=True))
    ]
    rows.append(Row((Cell("All"), *map(Cell, texts[-width:])), is_total=True))
    names = tuple(f"{_DAYS[day.weekday()]} {day.day}" for day in found.days)
    day_totals = ", ".join(
        f"{name} {text}" for name, text in zip(names, texts[-width:], strict=True)
    )
    name = words.dimension(dimension).name.lower()
    picture = Picture(
        f"days.{mark}", f"Spent by day and {name}: {day_totals}", drawn.png, WIDTH, TALL
    )
    swatches = tuple(
        Picture(f"colour.{slot}.{mark}", "", swatch(slot), SWATCH, SWATCH) for slot in slots
    )
    section = Section(
        f"By day and {name}",
        ("", *names),
        tuple(rows),
        chart=Chart(picture, formatting.money_axis(drawn.top), names),
        link=Link("Open this week", places.at(places.links.overview(dimension))),
    )
    return section, (picture, *swatches)


def parts_section(found: Overview, places: Places) -> Section:
    """List the dearest models or teams, each beside the week before."""
    dimension = found.question.dimension
    parts = found.parts[:PARTS_SHOWN]
    amounts = [formatting.known_money(it.change.now, it.unpriced) for it in parts]
    now = formatting.money_column(amounts)
    before = formatting.money_column([it.change.before for it in parts])
    rows = [
        Row(
            (
                Cell(label, places.at(_calls(places, dimension, part))),
                Cell(now[index]),
                Cell(before[index]),
                _changed(part),
                Cell(formatting.share(part.share)),
                Cell(formatting.count(part.requests)),
                Cell(formatting.money_exact(_per_request(part))),
            )
        )
        for index, (label, part) in enumerate(zip(labels_of(found, parts), parts, strict=True))
    ]
    more = len(found.parts) - len(parts)
    several = words.dimension(dimension).several
    return Section(
        several.capitalize(),
        ("", "Spent", "Week before", "Change", "Share", "Requests", "Each"),
        tuple(rows),
        nothing="Nothing was called.",
        note=f"{more:,} more {several} are on the page." if more else "",
        link=Link(f"All {several}", places.at(places.links.overview(dimension))),
    )


def movers_section(found: Overview, places: Places) -> Section:
    """List what rose or fell most, by its amount."""
    dimension = found.question.dimension
    several = words.dimension(dimension).several
    rows = [
        Row(
            (
                Cell(label, places.at(_calls(places, dimension, part))),
                Cell(formatting.money(part.change.before)),
                Cell(formatting.money(part.change.now)),
                Cell(_signed(part.change.amount), tone=_worse(part.change.amount)),
            )
        )
        for label, part in zip(labels_of(found, found.movers), found.movers, strict=True)
    ]
    return Section(
        f"What moved most: {several}",
        ("", "Week before", "This week", "Difference"),
        tuple(rows),
        nothing="Nothing rose or fell.",
    )


def labels_of(found: Overview, parts: Sequence[Part]) -> list[str]:
    """Name parts as people read them."""
    none = words.dimension(found.question.dimension).none
    return [called(part.name, none) for part in parts]


def _calls(places: Places, dimension: str, part: Part) -> str:
    return places.links.narrowed(dimension, value_of(part.key)).calls()


def _changed(part: Part) -> Cell:
    change = part.change
    found = formatting.change(change.ratio, now=change.now, before=change.before)
    return Cell(arrow(found), tone=tone_of(found.direction, True))


def _per_request(part: Part) -> Amount:
    cost = formatting.known_money(part.change.now, part.unpriced)
    return None if cost is None or not part.requests else cost / part.requests


def _signed(amount: Amount) -> str:
    sign = "+" if amount is not None and amount > 0 else ""
    return sign + formatting.money(amount)


def _worse(amount: Amount) -> Tone:
    return "" if not amount else "bad" if amount > 0 else "good"


def _total(amounts: Sequence[Amount]) -> Amount:
    """Add up what is known; None where nothing is, though something was called."""
    known = [amount for amount in amounts if amount is not None]
    if not known:
        return None if amounts else Decimal(0)
    return sum(known, Decimal(0))
