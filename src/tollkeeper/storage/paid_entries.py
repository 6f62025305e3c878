"""Which entries were paid by the token, as they stand after corrections: one rule for all sums.

An entry that was corrected is there three times, once of it taken back, so sums are right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollkeeper.domain.ledger import UNPAID

if TYPE_CHECKING:
    import ibis.expr.types as ir

_UNPAID: Final = ", ".join(f"'{basis.value}'" for basis in UNPAID)
PAID: Final = f"price_key <> '' AND basis NOT IN ({_UNPAID}) AND (corrects = '' OR revision > 0)"
"""The rule as SQL of every engine."""


def is_paid(entries: ir.Table) -> ir.BooleanValue:
    """Tell which entries of a table these are: the same rule as an expression."""
    priced = (entries.price_key != "") & entries.basis.notin([basis.value for basis in UNPAID])
    return priced & ((entries.corrects == "") | (entries.revision > 0))
