"""Functions of the engine, and ours in it, as Ibis expressions call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.ports import BOUND_PREFIX

if TYPE_CHECKING:
    import ibis.expr.types as ir

NUMBER: Final = "number"
AS_BLOB: Final = "tk_as_blob"
_NUMBERS: Final = dt.Array(dt.int64)


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="json_extract", signature=((dt.Map(dt.string, dt.string), dt.string), dt.string)
)
def json_extract(tags: object, path: object) -> object:
    """Stand for the engine's look-up in a JSON object."""


@ibis.udf.agg.builtin(  # type: ignore[untyped-decorator]
    name="tk_rank", signature=((dt.int64, dt.int64), dt.int64)
)
def rank(value: object, percent: object) -> object:
    """Stand for the value at a rank."""


@ibis.udf.agg.builtin(  # type: ignore[untyped-decorator]
    name="tk_rank", signature=((dt.Array(dt.int64), dt.int64), dt.int64)
)
def rank_of_lists(values: object, percent: object) -> object:
    """Stand for the value at a rank of all values of lists."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="length", signature=((_NUMBERS,), dt.int64)
)
def size(values: object) -> object:
    """Stand for how many bytes a list has."""


@ibis.udf.agg.builtin(  # type: ignore[untyped-decorator]
    name=AS_BLOB, signature=((_NUMBERS,), _NUMBERS)
)
def as_blob(values: object) -> object:
    """Stand for all values of lists, one after the other. SQLite does it by ``group_concat``."""


@ibis.udf.agg.builtin(  # type: ignore[untyped-decorator]
    name="group_concat", signature=((dt.int64,), dt.string)
)
def _numbers_as_text(value: object) -> object:
    """Stand for whole numbers with commas between them."""


@ibis.udf.agg.builtin(  # type: ignore[untyped-decorator]
    name="group_concat", signature=((dt.Timestamp(scale=6),), dt.string)
)
def _moments_as_text(value: object) -> object:
    """Stand for moments with commas between them."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}integers", signature=((dt.string,), _NUMBERS)
)
def _integers(slot: str) -> object:
    """Stand for a list of whole numbers that is bound."""


def as_text(value: ir.Value) -> ir.StringValue:
    """Write numbers or moments with commas between them, all that are there."""
    write = _moments_as_text if value.type().is_timestamp() else _numbers_as_text
    found: ir.StringValue = write(value)
    return found


def times_asked(slot: str) -> Any:
    """Give a table of the numbers in a slot, in its column ``NUMBER``."""
    return _integers(slot).unnest().name(NUMBER).as_table().op()
