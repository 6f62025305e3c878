"""What Explore shows of an answer: its rows, each with the addresses behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console import metrics
from tollkeeper.console.charts.share_bar import share_bar
from tollkeeper.console.charts.sparkline import sparkline
from tollkeeper.console.heads import label
from tollkeeper.console.links import Links, value_of
from tollkeeper.reports import formatting
from tollkeeper.reports.comparison import Change
from tollkeeper.reports.explore import Explored, Key, Row
from tollkeeper.reports.measures import Kind, Value, ratio

_NEXT: Final = {"team": "model", "provider": "model", "model": "team", "tool": "model"}
"""What a value is broken down by next, after a click on it; anything else: by model."""


class Name(NamedTuple):
    """One value of a group. ``href`` leads one step further down, "" for none."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table. ``slot`` is its colour, None where the chart does not show it.

    ``value`` and ``before_text`` are written with the precision of their column, ``full`` with all
    that is known.
    ``calls_href`` leads to what the metric counts now, ``before_href`` to that of the period
    before, ``requests_href`` to every call; "" where no address has just these.
    """

    metric: str
    names: tuple[Name, ...]
    slot: int | None
    now: Value
    before: Value
    value: str
    full: str
    before_text: str
    requests: int
    unpriced: int
    share: Decimal | None
    calls_href: str
    requests_href: str
    before_href: str
    trend: tuple[Value, ...] = ()
    is_other: bool = False

    @property
    def before_full(self) -> str:
        """Write what it was in the period before."""
        return metrics.full(self.metric, self.before)

    @property
    def difference(self) -> str:
        """Write by how much it changed."""
        return metrics.difference(self.metric, self.now, self.before)

    @property
    def delta(self) -> formatting.ChangeText:
        """Write the change from the period before."""
        now, before = decimal_of(self.now), decimal_of(self.before)
        return formatting.change(Change(now, before).ratio, now=now, before=before)

    @property
    def spark(self) -> Markup:
        """Draw the trend."""
        return sparkline([decimal_of(value) for value in self.trend])

    @property
    def bar(self) -> Markup:
        """Draw the share."""
        return share_bar(self.share)


class Addresses(NamedTuple):
    """Links to the calls that a metric counts, now and before, and to every call."""

    now: Links
    before: Links
    every: Links


def addresses_of(found: Explored, links: Links) -> Addresses:
    """Give the links for everything: to errors alone where errors are counted."""
    only = metrics.only(found.question.metric)
    calls = links
    if only is not None and all(each.dimension != only.dimension for each in links.filters):
        calls = links.narrowed(only.dimension, *only.values)
    return Addresses(calls, calls.within(found.comparison.previous), links)


def name_of(found: Explored, row: Row) -> str:
    """Name a row in one line."""
    parts = zip(_dims(found), row.keys, row.names, strict=True)
    return " · ".join(group_text(dimension, key, name) for dimension, key, name in parts)


def group_text(dimension: str, key: Key, name: str) -> str:
    """Give what people read for a group. Many keys have the same name: each has its id besides."""
    text = label(dimension, name, {})
    return f"{text} ({key})" if dimension == "key" and key and name not in ("", key) else text


def lines_of(
    found: Explored, links: Links, slots: Sequence[int], lowest: str
) -> tuple[tuple[Line, ...], Line]:
    """Give the rows with the rest of them, and the line of the totals.

    ``lowest`` names what there is one of among the groups: "teams", "models".
    """
    at = addresses_of(found, links)
    rows = [*found.rows, *([found.other] if found.other else []), found.total]
    values = [_shown(found, row) for row in rows] + [_shown_before(found, row) for row in rows]
    column = metrics.column(found.question.metric, values)
    texts = list(zip(column[: len(rows)], column[len(rows) :], strict=True))
    lines = []
    for place, row in enumerate(found.rows):
        here = narrowed(at, _dims(found), row.keys)
        slot = slots[place] if place < len(slots) and row.by_step else None
        line = _line(found, row, texts[place], here)
        lines.append(replace(line, names=_names(found, row, links), slot=slot))
    if found.other:
        count = found.groups - len(found.rows)
        other = _line(found, found.other, texts[-2], None)
        text = f"{formatting.count_full(count)} other {lowest}"
        lines.append(replace(other, names=(Name(text, ""),), is_other=True))
    return tuple(lines), replace(_line(found, found.total, texts[-1], at), share=None)


def narrowed(at: Addresses, dimensions: Sequence[str], keys: Sequence[Key]) -> Addresses:
    """Give links to one group alone."""
    found = []
    for links in at:
        for dimension, key in zip(dimensions, keys, strict=True):
            links = links.narrowed(dimension, value_of(key))
        found.append(links)
    return Addresses(*found)


def _line(found: Explored, row: Row, texts: tuple[str, str], at: Addresses | None) -> Line:
    metric, adds_up = found.question.metric, found.question.adds_up
    of_money = found.question.kind in {Kind.MONEY, Kind.MONEY_RATIO}
    total = found.total.now
    return Line(
        metric=metric,
        names=(),
        slot=None,
        now=_shown(found, row),
        before=_shown_before(found, row),
        value=texts[0],
        full=metrics.full(metric, _shown(found, row)),
        before_text=texts[1],
        requests=row.requests,
        unpriced=row.unpriced if of_money else 0,
        share=ratio(_shown(found, row), decimal_of(total))
        if adds_up and total and total > 0
        else None,
        calls_href=at.now.calls() if at else "",
        requests_href=at.every.calls() if at else "",
        before_href=at.before.calls() if at else "",
        trend=_complete(found, row.by_step),
    )


def _shown(found: Explored, row: Row) -> Value:
    """Give what may be shown: nothing known beside unpriced calls is unknown, not $0."""
    if found.question.kind is Kind.MONEY and row.unpriced and not row.now:
        return None
    return row.now


def _shown_before(found: Explored, row: Row) -> Value:
    if found.question.kind is Kind.MONEY and row.unpriced_before and not row.before:
        return None
    return row.before


def _complete(found: Explored, by_step: tuple[Value, ...]) -> tuple[Value, ...]:
    return by_step if found.running is None else by_step[: found.running]


def _names(found: Explored, row: Row, links: Links) -> tuple[Name, ...]:
    """Name a row's groups; a click keeps the others, or goes on to the usual next one."""
    group_by = found.question.group_by
    names = []
    for dimension, key, name in zip(group_by, row.keys, row.names, strict=True):
        left = [each for each in group_by if each != dimension] or [_NEXT.get(dimension, "model")]
        deeper = links.narrowed(dimension, value_of(key)).explore(group_by=",".join(left))
        names.append(Name(group_text(dimension, key, name), deeper))
    return tuple(names)


def _dims(found: Explored) -> tuple[str, ...]:
    return found.question.group_by


def decimal_of(value: Value) -> Decimal | None:
    """Give a value as a Decimal; what is unknown stays so."""
    return None if value is None else Decimal(value)
