"""Filters as people write them: ``team:core,model:gpt-4o,-outcome:ok,tag:feature=chat``.

Terms are separated by commas. Terms of one dimension are alternatives, different dimensions
must all hold, ``-`` turns a term round. A value with a comma or a quote in it stands in
double quotes, a quote inside is doubled: ``team:"R&D, Berlin"``. An empty value finds
entries that have none. ``weekday:1`` (Monday) and ``hour_of_day:9`` are read off a clock on the
wall, in the zone of the period that is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.dimensions import (
    HOUR_OF_DAY,
    NAMES,
    TAG_PREFIX,
    WEEKDAY,
    check_dimension,
    dimension,
)
from tollkeeper.reports.questions import BadQuestion, one_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

TEXT_CHARS_MAX: Final = 8_000
VALUES_MAX: Final = 256
CLOCK: Final[Mapping[str, tuple[int, int]]] = {WEEKDAY: (1, 7), HOUR_OF_DAY: (0, 23)}
"""What a clock on the wall shows, and its first and last number."""

_INTEGERS: Final = {"status", *CLOCK}
CLOCK_SLOT: Final = "clock_"
_FLAGS: Final = {"streamed"}
_FLAG_WORDS: Final = {"true": True, "false": False, "yes": True, "no": False}
_STATUS_MAX: Final = 999
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "basis": tuple(Basis),
    "outcome": tuple(Outcome),
}


class Filter(NamedTuple):
    """Keep the entries whose dimension has one of these values; ``negated``: none of them."""

    dimension: str
    values: tuple[str, ...]
    negated: bool = False


class FilterShape(NamedTuple):
    """What of a filter is part of the SQL text. ``slots`` is a power of two.

    ``changes`` counts the slots that a clock needs.
    """

    dimension: str
    negated: bool
    slots: int
    or_empty: bool
    changes: int = 0


# ----------------------------------------------------------------------------- text


def parse_filters(text: str) -> tuple[Filter, ...]:
    """Read filters. Raises BadQuestion with what would be right."""
    if len(text) > TEXT_CHARS_MAX:
        raise BadQuestion("filter", f"at most {TEXT_CHARS_MAX} characters")
    found: dict[tuple[str, bool], list[str]] = {}
    for name, negated, value in _terms(text):
        if name not in CLOCK:
            check_dimension("filter", name)
        values = found.setdefault((name, negated), [])
        if value not in values:
            values.append(value)
    filters = tuple(Filter(name, tuple(values), no) for (name, no), values in found.items())
    for each in filters:
        _check_values(each)
    return filters


def filters_text(filters: Iterable[Filter]) -> str:
    """Write filters so that ``parse_filters`` gives them back."""
    terms = []
    for name, values, negated in filters:
        separator = "=" if name.startswith(TAG_PREFIX) else ":"
        terms += [f"{'-' if negated else ''}{name}{separator}{_written(each)}" for each in values]
    return ",".join(terms)


def _written(value: str) -> str:
    plain = value == value.strip() and not set(value) & set(',"')
    return value if plain else '"' + value.replace('"', '""') + '"'


def _terms(text: str) -> Iterator[tuple[str, bool, str]]:
    """Split into (dimension, negated, value)."""
    at = 0
    while at < len(text):
        while text[at : at + 1] in {" ", ","}:
            at += 1
        if at < len(text):
            head, value, at = _term(text, at)
            yield head.removeprefix("-"), head.startswith("-"), value


def _term(text: str, start: int) -> tuple[str, str, int]:
    """Read one term: its signed dimension, its value, and where the next one starts."""
    comma = text.find(",", start)
    stop = len(text) if comma < 0 else comma
    first = start + (text[start] == "-")
    tag = text.startswith(TAG_PREFIX, first)
    key = first + (len(TAG_PREFIX) if tag else 0)
    marks = [at for mark in (":=" if tag else ":") if (at := text.find(mark, key, stop)) >= 0]
    if not marks:
        raise BadQuestion("filter", "terms are dimension:value, or tag:key=value, with commas")
    mark = min(marks)
    head = text[start:mark].strip()
    if text[mark + 1 : mark + 2] == '"':
        value, stop = _quoted_value(text, mark + 2)
        return head, value, stop
    return head, text[mark + 1 : stop].strip(), stop + 1


def _quoted_value(text: str, start: int) -> tuple[str, int]:
    pieces = []
    while True:
        end = text.find('"', start)
        if end < 0:
            raise BadQuestion("filter", "a quoted value has no closing quote")
        pieces.append(text[start:end])
        if text[end + 1 : end + 2] == '"':
            pieces.append('"')
            start = end + 2
            continue
        rest = text[end + 1 :].lstrip()
        if rest and not rest.startswith(","):
            raise BadQuestion("filter", "after a quoted value comes a comma")
        return "".join(pieces), len(text) - len(rest) + 1


def _check_values(each: Filter) -> None:
    if len(each.values) > VALUES_MAX:
        raise BadQuestion("filter", f"at most {VALUES_MAX} values of {each.dimension}")
    for value in each.values:
        if each.dimension in _INTEGERS and not (
            value.isascii() and value.isdigit() and int(value[:9]) <= _STATUS_MAX
        ):
            raise BadQuestion("filter", f"{each.dimension} is a number: {each.dimension}:429")
        if each.dimension in CLOCK:
            first, last = CLOCK[each.dimension]
            if not first <= int(value) <= last:
                raise BadQuestion("filter", f"{each.dimension} is a number, {first} to {last}")
        if each.dimension in _FLAGS and value.lower() not in _FLAG_WORDS:
            raise BadQuestion("filter", f"{each.dimension} is true or false")
        if value not in _WORDS.get(each.dimension, (value,)):
            raise BadQuestion("filter", f"{each.dimension} is {one_of(_WORDS[each.dimension])}")


# ----------------------------------------------------------------------------- expressions


def filter_shape(each: Filter, changes: int = 0) -> FilterShape:
    """Give the part of a filter that is SQL text. The number of slots is rounded up.

    ``changes`` is how often the clocks of the zone are changed in what is asked about.
    """
    slots = slots_for(len(each.values))
    needed = changes if each.dimension in CLOCK else 0
    return FilterShape(each.dimension, each.negated, slots, "" in each.values, needed)


def slots_for(values: int) -> int:
    """Round a number of values up, so that there are few shapes: a power of two, or 0."""
    return 1 << (values - 1).bit_length() if values else 0


def filter_values(filters: Iterable[Filter]) -> Mapping[str, object]:
    """Give the values for the slots of ``filter_expression``; spare slots repeat the last."""
    found: dict[str, object] = {}
    for index, each in enumerate(filters):
        values = [_bound(each.dimension, value) for value in each.values]
        for slot in range(filter_shape(each).slots):
            found[f"filter_{index}_{slot}"] = values[min(slot, len(values) - 1)]
    return found


def filter_expression(
    ledger: Ledger, table: ir.Table, index: int, shape: FilterShape
) -> ir.BooleanValue:
    """Give the condition of the ``index``-th filter."""
    if shape.dimension == WEEKDAY:
        value = zones.local_weekday(table.started_at, shape.changes, CLOCK_SLOT)
    elif shape.dimension == HOUR_OF_DAY:
        value = zones.local_hour_of_day(table.started_at, shape.changes, CLOCK_SLOT)
    else:
        value = dimension(ledger, table, shape.dimension)
    slots = [_slot(shape.dimension)(f"filter_{index}_{slot}") for slot in range(shape.slots)]
    holds = value.isin(slots)
    if shape.dimension in NAMES:  # people write names, links carry ids
        name = table[NAMES[shape.dimension]]
        holds = holds | ((name != "") & name.isin(slots))  # nobody is called nothing
    if shape.dimension.startswith(TAG_PREFIX):
        holds = holds.fill_null(ibis.literal(shape.or_empty))
    return ~holds if shape.negated else holds


def _slot(name: str) -> Callable[[str], ir.Value]:
    if name in _INTEGERS:
        return bindings.integer
    return bindings.flag if name in _FLAGS else bindings.text


def _bound(name: str, value: str) -> object:
    if name in _INTEGERS:
        return int(value)
    return _FLAG_WORDS[value.lower()] if name in _FLAGS else value
