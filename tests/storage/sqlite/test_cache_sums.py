"""Sums of calls that used a cache, in SQLite: of older ledgers, which had fewer columns."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ledger_entries import ledger_entry
from ledgers import open_sqlite
from tollkeeper.ports import Position
from tollkeeper.storage.cache_columns import ROW
from tollkeeper.storage.sqlite.schema import MIGRATIONS

_FORMER, _SINCE = (
    (statement, number)
    for number, statements in enumerate(MIGRATIONS, start=1)
    for statement in statements
    if "CREATE TABLE cache_quarter_hours" in statement
)


def columns_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT * FROM cache_quarter_hours").description
    return [column[0] for column in found]


def test_the_sums_of_an_older_ledger_are_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(open_sqlite(tmp_path)) as ledger:
        ledger.append([ledger_entry(cache_write_tokens=7)], Position("a", 1))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE cache_quarter_hours")
        connection.execute("DROP TABLE small_quarter_hours")  # which came later
        connection.execute(_FORMER[0])
        connection.execute("UPDATE summed_entries SET cached = 1")
        connection.execute("DELETE FROM schema_versions WHERE version >= ?", [_SINCE[1]])
    assert "prompt_from" not in columns_of(path)
    with closing(open_sqlite(tmp_path)) as ledger:
        ledger.sum_up(left_max=0)
    assert columns_of(path) == [column.name for column in ROW]
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT cache_write_tokens FROM cache_quarter_hours")
    assert found == (7,)
