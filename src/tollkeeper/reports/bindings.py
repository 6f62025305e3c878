"""Slots: places in an Ibis expression whose values are bound when the query runs.

An expression with slots is built and compiled once for each *shape* of a question and used
again with other values, and no value of a user is ever written into an SQL text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.ports import BOUND_PREFIX

if TYPE_CHECKING:
    import ibis.expr.types as ir

_MOMENT: Final = dt.Timestamp(scale=6)


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}text", signature=((dt.string,), dt.string)
)
def _text(slot: str) -> object:
    """Stand for a text."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}integer", signature=((dt.string,), dt.int64)
)
def _integer(slot: str) -> object:
    """Stand for a whole number."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}flag", signature=((dt.string,), dt.boolean)
)
def _flag(slot: str) -> object:
    """Stand for true or false."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}moment", signature=((dt.string,), _MOMENT)
)
def _moment(slot: str) -> object:
    """Stand for a moment in time."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}integers", signature=((dt.string,), dt.Array(dt.int64))
)
def _integers(slot: str) -> object:
    """Stand for a list of whole numbers."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}texts", signature=((dt.string,), dt.Array(dt.string))
)
def _texts(slot: str) -> object:
    """Stand for a list of texts."""


def text(slot: str) -> ir.StringValue:
    """Give the slot of a text. Slot names are ours: small letters, digits and ``_``."""
    return _text(slot)


def integer(slot: str) -> ir.IntegerValue:
    """Give the slot of a whole number."""
    return _integer(slot)


def flag(slot: str) -> ir.BooleanValue:
    """Give the slot of true or false."""
    return _flag(slot)


def moment(slot: str) -> ir.TimestampValue:
    """Give the slot of a moment (an aware ``datetime`` when it is bound)."""
    return _moment(slot)


def among(table: ir.Table, column: str, slot: str) -> ir.Table:
    """Keep the rows whose column has one of the values of a slot: a list of any length.

    An engine knows that such a list is short, as it cannot of the answer of a query. Where it
    looks for the rows of a long table in a short one, it remembers the short one, and passes over
    other rows while it reads.
    """
    listed = (_integers if table[column].type().is_integer() else _texts)(slot)
    kept = listed.unnest().name("listed_").as_table()
    return table.semi_join(kept, table[column] == kept.listed_)


def is_among(value: ir.Value, slot: str) -> ir.BooleanValue:
    """Tell whether a value is one of those in a slot."""
    listed = (_integers if value.type().is_integer() else _texts)(slot)
    found: ir.BooleanValue = value.isin(listed.unnest().name("listed_").as_table().listed_)
    return found
