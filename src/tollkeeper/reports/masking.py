"""Reports in which other people stand under pseudonyms.

The ledger's table is masked before anything is grouped, filtered or sorted by it: no question
can get behind a pseudonym, and a pseudonym can be used as a person is, to filter by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import ibis

from tollkeeper.domain.beside import Beside
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ledger_sums import CallsApart
from tollkeeper.ports import NO_JOBS, NO_VALUES, Ledger, Position, Vault
from tollkeeper.reports import bindings
from tollkeeper.reports.call_rows import CallRow

if TYPE_CHECKING:
    import ibis.expr.types as ir

T = TypeVar("T")

PREFIX: Final = "person "
CHARS: Final = 8
_PURPOSE: Final = "pseudonyms of people"
_SALT: Final = "mask_salt"
_OWN: Final = "mask_own"


def salt_of(vault: Vault) -> str:
    """Give what makes a deployment's pseudonyms, which last as long as its key file."""
    return vault.mac(b"", purpose=_PURPOSE).hex()


def pseudonym(salt: str, user_id: str) -> str:
    """Give the pseudonym of a person; nobody has none."""
    if not user_id:
        return ""
    digest = hashlib.md5((salt + user_id).encode(), usedforsecurity=False)
    return PREFIX + digest.hexdigest()[:CHARS]


def masked_row(row: CallRow, salt: str, own_id: str) -> CallRow:
    """Give a call that did not come out of a masked ledger as that would give it."""
    who = row.user_id or row.user_name
    if not who or (row.user_id and row.user_id == own_id):
        return row
    mask = pseudonym(salt, who)
    return replace(row, user_id=mask if row.user_id else "", user_name=mask)


class MaskedLedger:
    """The ``Ledger`` port as somebody sees it who sees no other person's name.

    ``user_id`` and ``user_name`` are pseudonyms, but for ``own_id``. Two of them on one ledger
    are alike, so that queries are built once for all viewers.
    """

    def __init__(self, ledger: Ledger, salt: str, own_id: str) -> None:
        self.engine = ledger.engine
        self._ledger = ledger
        self._values = {_SALT: salt, _OWN: own_id}

    def __hash__(self) -> int:
        return hash((MaskedLedger, self._ledger))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskedLedger) and other._ledger == self._ledger

    def entries(self) -> ir.Table:
        return _masked(self._ledger.entries())

    def summed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return _masked(self._ledger.summed(edges))

    def days_zone(self) -> str:
        return self._ledger.days_zone()

    def summed_daily(
        self,
        edges: Sequence[tuple[ir.Value, ir.Value]],
        edge_days: Sequence[tuple[ir.Value, ir.Value]],
    ) -> ir.Table:
        return _masked(self._ledger.summed_daily(edges, edge_days))

    def summed_finely(
        self, edges: Sequence[tuple[ir.Value, ir.Value]], *, alone: bool = False
    ) -> ir.Table:
        return _masked(self._ledger.summed_finely(edges, alone=alone))

    def sums_finely(self) -> bool:
        return self._ledger.sums_finely()

    def summed_caches(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return _masked(self._ledger.summed_caches(edges))

    def sums_small_calls(self) -> bool:
        return self._ledger.sums_small_calls()

    def summed_small(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return _masked(self._ledger.summed_small(edges))

    def notes_entries(self) -> bool:
        return self._ledger.notes_entries()

    def noted(self, finding: str, begin: ir.Value, end: ir.Value) -> ir.Table:
        return _masked(self._ledger.noted(finding, begin, end))

    def gaps(self) -> ir.Table:
        return _masked(self._ledger.gaps())

    def open_sessions(self) -> frozenset[str]:
        return self._ledger.open_sessions()

    def of_sessions(self, slot: str) -> ir.Table:
        return _masked(self._ledger.of_sessions(slot))

    def keeps_calls_apart(self) -> bool:
        return self._ledger.keeps_calls_apart()

    def calls_apart(self) -> CallsApart:
        return CallsApart(*map(_masked, self._ledger.calls_apart()))

    def keeps_times(self) -> bool:
        return self._ledger.keeps_times()

    def timed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return _masked(self._ledger.timed(edges))

    def each_value(self, table: ir.Table, column: str) -> ir.Table:
        return self._ledger.each_value(table, column)

    def nearest_ranks(
        self,
        table: ir.Table,
        column: str,
        cells: ir.Table,
        sets: Sequence[Sequence[str]],
        percent: int,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> list[dict[str, Any]]:
        known = {**self._values, **values}
        return self._ledger.nearest_ranks(table, column, cells, sets, percent, known)

    def read_ahead(
        self,
        lent: Beside,
        table: ir.Table,
        column: str,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        self._ledger.read_ahead(lent, table, column, {**self._values, **values})

    def run(
        self, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> list[dict[str, Any]]:
        return self._ledger.run(expression, {**values, **self._values})

    def tag(self, table: ir.Table, key: str) -> ir.StringValue:
        return self._ledger.tag(table, key)

    def nearest_rank(self, value: ir.IntegerValue, percent: int) -> ir.IntegerScalar:
        return self._ledger.nearest_rank(value, percent)

    def hashes_texts(self) -> bool:
        return self._ledger.hashes_texts()

    def set_aside(
        self, name: str, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> None:
        self._ledger.set_aside(name, expression, {**values, **self._values})

    def snapshot(self) -> AbstractContextManager[None]:
        return self._ledger.snapshot()

    def beside(self, lent: Beside, make: Callable[[], T]) -> Callable[[], T]:
        return self._ledger.beside(lent, make)

    def positions(self) -> Mapping[str, int]:
        return self._ledger.positions()

    def append(
        self,
        entries: Sequence[LedgerEntry],
        position: Position | None,
        jobs: Mapping[str, str] = NO_JOBS,
    ) -> int:
        raise TypeError("what is masked is only read")

    def forget(self, segments: Sequence[str]) -> None:
        raise TypeError("what is masked is only read")

    def jobs(self, names: Sequence[str]) -> Mapping[str, str]:
        return self._ledger.jobs(names)

    def known(self, entry_ids: Sequence[str], started_at_us: int) -> frozenset[str]:
        return self._ledger.known(entry_ids, started_at_us)

    def maintain(self) -> None:
        raise TypeError("what is masked is only read")

    def close(self) -> None:
        raise TypeError("what is masked is only read")


def _masked(table: ir.Table) -> ir.Table:
    """Put pseudonyms into a table of entries, or of their sums, in place of other people."""
    # Whoever is nobody's person, as an admin key may be, is not everybody without an id.
    has_id = table.user_id != ""
    own = (table.user_id == bindings.text(_OWN)) & has_id
    by_id = _pseudonym_of(table.user_id)
    return table.mutate(
        user_id=ibis.cases((own | ~has_id, table.user_id), else_=by_id),
        user_name=ibis.cases(
            (own | (~has_id & (table.user_name == "")), table.user_name),
            (has_id, by_id),
            else_=_pseudonym_of(table.user_name),
        ),
    )


def _pseudonym_of(who: ir.StringValue) -> ir.StringValue:
    """Give the pseudonym of each. Made of one column alone by these functions, an engine makes
    it once for each person and not for each row."""
    digest = (bindings.text(_SALT) + who).hexdigest("md5")
    return ibis.literal(PREFIX) + digest.substr(0, CHARS)
