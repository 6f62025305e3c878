"""Whole numbers of more than the 64 bits that SQLite knows, and functions that compute with them.

A number that fits is an INTEGER, any other a BLOB of ``BYTES`` bytes: the number plus ``_HALF``,
so that blobs sort as their numbers do. SQLite itself would take such a blob for 0, so queries
over wide numbers use these functions (see ``storage.sqlite.compiler``). They are exact, and
some twenty times as slow as SQLite's own, which are used wherever these are not needed.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

BYTES: Final = 32
NANOS: Final = 1_000_000_000
_HALF: Final = 1 << (8 * BYTES - 1)
_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1

Cell = int | bytes | None


def packed(number: int) -> int | bytes:
    """Give what a cell holds for a number."""
    if _INT64_MIN <= number <= _INT64_MAX:
        return number
    return (number + _HALF).to_bytes(BYTES, "big")


def unpacked(cell: int | bytes) -> int:
    """Give the number that a cell holds."""
    return cell if isinstance(cell, int) else int.from_bytes(cell, "big") - _HALF


def install(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    for name, count, function in _SCALARS:
        connection.create_function(name, count, function, deterministic=True)
    for name, count, aggregate in _AGGREGATES:
        connection.create_aggregate(name, count, aggregate)
    if connection.execute(_HAS_FLOOR).fetchone() is None:
        connection.create_function("floor", 1, _floor, deterministic=True)


_HAS_FLOOR: Final = "SELECT 1 FROM pragma_function_list WHERE name = 'floor'"


def _floor(value: float | None) -> float | None:
    return None if value is None else float(math.floor(value))


# ------------------------------------------------------------------ of two numbers


def _exact_sum(left: Cell, right: Cell) -> Cell:
    """Add 64-bit numbers. SQLite's own ``+`` gives a rounded number where they are too large.

    An OverflowError, which becomes an error of the query, where the sum is one of more bits.
    """
    return None if left is None or right is None else _narrow(left) + _narrow(right)


def _exact_difference(left: Cell, right: Cell) -> Cell:
    return None if left is None or right is None else _narrow(left) - _narrow(right)


def _narrow(cell: int | bytes) -> int:
    if not isinstance(cell, int):
        raise OverflowError
    return cell


def _sum(left: Cell, right: Cell) -> Cell:
    if left is None or right is None:
        return None
    return packed(unpacked(left) + unpacked(right))


def _difference(left: Cell, right: Cell) -> Cell:
    if left is None or right is None:
        return None
    return packed(unpacked(left) - unpacked(right))


def _compared(left: Cell, right: Cell) -> int | None:
    """Give -1, 0 or 1, as the first is the smaller, equal, or the larger."""
    if left is None or right is None:
        return None
    one, other = _number(left), _number(right)
    return int(one > other) - int(one < other)


def _number(cell: Any) -> Any:
    return cell if isinstance(cell, float) else unpacked(cell)


# ------------------------------------------------------------------ of one number


def _absolute(cell: Cell) -> Cell:
    return None if cell is None else packed(abs(unpacked(cell)))


def _ordered(cell: Any) -> Any:
    """Give something that sorts as the number does, wide or not."""
    if cell is None or isinstance(cell, float):
        return cell
    return (unpacked(cell) + _HALF).to_bytes(BYTES, "big")


def _real(cell: Cell) -> float | None:
    return None if cell is None else float(unpacked(cell))


def _dollars(cell: Cell) -> float | None:
    """Give nano-dollars as dollars, rounded as the other engine rounds a DECIMAL."""
    if cell is None:
        return None
    whole, nanos = divmod(abs(unpacked(cell)), NANOS)
    dollars = whole + nanos / NANOS
    return -dollars if unpacked(cell) < 0 else dollars


@lru_cache(4_096)
def _md5(text: str | None) -> str | None:
    """Give the digest of a text, as hexadecimal digits: pseudonyms are made of it."""
    return None if text is None else hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# ------------------------------------------------------------------ of many


class _Sum:
    """Adds up numbers of any width; of none it is NULL."""

    def __init__(self) -> None:
        self._total: int | None = None

    def step(self, cell: Cell) -> None:
        if cell is not None:
            self._total = (self._total or 0) + unpacked(cell)

    def finalize(self) -> Cell:
        return None if self._total is None else packed(self._total)


class _Largest:
    """Finds the largest of numbers of any width."""

    def __init__(self) -> None:
        self._found: int | None = None

    def step(self, cell: Cell) -> None:
        if cell is not None:
            number = unpacked(cell)
            if self._found is None or self._is_better(number, self._found):
                self._found = number

    def _is_better(self, number: int, found: int) -> bool:
        return number > found

    def finalize(self) -> Cell:
        return None if self._found is None else packed(self._found)


class _Smallest(_Largest):
    """Finds the smallest of numbers of any width."""

    def _is_better(self, number: int, found: int) -> bool:
        return number < found


class _AtLargest:
    """Gives a value of the row whose key is the largest: the first of such rows."""

    def __init__(self) -> None:
        self._key: Any = None
        self._value: Any = None

    def step(self, value: Any, key: Any) -> None:
        if key is None:
            return
        weight = _number(key) if isinstance(key, (int, bytes)) else key
        if self._key is None or self._is_better(weight):
            self._key, self._value = weight, value

    def _is_better(self, key: Any) -> bool:
        return bool(key > self._key)

    def finalize(self) -> Any:
        return self._value


class _AtSmallest(_AtLargest):
    """Gives a value of the row whose key is the smallest."""

    def _is_better(self, key: Any) -> bool:
        return bool(key < self._key)


class _Values:
    """Puts whole numbers of 64 bits together: as a list, which is what a BLOB of them is."""

    def __init__(self) -> None:
        self._values = array("q")

    def step(self, value: int | None) -> None:
        if value is not None:
            self._values.append(value)

    def finalize(self) -> bytes | None:
        return self._values.tobytes() if self._values else None


def _listed(value: int | None) -> bytes | None:
    return None if value is None else array("q", (value,)).tobytes()


class _Rank:
    """Gives the value at rank ceil(n * percent / 100) of n values in order, or of lists of them."""

    def __init__(self) -> None:
        self._values = array("q")
        self._percent = 0

    def step(self, value: int | bytes | None, percent: int) -> None:
        if value is not None:
            self._percent = percent
            if isinstance(value, int):
                self._values.append(value)
            else:
                self._values.frombytes(value)

    def finalize(self) -> int | None:
        if not self._values:
            return None
        rank = max(1, -(-len(self._values) * self._percent // 100))
        return sorted(self._values)[rank - 1]


class _AllBits:
    """Gives the bits that any of the numbers has."""

    def __init__(self) -> None:
        self._bits: int | None = None

    def step(self, bits: int | None) -> None:
        if bits is not None:
            self._bits = (self._bits or 0) | bits

    def finalize(self) -> int | None:
        return self._bits


_SCALARS: Final[tuple[tuple[str, int, Callable[..., Any]], ...]] = (
    ("tk_exact_sum", 2, _exact_sum),
    ("tk_exact_difference", 2, _exact_difference),
    ("tk_sum_of_two", 2, _sum),
    ("tk_difference", 2, _difference),
    ("tk_compared", 2, _compared),
    ("tk_absolute", 1, _absolute),
    ("tk_ordered", 1, _ordered),
    ("tk_real", 1, _real),
    ("tk_dollars", 1, _dollars),
    ("tk_md5", 1, _md5),
    ("tk_listed", 1, _listed),
)
_AGGREGATES: Final[tuple[tuple[str, int, Any], ...]] = (
    ("tk_sum", 1, _Sum),
    ("tk_largest", 1, _Largest),
    ("tk_smallest", 1, _Smallest),
    ("tk_at_largest", 2, _AtLargest),
    ("tk_at_smallest", 2, _AtSmallest),
    ("tk_rank", 2, _Rank),
    ("tk_values", 1, _Values),
    ("tk_all_bits", 1, _AllBits),
)
