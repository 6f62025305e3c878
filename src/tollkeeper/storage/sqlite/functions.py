"""Functions of the engine, and ours in it, as Ibis expressions call them."""

from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt


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
