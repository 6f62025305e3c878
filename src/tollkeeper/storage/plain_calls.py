"""Calls with several entries, looked for among all entries: what any engine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tollkeeper.ledger_sums import ENTRY_NUMBER, CallsApart

if TYPE_CHECKING:
    import ibis.expr.types as ir

FURTHER: Final = "attempt > 1 OR part > 0 OR corrects <> '' OR sign <> 1"
"""What an entry is that is not its call's first: another attempt, a further model, or a correction.
SQL of every engine."""


def apart(entries: ir.Table) -> CallsApart:
    """Give all entries with their numbers, and those of calls that have a further one."""
    every = entries.mutate(**{ENTRY_NUMBER: entries.rowid()})
    further = (entries.attempt > 1) | (entries.part > 0)
    further |= (entries.corrects != "") | (entries.sign != 1)
    calls = entries.filter(further).select(of_call="call_id").distinct()
    return CallsApart(every, every.semi_join(calls, every.call_id == calls.of_call))
