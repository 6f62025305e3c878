"""Axes as SVG text: placed in percent, so that it stays crisp while the chart stretches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from tollkeeper.reports import formatting

_MONTHS_SHOWN_MAX: Final = 13
_SHORT_CHARS: Final = 6
"""Amounts of so many characters fit beside a chart; longer ones, of tiny sums, need more room."""
_WIDE: Final = Markup('class="wide" ')  # CSS leaves these out where there is little room


class DayLabel(NamedTuple):
    """A label under the day at this place. ``wide`` ones are shown only where there is room."""

    place: int
    text: str
    wide: bool = False


def money_axis(axis: Sequence[Decimal]) -> Markup:
    """Write the amounts of an axis from the top down, each at the height of its grid line."""
    return value_axis([formatting.money_axis(amount) for amount in axis])


def value_axis(amounts: Sequence[str]) -> Markup:
    """Write values in words from the top down, at equal distances."""
    last = max(1, len(amounts) - 1)
    texts = "".join(
        f'<text x="100%" y="{100 * index // last}%">{amount}</text>'
        for index, amount in enumerate(amounts)
    )
    kind = "yaxis long" if max(map(len, amounts), default=0) > _SHORT_CHARS else "yaxis"
    return Markup(  # noqa: S704 - numbers as the product writes them
        f'<svg class="{kind}" aria-hidden="true" focusable="false">{texts}</svg>'
    )


def day_axis(days: Sequence[date]) -> Markup:
    """Write some of the days, each under the middle of its bar."""
    return step_axis(day_labels(days), len(days))


def step_axis(labels: Sequence[DayLabel], count: int) -> Markup:
    """Write some labels under the middle of their bars, of ``count`` bars in all."""
    texts = Markup().join(
        Markup('<text {}x="{}.{:02d}%" y="14">{}</text>').format(
            _WIDE if label.wide else "",
            *divmod((2 * label.place + 1) * 5_000 // count, 100),
            escape(label.text),
        )
        for label in labels
    )
    return Markup('<svg class="xaxis" aria-hidden="true" focusable="false">{}</svg>').format(texts)


def day_labels(days: Sequence[date]) -> tuple[DayLabel, ...]:
    """Choose the days to label: all of few, else steps of weeks back from the last, else months."""
    count = len(days)
    if count <= 10:
        return tuple(
            DayLabel(index, formatting.day(day), wide=count > 7 and (count - index) % 2 == 0)
            for index, day in enumerate(days)
        )
    if count <= 120:
        step = 7 if count <= 45 else 14
        chosen = range((count - 1) % step, count, step)
        return tuple(
            DayLabel(index, formatting.day(days[index]), wide=(count - 1 - index) // step % 2 == 1)
            for index in chosen
        )
    firsts = [index for index, day in enumerate(days) if day.day == 1]
    step = -(-len(firsts) // _MONTHS_SHOWN_MAX)
    return tuple(
        DayLabel(index, _month(days[index]), wide=number % 3 != 0)
        for number, index in enumerate(firsts[::step])
    )


def _month(day: date) -> str:
    """Write a month: ``Nov``, and ``Jan 2027`` where a year begins."""
    name = formatting.day(day).partition(" ")[0]
    return f"{name} {day.year}" if day.month == 1 else name
