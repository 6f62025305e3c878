"""Sums and notes that a ledger keeps beside its entries: a part of its port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from tollkeeper.request_times import NO_VALUES

if TYPE_CHECKING:
    import ibis.expr.types as ir


ENTRY_NUMBER: Final = "entry_number"
"""The column that tells entries apart by a number, in ``CallsApart``."""


class CallsApart(NamedTuple):
    """All entries, and those of calls that have several, both with ``ENTRY_NUMBER``.

    An entry that is not in ``several`` is the only one of its call, and has ``sign`` 1.
    """

    every: ir.Table
    several: ir.Table


class LedgerSums(Protocol):
    """Sums by the quarter-hour, finer ones, and sums by the day in one time zone."""

    def summed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the entries summed up, as far as they are, by the quarter-hour.

        The table has the columns ``storage.summed_columns.ROW``. Some rows are whole
        quarter-hours, others single entries with their own times: those that were not summed
        up yet, and those of the quarter-hours that ``edges`` bound (the end excluded). Each
        entry is in exactly one row, so sums are those of ``entries``.
        """

    def summed_finely(
        self, edges: Sequence[tuple[ir.Value, ir.Value]], *, alone: bool = False
    ) -> ir.Table:
        """Give these by session, customer and tags too: ``FINER_ROW``, or ``SESSION_ALONE`` too."""

    def sums_finely(self) -> bool:
        """Say whether finer sums are of use: they have all entries but a few."""

    def keeps_calls_apart(self) -> bool:
        """Say whether ``calls_apart`` is quick: calls with several entries are kept."""

    def calls_apart(self) -> CallsApart:
        """Give all entries, and which of them are not the only ones of their calls.

        Whoever keeps nothing for it has ``storage.plain_calls``.
        """

    def days_zone(self) -> str:
        """Name the zone whose days are summed up; "" where none are, or none that could be used.

        Every day that has a row begins and ends as the zone's rules say that are installed now.
        """

    def summed_daily(
        self,
        edges: Sequence[tuple[ir.Value, ir.Value]],
        edge_days: Sequence[tuple[ir.Value, ir.Value]],
    ) -> ir.Table:
        """Give the entries summed up, as far as they are, by days of ``days_zone``.

        The table has the columns ``storage.summed_columns.DAY_ROW``. Some rows are whole days and
        start when these begin; others are rows of ``Ledger.summed``: of what is in no day yet,
        and of the days that ``edge_days`` bound (the end excluded), whose quarter-hours in
        ``edges`` are single entries. Each entry is in exactly one row.
        """

    def summed_caches(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the entries that used a cache, the provider's or ours, summed up as ``summed`` does.

        The table has the columns ``storage.cache_columns.ROW``.
        """

    def sums_small_calls(self) -> bool:
        """Say whether small calls are summed up; if not, ``noted`` finds them as fast."""

    def summed_small(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the small calls that were paid by the token, summed up as ``summed`` does.

        The table has the columns ``storage.small_columns.ROW``. Each entry is in exactly one row,
        which stands for it alone where ``sums_small_calls`` says no.
        """

    def notes_entries(self) -> bool:
        """Say whether ``noted`` is of use: all entries but a few were looked at."""

    def noted(self, finding: str, begin: ir.Value, end: ir.Value) -> ir.Table:
        """Give the entries between two moments that one of ``domain.noted.NOTED`` may be about.

        That is all that it can be about for whoever asks, however they filter, and some more.
        The table has the columns ``storage.noted_entries.ROW``. Only within a snapshot in which
        ``notes_entries`` said so.
        """

    def gaps(self) -> ir.Table:
        """Give the noted entries of expired caches, and what was before each of them.

        The table has the columns ``storage.noted_entries.GAP_ROW`` and ``GAP_MOMENTS``.
        That is of the calls of the same session, key and model that use a cache: ``before_at``
        is when the one before started, ``gap_s`` how long it had ended, ``kept_tokens`` what it
        read from the cache and wrote to it; ``anew_before_at`` and ``anew_after_at`` are the
        nearest that wrote most of their prompt anew. All are NULL where there is none. Not to
        be used for ``open_sessions``, nor for sessions with a call whose ``kept_tokens`` are
        ``NOT_KNOWN``.
        """

    def open_sessions(self) -> frozenset[str]:
        """Give the sessions that have calls that were not looked at yet."""

    def of_sessions(self, slot: str) -> ir.Table:
        """Give at least those entries of the sessions in a slot that use a cache.

        ``slot`` is that of a list of texts. Only where ``notes_entries`` said so; the slot has few.
        """

    def hashes_texts(self) -> bool:
        """Say whether ``hash`` makes a number of any text, to tell very many of them apart.

        Where there is no such function, rows of finer sums are read by the numbers of what their
        entries have alike, so that it takes no longer to group them by texts.
        """

    def set_aside(
        self, name: str, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> None:
        """Keep what a query finds as a table of this name, for others of this snapshot.

        Only within one.
        """
