"""Entries of calls with several: found whatever comes when, and the same as among all entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ledger_sums import CallsApart
from tollkeeper.ports import Position
from tollkeeper.storage import plain_calls
from tollkeeper.storage.duckdb import quarter_hours, several_entries
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

START_US = 1_790_000_100_000_000
Changes = dict[str, Any]
FIRST: Changes = {}
ATTEMPT: Changes = {"attempt": 2}
MODEL: Changes = {"part": 1}
CORRECTED: Changes = {"corrects": "e"}
TAKEN_BACK: Changes = {"sign": -1}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DuckDbLedger]:
    with closing(open_duckdb(tmp_path)) as opened:
        yield opened


class Calls:
    """Loads entries of calls, each with a number of its own."""

    def __init__(self, ledger: DuckDbLedger) -> None:
        self._ledger = ledger
        self._loaded = 0

    def load(self, *calls: tuple[str, Changes]) -> None:
        entries = [self._entry(call, what) for call, what in calls]
        self._ledger.append(entries, Position("segment", self._loaded))

    def _entry(self, call: str, what: Changes) -> LedgerEntry:
        self._loaded += 1
        return ledger_entry(
            entry_id=f"e{self._loaded}",
            call_id=call,
            started_at_us=START_US + self._loaded * 1_000_000,
            tags={"number": str(self._loaded)},
            **what,
        )


def found(ledger: DuckDbLedger) -> list[str]:
    """Give the entries of calls with several, having compared all their columns and numbers."""
    apart, plain = ledger.calls_apart(), plain_calls.apart(ledger.entries())
    assert rows_of(ledger, apart) == rows_of(ledger, plain)
    return [row["entry_id"] for row in rows_of(ledger, apart)[1]]


def rows_of(ledger: DuckDbLedger, apart: CallsApart) -> list[list[dict[str, object]]]:
    names = sorted(apart.every.columns)
    assert sorted(apart.several.columns) == names
    return [
        sorted(ledger.run(table.select(*names)), key=lambda row: row["entry_number"])
        for table in apart
    ]


def test_entries_of_a_call_are_found_whenever_they_come(ledger: DuckDbLedger) -> None:
    calls = Calls(ledger)
    assert found(ledger) == []
    calls.load(("a", FIRST), ("b", FIRST), ("b", ATTEMPT), ("c", FIRST), ("d", MODEL), ("e", FIRST))
    expected = ["e2", "e3", "e5"]
    assert found(ledger) == expected  # looked at by nobody
    ledger.sum_up(left_max=0)
    assert found(ledger) == expected
    calls.load(("a", CORRECTED), ("d", FIRST), ("f", FIRST), ("b", MODEL), ("g", TAKEN_BACK))
    expected = ["e1", *expected, "e7", "e8", "e10", "e11"]
    assert found(ledger) == expected
    ledger.sum_up(left_max=0)
    assert found(ledger) == expected
    calls.load(("c", ATTEMPT))
    assert found(ledger) == sorted([*expected, "e4", "e12"], key=lambda name: int(name[1:]))


def test_older_entries_are_copied_in_short_lists_or_at_once(
    ledger: DuckDbLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several_entries, "_FEW", 3)
    monkeypatch.setattr(several_entries, "_LISTS_MAX", 2)
    calls = Calls(ledger)
    calls.load(*((f"c{number}", FIRST) for number in range(20)))
    ledger.sum_up(left_max=0)
    for corrected in (range(0, 10, 2), range(1, 19, 2)):  # five of them, then nine
        calls.load(*((f"c{number}", CORRECTED) for number in corrected))
        found(ledger)
        ledger.sum_up(left_max=0)
        found(ledger)
    assert len(found(ledger)) == 2 * 14


def test_a_ledger_that_had_none_gets_them_in_steps(
    ledger: DuckDbLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several_entries, "LEFT_MAX", 1)
    monkeypatch.setattr(quarter_hours, "STEP", 2)
    calls = Calls(ledger)
    calls.load(("a", FIRST), ("b", FIRST), ("a", ATTEMPT), ("c", FIRST), ("b", CORRECTED))
    assert not ledger.keeps_calls_apart()
    for step in (2, 4, 5):
        with ledger._handle.cursor() as cursor:
            several_entries.sum_up(cursor, 2)
            assert quarter_hours.summed_entries(cursor, several_entries.COUNT) == step
        assert found(ledger) == ["e1", "e2", "e3", "e5"]
    assert ledger.keeps_calls_apart()


def test_copies_have_all_columns_of_entries(tmp_path: Path) -> None:
    open_duckdb(tmp_path).close()
    with duckdb.connect(str(tmp_path / "ledger.duckdb"), read_only=True) as connection:
        kinds = [
            connection.table(name).limit(0).description for name in ("entries", "several_entries")
        ]
    entries, copies = ([column[:2] for column in each] for each in kinds)
    assert copies[0][0] == "entry_number"
    assert copies[1:] == entries
