"""What a call spent of budgets: exactly what its entries book.

A cost that is not known counts as what was held for it. The entry says so too (``held_nanos``),
so that a balance is the sum of its entries, and a cost that becomes known takes its place.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.budgets import Amounts
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.ledger import Outcome

_TOKENS: Final = frozenset(u.TOKENS)
_new = tuple.__new__


def spending_of(held: Held, settled: Settled) -> Amounts:
    """Give what a call came to, all its parts together."""
    nanos = tokens = 0
    is_known = True
    for part in settled.parts:
        cost = part.cost_nanos
        if cost is None:
            is_known = False
        else:
            nanos += cost
        for name, count in part.quantities.items():
            if name in _TOKENS:
                tokens += count
    if not is_known:
        nanos += held.hold_nanos
    return _new(Amounts, (nanos, tokens, 0 if settled.outcome == Outcome.REFUSED else 1))


def output_of(settled: Settled) -> int:
    """Count the tokens that came out of a call."""
    return sum(
        count
        for part in settled.parts
        for name, count in part.quantities.items()
        if name in _OUTPUT
    )


_OUTPUT: Final = frozenset(u.OUTPUT_TOKENS)
