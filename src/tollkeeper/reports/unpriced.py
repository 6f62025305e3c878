"""Attempts of which some cost is unknown: counted as people count calls, not as entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir


def unpriced_attempts(table: ir.Table, *also: str) -> ir.Table:
    """Give the attempts of some entries that have a part without a price, and its tokens.

    Sums by the quarter-hour do as well: they keep such calls apart.
    """
    table = table.filter(table.unpriced != 0)
    found = table.group_by("call_id", "attempt", *also).agg(
        open_=table.unpriced.sum(), tokens_=table.tokens_in.sum() + table.tokens_out.sum()
    )
    return found.filter(found.open_ > 0)


def unpriced_calls(table: ir.Table, **groups: ir.Value) -> ir.Table:
    """Count them, ``calls``, and their unpriced ``tokens``, by some groups of the entries.

    All entries of an attempt have to be in one group.
    """
    found = unpriced_attempts(table.mutate(**groups), *groups)
    sums = {"calls": found.count(), "tokens": found.tokens_.sum()}
    return found.group_by(*groups).agg(**sums) if groups else found.agg(**sums)
