"""Adds a batch of entries to a DuckDB ledger, each of them once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import duckdb

from tollkeeper.domain.errors import EntriesRejected
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Position
from tollkeeper.storage.arrow_batch import UNSTORABLE, arrow_table, unstorable

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the engine's times are naive UTC

# The cursor makes a journal exactly-once; the anti-join is the belt beside it. Copies of an
# entry have its start, so only the time span of the batch is searched, which the engine's
# zone maps make cheap at any size of the table.
_INSERT: Final = """
INSERT INTO entries BY NAME
SELECT * FROM batch
WHERE NOT EXISTS (
    SELECT 1 FROM entries AS known
    WHERE known.entry_id = batch.entry_id AND known.part = batch.part
      AND known.started_at BETWEEN $first AND $last
)
"""


def without_copies(entries: Sequence[LedgerEntry]) -> Sequence[LedgerEntry]:
    """Give the first of each entry and part."""
    first = {(entry.entry_id, entry.part): entry for entry in reversed(entries)}
    return entries if len(first) == len(entries) else list(reversed(first.values()))


def batch_of(entries: Sequence[LedgerEntry]) -> pa.Table:
    """Put entries into columns. Raises EntriesRejected."""
    try:
        return arrow_table(entries)
    except UNSTORABLE as error:
        ids = unstorable(entries)
        raise EntriesRejected(
            f"{len(ids)} of {len(entries)} entries fit no column ({type(error).__name__})",
            entry_ids=ids,
        ) from error


def insert(
    cursor: duckdb.DuckDBPyConnection, entries: Sequence[LedgerEntry], batch: pa.Table
) -> int:
    """Add those of a batch that are not there yet; give how many."""
    starts = [entry.started_at_us for entry in entries]
    cursor.register("batch", batch)
    try:
        span = {"first": naive_utc(min(starts)), "last": naive_utc(max(starts))}
        added: int = cursor.execute(_INSERT, span).fetchall()[0][0]
    finally:
        cursor.unregister("batch")
    return added


def naive_utc(epoch_us: int) -> datetime:
    """Give a moment as the engine has it."""
    return _EPOCH + timedelta(microseconds=epoch_us)


def move(cursor: duckdb.DuckDBPyConnection, position: Position) -> None:
    """Say how far a segment was loaded."""
    values = position._asdict()
    moved = cursor.execute(
        "UPDATE loaded_segments SET loaded_bytes = greatest(loaded_bytes, $offset)"
        " WHERE segment = $segment",
        values,
    ).fetchall()[0][0]
    if not moved:
        cursor.execute("INSERT INTO loaded_segments VALUES ($segment, $offset)", values)
