"""How long requests took, by the quarter-hour: of ledgers that had no such rows, and later ones."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb

from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper.domain.noted import NOTED
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.storage import plain_ranks
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.duckdb.schema import MIGRATIONS
from tollkeeper.storage.timed_columns import ROW

START_US = 1_790_000_100_000_000
_TIMED_SINCE = next(
    number
    for number, steps in enumerate(MIGRATIONS, start=1)
    if any("request_times" in step for step in steps)
)


def load(ledger: DuckDbLedger, batch: int, *durations_ms: int) -> None:
    """Load requests of one quarter-hour, of which every second has no first token, and more."""
    requests = [
        ledger_entry(
            started_at_us=START_US + batch * QUARTER_HOUR_US + number,
            duration_ms=duration_ms,
            ttft_ms=None if number % 2 else duration_ms // 2,
        )
        for number, duration_ms in enumerate(durations_ms)
    ]
    taken_back = {"corrects": requests[0].entry_id, "revision": 1, "sign": -1}
    correction = requests[0]._replace(entry_id=f"correction {batch}", **taken_back)
    ledger.append([*requests, correction], Position("segment", batch))


def values_of(ledger: DuckDbLedger, *, plain: bool = False) -> list[list[int]]:
    """Give the values of both columns, in order."""
    found = []
    for column in ("durations_ms", "ttfts_ms"):
        rows = plain_ranks.timed(ledger.entries()) if plain else ledger.timed(())
        table = ledger.each_value(rows.select(value=column), "value")
        found.append(sorted(row["value"] for row in ledger.run(table)))
    return found


def rows_of(ledger: DuckDbLedger) -> int:
    table = ledger.timed(())
    return int(ledger.run(table.agg(rows=table.count()))[0]["rows"])


def test_an_older_ledger_gets_its_rows_in_steps(tmp_path: Path) -> None:
    with closing(open_duckdb(tmp_path)) as ledger:
        load(ledger, 1, 5, 3, 5, 2**40)
        load(ledger, 2, 0, 7)
    with closing(duckdb.connect(str(tmp_path / "ledger.duckdb"))) as connection:
        connection.execute("DROP TABLE request_times")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN timed")
        connection.execute("DROP TABLE days")  # which came later still
        connection.execute("ALTER TABLE summed_entries DROP COLUMN daily")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN days_of")
        for finding in NOTED:
            connection.execute(f"DROP TABLE noted_{finding}")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN noted")
        connection.execute("DROP TABLE cache_quarter_hours")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN cached")
        connection.execute("DROP TABLE several_entries")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN several")
        connection.execute("DELETE FROM schema_versions WHERE version >= ?", [_TIMED_SINCE])
    expected = [[0, 3, 5, 5, 7, 2**40], [0, 2, 2]]
    with closing(open_duckdb(tmp_path)) as ledger:
        assert values_of(ledger) == values_of(ledger, plain=True) == expected
        assert rows_of(ledger) == 6  # each request is one as long as it is in no row of several
        ledger.sum_up(left_max=0)
        assert values_of(ledger) == expected
        assert rows_of(ledger) == 2
        load(ledger, 1, 9)  # a late one
        assert values_of(ledger) == values_of(ledger, plain=True)
        assert rows_of(ledger) == 3


def test_the_table_has_its_columns_in_their_order(tmp_path: Path) -> None:
    """Rows of several requests and single ones are put together by the places of their columns."""
    open_duckdb(tmp_path).close()
    with duckdb.connect(str(tmp_path / "ledger.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT * FROM request_times").description
    assert [column[0] for column in found] == [column.name for column in ROW]
