"""Queries are parsed once, and run with other values, on other cursors, at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import duckdb

from tollkeeper.storage.duckdb.parsed import ParsedQueries

TEXT = "SELECT $number + range AS found FROM range($rows)"


def test_a_parsed_query_runs_with_other_values_on_many_threads() -> None:
    parsed = ParsedQueries(2)
    with duckdb.connect(":memory:") as connection:
        first = parsed.of(connection, TEXT)

        def ask(number: int) -> list[tuple[int]]:
            with connection.cursor() as cursor:
                query = parsed.of(cursor, TEXT)
                return cursor.execute(query, {"number": number, "rows": 3}).fetchall()

        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(ask, range(40)))
        assert found == [[(number,), (number + 1,), (number + 2,)] for number in range(40)]
        assert parsed.of(connection, TEXT) is first


def test_no_more_than_so_many_are_remembered() -> None:
    parsed = ParsedQueries(2)
    with duckdb.connect(":memory:") as connection:
        first = parsed.of(connection, "SELECT 1")
        for number in (2, 3):
            assert connection.execute(parsed.of(connection, f"SELECT {number}")).fetchall() == [
                (number,)
            ]
        assert parsed.of(connection, "SELECT 1") is not first
