"""Parts of a union that are added up by themselves come to the same, whatever is asked of them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pytest

from ledger_entries import ledger_entry
from ledgers import open_sqlite
from tollkeeper.ports import Position
from tollkeeper.storage.sqlite import wide_numbers
from tollkeeper.storage.sqlite.compiler import Compiler
from tollkeeper.storage.sqlite.partial_sums import added_up_by_part

COLUMNS = {"team": "string", "cost": "int64", "at": "int64"}
FIRST, SECOND, THIRD = (ibis.table(COLUMNS, name=name) for name in ("one", "two", "three"))
ROWS = {
    "one": [("a", 1, 10), ("a", 2, 20), ("b", None, 30), ("c", 9, 5)],
    "two": [("a", 4, 11), ("b", None, 31)],
    "three": [],
}


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        wide_numbers.install(opened)
        for name, rows in ROWS.items():
            opened.execute(f"CREATE TABLE {name} (team, cost, at)")
            opened.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", rows)  # noqa: S608
        yield opened


def questions() -> Iterator[tuple[bool, ir.Table]]:
    """Give what is asked, and whether each part is added up by itself then."""
    rows = ibis.union(FIRST, SECOND, THIRD, distinct=False)
    late = rows.filter(rows.at > 5).mutate(twice=rows.at * 2)
    sums = {
        "cost": late.cost.sum(),
        "both": late.cost.sum() + late["at"].sum(),
        "some": late.cost.sum(where=late["at"] < 20),
        "count": late.count(),
        "known": late.cost.count(),
        "first": late["at"].min(),
        "last": late.twice.max(where=late.team != "b"),
        "newest": late.cost.argmax(late["at"]),
        "oldest": late.twice.argmin(late["at"]),
    }
    yield True, late.group_by("team").agg(**sums)
    yield True, late.agg(**sums)
    yield True, late.group_by(old=late["at"] < 15).agg(rows=late.count())
    newest = late.team.argmax(late["at"])
    yield True, late.group_by(old=late["at"] < 15).agg(who=newest, newest=late["at"].max())
    yield False, late.agg(who=late.team.argmax(late["at"], where=late["at"] < 15))
    yield False, late.group_by("team").agg(teams=late["at"].nunique())
    yield False, ibis.union(FIRST, SECOND, distinct=True).agg(cost=ibis._.cost.sum())
    known = rows.filter(rows.team.isin(rows.filter(rows.cost > 3).team))
    yield False, known.group_by("team").agg(cost=known.cost.sum())


@pytest.mark.parametrize(("apart", "asked"), list(questions()))
def test_the_answer_is_the_same(
    connection: sqlite3.Connection, apart: bool, asked: ir.Table
) -> None:
    plain, found = (_sql(each) for each in (asked, added_up_by_part(asked)))
    assert (plain != found) is apart
    answers = [connection.execute(text).fetchall() for text in (plain, found)]
    assert Counter(answers[0]) == Counter(answers[1])
    assert answers[0]


def _sql(expression: ir.Table) -> str:
    compiler = Compiler()
    return str(compiler.to_sqlglot(expression).sql(dialect=compiler.dialect))


def test_sums_beyond_64_bits_are_exact_by_part_and_by_the_second(tmp_path: Path) -> None:
    large = {"cache_write_tokens": 0, "cache_read_tokens": 2**62, "input_tokens": 5}
    at_us = 1_790_000_100_000_000
    entries = [
        ledger_entry(started_at_us=at_us + n, output_tokens=2**63 - 1, **large) for n in (1, 2)
    ]
    with closing(open_sqlite(tmp_path)) as ledger:
        for batch, entry in enumerate(entries):
            ledger.append([entry], Position("segment", batch + 1))
            if not batch:
                ledger.sum_up(left_max=0)
        for table in (ledger.entries(), ledger.summed(()), ledger.summed_finely(())):
            both = table.tokens_in.sum() + table.tokens_out.sum()
            second = table.started_at.epoch_seconds() // 900
            for asked in (table.agg(n=both), table.group_by(second=second).agg(n=both)):
                assert [row["n"] for row in ledger.run(asked)] == [2**63 + 10 + 2**64 - 2]
