"""A ledger that keeps nothing beside its entries, to compare answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ibis

from tollkeeper.ports import NO_VALUES
from tollkeeper.reports.masking import MaskedLedger
from tollkeeper.storage import plain_ranks
from tollkeeper.storage.duckdb import quarter_hours

if TYPE_CHECKING:
    import ibis.expr.types as ir


class EntriesAlone(MaskedLedger):
    """A ledger that has no sums: each row of them is an entry. Masks nobody."""

    def entries(self) -> ir.Table:
        return self._ledger.entries()

    def summed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return quarter_hours.single(self._ledger.entries())

    def summed_caches(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        entries = self._ledger.entries()
        written = entries.cache_write_tokens + entries.cache_write_1h_tokens
        used = (entries.tokens_cached != 0) | (written != 0) | (entries.basis == "cached")
        wrote = (entries.cache_write_tokens != 0) | (entries.cache_write_1h_tokens != 0)
        stands = (entries.corrects == "") | (entries.revision > 0)
        priced = entries.basis.notin(["unpriced", "flat_rate", "cached"]) & (
            entries.price_key != ""
        )
        paid = wrote & stands & priced
        prompt = ibis.ifelse(paid, entries.tokens_in.abs(), ibis.null("int64"))
        return entries.filter(used).mutate(prompt_from=prompt)

    def sums_small_calls(self) -> bool:
        return False

    def sums_finely(self) -> bool:
        return False

    def keeps_calls_apart(self) -> bool:
        return False

    def notes_entries(self) -> bool:
        return False

    def days_zone(self) -> str:
        return ""

    def keeps_times(self) -> bool:
        return self.engine == "duckdb"  # the other's parser does not go as deep as plain_ranks does

    def timed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return plain_ranks.timed(self._ledger.entries())

    def each_value(self, table: ir.Table, column: str) -> ir.Table:
        return plain_ranks.each_value(table, column)

    def nearest_ranks(
        self,
        table: ir.Table,
        column: str,
        cells: ir.Table,
        sets: Sequence[Sequence[str]],
        percent: int,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> list[dict[str, Any]]:
        return plain_ranks.nearest_ranks(self, table, column, cells, sets, percent, values)

    def __hash__(self) -> int:
        return hash((EntriesAlone, self._ledger))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntriesAlone) and other._ledger == self._ledger
