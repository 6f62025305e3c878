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
