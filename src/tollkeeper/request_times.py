"""How long requests took: what a ledger gives for exact percentiles, part of its port.

Whoever keeps nothing for it has ``storage.plain_ranks``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from tollkeeper.domain.beside import Beside

if TYPE_CHECKING:
    import ibis.expr.types as ir

NO_VALUES: Final[Mapping[str, Any]] = MappingProxyType({})

TIMED: Final[Mapping[str, str]] = {"duration_ms": "durations_ms", "ttft_ms": "ttfts_ms"}
"""Columns of entries that percentiles are asked of, and those of ``Ledger.timed`` with as many
values of theirs as a row stands for."""


class RequestTimes(Protocol):
    """Requests with their milliseconds, as they happened: no corrections of them."""

    def keeps_times(self) -> bool:
        """Say whether several requests share a row of ``timed``.

        Where none do, single entries are as good, one grouping after the other.
        """

    def timed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the requests, as they happened, with how long they took.

        The table has the columns ``storage.timed_columns.ROW``. Some rows are of whole
        quarter-hours, others single requests with their own times: those of the quarter-hours that
        ``edges`` bound (the end excluded), and as many others as the engine likes, or all. Each
        entry with ``requests`` 1 and ``revision`` 0 is in exactly one row. How a row keeps the
        values of several requests is the engine's own: only ``each_value`` and ``nearest_ranks``
        open it. NULL is no value.
        """

    def each_value(self, table: ir.Table, column: str) -> ir.Table:
        """Give a row for each value of a column of ``timed``, with all else that its row has.

        A column that has one value in each row is left as it is. Rows without a value are left
        out. An engine whose ``nearest_rank`` opens lists by itself may leave these as they are.
        """

    def nearest_ranks(
        self,
        table: ir.Table,
        column: str,
        cells: ir.Table,
        sets: Sequence[Sequence[str]],
        percent: int,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> list[dict[str, Any]]:
        """Find a percentile of the values of ``column`` for several groupings of them.

        ``cells`` has all other columns of the table, one row for each combination of them (NULL is
        like NULL), and with it further columns: those to group by, of which each of ``sets`` names
        one grouping's. A row with NULL in one of these is in no group of that grouping. A row of
        the answer has ``set_``, the grouping's number from 0 on, all columns of groupings, None
        where this one has not got them, and ``value``, the group's ``nearest_rank``; groups
        without a value are left out. Values are not negative; ``values`` are those of slots.
        ``storage.plain_ranks`` does it with what the other methods give.
        """

    def read_ahead(
        self,
        lent: Beside,
        table: ir.Table,
        column: str,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        """Tell that ``nearest_ranks`` will be asked of this table in this snapshot.

        What needs no cells may begin on a thread that is lent. Only within a snapshot.
        """
