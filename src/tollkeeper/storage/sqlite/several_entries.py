"""Calls with several entries in SQLite: an index finds them, so that nothing has to be kept.

All entries of a call but its first say that they are further ones. ``entries_further`` has these
alone, a hundredth of all, by their calls; of each of these calls all entries are found by
``call_id``. ``entries_narrow`` has what puts calls into their order, so that to find the first ones
no whole entries are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollkeeper.ledger_sums import ENTRY_NUMBER, CallsApart
from tollkeeper.storage.plain_calls import FURTHER

if TYPE_CHECKING:
    import ibis.expr.types as ir

STATEMENTS: Final = (
    f"CREATE INDEX entries_further ON entries (call_id) WHERE {FURTHER}",
    "CREATE INDEX entries_narrow ON entries (started_at, org, sign, requests, cost_usd, unpriced,"
    " tokens_in, tokens_out, tokens_cached, errors, refusals, attempt, call_id)"
    " WHERE call_id = call_id",
)
"""The last condition is true of every entry: only who asks it may be given that index. SQLite would
take it for all that is asked of a stretch of time, and read more for each entry."""


class CallsByIndex:
    """The part of the ``Ledger`` port that is about calls with several entries."""

    def entries(self) -> ir.Table:
        """Give the entries table."""
        raise NotImplementedError

    def keeps_calls_apart(self) -> bool:
        """Say that they are: by indexes."""
        return True

    def calls_apart(self) -> CallsApart:
        """Give all entries, and those of calls that have several."""
        return apart(self.entries())


def apart(entries: ir.Table) -> CallsApart:
    """Give all entries with their numbers, and those of calls that have a further one.

    The condition is written as the index has it, or SQLite would not take it. The two tables have
    nothing in common: what is read twice in a query is set aside first, all of it.
    """
    further = (entries.attempt > 1) | (entries.part > 0)
    further = (further | (entries.corrects != "")) | (entries.sign != 1)
    calls = entries.filter(further).call_id
    number = entries.rowid().name(ENTRY_NUMBER)
    several = entries.select(number, *entries.columns)
    every = entries.select(*entries.columns, number)
    return CallsApart(
        every.filter(every.call_id == every.call_id),
        several.filter(several.call_id.isin(calls)),
    )
