"""Entries of calls with several: found by indexes, and the same as among all entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import ibis.expr.types as ir
import pytest

from ledger_entries import START_US, ledger_entry
from ledgers import open_sqlite
from tollkeeper.ledger_sums import ENTRY_NUMBER
from tollkeeper.reports import bindings
from tollkeeper.storage import plain_calls
from tollkeeper.storage.sqlite.compiler import compiled
from tollkeeper.storage.sqlite.ledger import SqliteLedger

CALLS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("a", {}),
    ("b", {}),
    ("b", {"attempt": 2}),
    ("c", {}),
    ("d", {"part": 1}),
    ("e", {"corrects": "e9"}),
    ("f", {"sign": -1}),
    ("g", {}),
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteLedger]:
    with closing(open_sqlite(tmp_path_factory.mktemp("several"))) as opened:
        entries = [
            ledger_entry(entry_id=f"e{number}", call_id=call, started_at_us=START_US, **what)
            for number, (call, what) in enumerate(CALLS)
        ]
        opened.append(entries, None)
        yield opened


def test_they_are_those_among_all_entries(ledger: SqliteLedger) -> None:
    assert ledger.keeps_calls_apart()
    apart, plain = ledger.calls_apart(), plain_calls.apart(ledger.entries())
    for mine, other in zip(apart, plain, strict=True):
        names = sorted(other.columns)
        assert sorted(mine.columns) == names
        rows = [ledger.run(each.select(*names)) for each in (mine, other)]
        first, second = (sorted(each, key=lambda row: row[ENTRY_NUMBER]) for each in rows)
        assert first == second
    several = ledger.run(apart.several.select("entry_id").order_by("entry_id"))
    assert [row["entry_id"] for row in several] == ["e1", "e2", "e4", "e5", "e6"]


def test_indexes_find_them_and_what_calls_are_ordered_by(ledger: SqliteLedger) -> None:
    every, several = ledger.calls_apart()
    assert "entries_further" in plan_of(ledger, several.agg(entries=several.count()))
    now = every.filter(every.org == "acme", every.started_at >= bindings.moment("start"))
    for weight in ("cost_usd", "requests", "tokens_in", "errors"):
        first = now.order_by(now[weight].desc()).limit(3)
        told = first.select(weight, "call_id", of=first[ENTRY_NUMBER].isin(several[ENTRY_NUMBER]))
        assert "COVERING INDEX entries_narrow" in plan_of(ledger, told)


def plan_of(ledger: SqliteLedger, asked: ir.Table) -> str:
    query = compiled(asked, wide=False)
    with ledger._handle.reader() as connection:
        values = dict.fromkeys(query.names, 0)
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query.text}", values).fetchall()
    return "\n".join(row[3] for row in rows)
