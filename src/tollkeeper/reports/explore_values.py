"""What Explore answers with: rows, their keys and values; what is unknown stays so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tollkeeper.reports.comparison import Comparison
from tollkeeper.reports.dimensions import NAMES
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.measures import MEASURES, Kind, Value, added, completed, known, less
from tollkeeper.reports.period import Period
from tollkeeper.reports.steps import Step

Key = str | int | bool | None

TOKENS: Final = tuple(name for name in MEASURES if name.endswith("_tokens"))
"""The measures that count tokens of one kind."""


@dataclass(frozen=True, slots=True)
class Row:
    """One group, or several together (``keys`` is empty then).

    ``keys`` belong to ``group_by``: what a filter takes, None where a tag is absent. ``names`` are
    what people read. ``now`` and ``before`` are the metric's values in both periods: None where
    unknown, 0 where there was nothing to count. ``requests`` and ``unpriced`` are of now.
    ``by_step`` has a value for each step, for the rows that the chart shows.
    """

    keys: tuple[Key, ...]
    names: tuple[str, ...]
    now: Value
    before: Value
    requests: int
    unpriced: int
    unpriced_before: int = 0
    by_step: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Explored:
    """The answer. ``comparison`` has the sums of everything selected, whatever the metric.

    ``rows`` are the first groups in order, ``other`` all further ones together (None when there
    are none), ``groups`` counts all of them. The rows that come first have ``by_step``, and so has
    ``rest_by_step`` what is not in one of these; ``total_by_step`` is of everything. ``running``
    is the index of the step that is not over yet. ``flows`` are the rows of a sankey, more of
    them than ``rows``. ``heat`` has the value of each weekday (1 is Monday) and hour (0 to 23).
    ``kinds`` has tokens by kind, now and before, where the metric counts tokens.
    """

    question: ExploreQuestion
    comparison: Comparison
    total: Row
    rows: tuple[Row, ...]
    other: Row | None
    groups: int
    steps: tuple[Step, ...]
    running: int | None
    rest_by_step: tuple[Value, ...]
    total_by_step: tuple[Value, ...]
    flows: tuple[Row, ...]
    heat: Mapping[tuple[int, int], Value]
    kinds: Mapping[str, tuple[int, int]]
    has_entries: bool


def counts_tokens(metric: str) -> bool:
    """Tell whether a metric is of tokens."""
    return metric.startswith("tokens") or metric.endswith("_tokens")


def tokens_by_kind(row: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Read what was counted of ``TOKENS``, now and before; kinds that there are none of are out."""
    found = {
        name: (int(row[f"{name}_now"] or 0), int(row[f"{name}_before"] or 0)) for name in TOKENS
    }
    return {name: pair for name, pair in found.items() if any(pair)}


def key_text(key: Key) -> str:
    """Write a group's key; "" for one that is absent."""
    if key is None:
        return ""
    return str(key).lower() if isinstance(key, bool) else str(key)


def row_of(
    question: ExploreQuestion,
    measures: Sequence[str],
    keys: Mapping[str, Any],
    values: Mapping[str, Value],
) -> Row:
    """Make a row of a group's keys and measures."""
    group_by = question.group_by if keys else ()
    raw = tuple(keys[f"group_{index}"] for index in range(len(group_by)))
    names = tuple(
        str((keys.get(f"name_{index}") if name in NAMES else None) or key_text(key))
        for index, (name, key) in enumerate(zip(group_by, raw, strict=True))
    )
    return Row(
        keys=raw,
        names=names,
        now=_value(question, measures, values, "now"),
        before=_value(question, measures, values, "before") if question.compare else None,
        requests=int(values["requests_now"] or 0),
        unpriced=int(values["unpriced_now"] or 0),
        unpriced_before=int(values["unpriced_before"] or 0),
    )


def _value(
    question: ExploreQuestion, measures: Sequence[str], values: Mapping[str, Value], span: str
) -> Value:
    """Give the metric of one period."""
    if question.kind is Kind.MILLISECONDS:
        return values.get(f"value_{span}")
    of_span = {name: values[f"{name}_{span}"] for name in measures}
    return completed(of_span, (question.metric,))[question.metric]


def absent_keys(rows: Sequence[Row]) -> tuple[tuple[bool, ...], ...]:
    """Say of each row which of its keys are absent."""
    return tuple(tuple(key is None for key in row.keys) for row in rows)


def key_slots(rows: Sequence[Row]) -> dict[str, str]:
    """Give the values for the slots of ``explore_queries.place_of``: the keys of each row."""
    return {
        f"part_{index}_{place}": key_text(key)
        for index, row in enumerate(rows)
        for place, key in enumerate(row.keys)
    }


def without(total: Value, parts: Sequence[Value]) -> Value:
    """Take parts off a total; None where nothing of the total is known."""
    for part in parts:
        total = less(total, part)
    return total


def sum_of(values: Sequence[Value]) -> Value:
    """Add up what is known; None where nothing is."""
    total: Value = None
    for value in values:
        total = added(total, value)
    return total


def running_step(period: Period, steps: Sequence[Step], now_us: int) -> int | None:
    """Give the index of the step that is not over yet."""
    if period.complete:
        return None
    return next(
        (place for place, each in enumerate(steps) if each.start_us <= now_us < each.end_us), None
    )


def known_in(measures: Iterable[str], row: Mapping[str, Any]) -> dict[str, Value]:
    """Read measures of one row in both periods, and its value; what is unknown stays so."""
    found: dict[str, Value] = {}
    for span in ("now", "before"):
        entries = int(row[f"entries_{span}"] or 0)
        for name in measures:
            found[f"{name}_{span}"] = known(name, row[f"{name}_{span}"], entries)
        found[f"value_{span}"] = row.get(f"value_{span}")
    return found
