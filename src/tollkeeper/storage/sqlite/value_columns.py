"""Values with the cells that they are in, as columns: what percentiles are found from.

A loop over rows takes as long as reading them, and no other thread gets on meanwhile. Columns are
worked on as a whole, outside of Python.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

Key = tuple[Any, ...]

NO_NUMBER: Final = -(2**63)
"""Stands in a column of numbers where there is none."""

_BYTES: Final = 8


class Values(NamedTuple):
    """Values, and for each of them the place in ``cells`` of the cell that it is in."""

    cells: list[Key]
    places: Any
    values: Any


class Column(NamedTuple):
    """A column of numbers that stand for the values of ``names``.

    Without ``meanings`` a number is the value itself.
    """

    names: tuple[str, ...]
    numbers: Any
    meanings: Mapping[int, Key] | None = None


def listed_numbers(texts: Sequence[str]) -> Any:
    """Read lists of whole numbers, each a text with commas: as one column, and in lists."""
    lists = pc.split_pattern(pa.array(texts, pa.large_string()), ",")
    return pc.list_flatten(lists).cast(pa.int64()), lists


def of_lists(columns: Sequence[Column], names: Sequence[str], lists: bytes, sizes: Any) -> Values:
    """Give the values of rows: ``lists`` has those of all rows, ``sizes`` how many bytes each has.

    Raises ValueError where these are not as many bytes.
    """
    if (pc.sum(sizes).as_py() or 0) != len(lists):
        raise ValueError("lists of values are not as long as they were")
    keys, places = _cells(columns, names, len(sizes))
    row = _repeated(pc.divide(sizes, _BYTES))
    values = pa.Array.from_buffers(pa.int64(), len(lists) // _BYTES, [None, pa.py_buffer(lists)])
    return Values(keys, places.take(row), values)


def of_rows(rows: Iterable[Sequence[Any]], others: Sequence[str], names: Sequence[str]) -> Values:
    """Give the values of a few rows, which have what ``others`` names, and last their values."""
    order = [others.index(name) for name in names]
    places: dict[Key, int] = {}
    place_of, values = array("q"), bytearray()
    for row in rows:
        place = places.setdefault(tuple(row[at] for at in order), len(places))
        place_of.extend([place] * (len(row[-1]) // _BYTES))
        values += row[-1]
    return Values(list(places), _column(place_of), _column(array("q", bytes(values))))


def together(parts: Sequence[Values]) -> Values:
    """Put parts together; cells that several have are one."""
    cells: dict[Key, int] = {}
    places = []
    for part in parts:
        numbers = array("q", (cells.setdefault(key, len(cells)) for key in part.cells))
        places.append(_column(numbers).take(part.places))
    none = _column(array("q"))
    return Values(
        list(cells),
        pa.concat_arrays([none, *places]),
        pa.concat_arrays([none, *(part.values for part in parts)]),
    )


def repeated(numbers: Sequence[int], lists: Any) -> Any:
    """Give a column that has each number as many times as its list has elements."""
    return _column(array("q", numbers)).take(pc.list_parent_indices(lists))


def nearest_ranks(values: Values, group_of: Sequence[int | None], percent: int) -> dict[int, int]:
    """Give for each group the value at rank ceil(n * percent / 100) of its n values.

    ``group_of`` has the group of each cell; None where it is in none.
    """
    groups = pa.array(group_of, pa.int64()).take(values.places)
    order = pc.array_sort_indices(groups)
    ordered = values.values.take(order)
    found, first = {}, 0
    counts = sorted(
        (each["values"], each["counts"]) for each in pc.value_counts(groups.drop_null()).to_pylist()
    )
    for group, count in counts:
        mine = ordered.slice(first, count)
        place = max(1, -(-count * percent // 100)) - 1
        found[group] = mine[pc.partition_nth_indices(mine, pivot=place)[place].as_py()].as_py()
        first += count
    return found


def _column(numbers: array[int]) -> Any:
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def _repeated(sizes: Any) -> Any:
    """Give the place of each size as many times as it says."""
    ends = pc.cumulative_sum(sizes)
    bounds = pa.concat_arrays([_column(array("q", (0,))), ends])
    count = bounds[-1].as_py()
    return pc.list_parent_indices(pa.LargeListArray.from_arrays(bounds, pa.nulls(count)))


def _cells(columns: Sequence[Column], names: Sequence[str], rows: int) -> tuple[list[Key], Any]:
    """Give the keys of all cells, and for each row the place of its own."""
    places, parts = _column(array("q", bytes(_BYTES * rows))), []
    keys: list[Key] = [()]
    for column in columns:
        mine, own = _meant(column)
        both = pc.add(pc.multiply(places, len(own)), mine)
        found = both.dictionary_encode()
        places = found.indices
        keys = [
            keys[number // len(own)] + own[number % len(own)]
            for number in found.dictionary.to_pylist()
        ]
        parts.append(column.names)
    given = list(chain.from_iterable(parts))
    order = [given.index(name) for name in names]
    return [tuple(key[at] for at in order) for key in keys], places.cast(pa.int64())


def _meant(column: Column) -> tuple[Any, list[Key]]:
    """Give the different values that numbers stand for, and for each number its value's place."""
    found = column.numbers.dictionary_encode()
    numbers = found.dictionary.to_pylist()
    known = column.meanings
    places: dict[Key, int] = {}
    place_of = array("q")
    for number in numbers:
        key = _itself(number) if known is None else known[number]
        place_of.append(places.setdefault(key, len(places)))
    return _column(place_of).take(found.indices), list(places)


def _itself(number: int) -> Key:
    return (None if number == NO_NUMBER else number,)
