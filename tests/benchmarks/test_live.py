"""How long calls take to be on an open page: what is counted for it, and what never comes."""

from __future__ import annotations

from contextlib import closing
from math import inf
from pathlib import Path
from typing import cast

import duckdb

from benchmarks import past
from benchmarks.live import Run, waits_of
from benchmarks.open_pages import Heard, OpenPage, Told
from stores import NOW
from tollkeeper.storage.duckdb.ledger import DuckDbLedger


class Page:
    """What a page was told, without one."""

    def __init__(self, heard: list[Heard], told: list[Told]) -> None:
        self.heard, self.told = heard, told


def waits(calls: list[tuple[str, float]], counted: int, page: Page) -> tuple[list[float], ...]:
    found = waits_of(Run(calls, 0, counted, 0, 0, 0.0), [cast(OpenPage, page)])
    return found.stream_s, found.tiles_s, [found.lines]


def test_a_call_is_there_with_its_line_and_when_the_figures_count_it() -> None:
    page = Page(
        [Heard(1.5, ("a",), 0), Heard(3.0, ("b", "c"), 0)],
        [Told(0.0, 10), Told(2.0, 11), Told(3.5, 13)],
    )
    calls = [("a", 1.0), ("b", 2.0), ("c", 2.5)]
    assert waits(calls, 10, page) == ([0.5, 1.0, 0.5], [1.0, 1.5, 1.0], [3])


def test_a_call_that_gave_way_to_newer_ones_is_there_with_them() -> None:
    page = Page([Heard(2.0, ("c",), 2)], [Told(2.0, 3)])
    assert waits([("a", 1.0), ("b", 1.5), ("c", 1.75)], 0, page)[0] == [1.0, 0.5, 0.25]
    assert waits([("a", 1.0)], 0, page)[2] == [0]


def test_what_never_comes_is_waited_for_without_end() -> None:
    assert waits([("z", 1.0)], 7, Page([Heard(2.0, ("a",), 0)], [Told(2.0, 7)]))[:2] == (
        [inf],
        [inf],
    )


def test_a_past_has_its_entries_in_the_order_of_time_and_each_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    past.fill(path, 1_500, "acme", NOW, once=500)
    with closing(DuckDbLedger(path)) as ledger:
        assert ledger.positions() == {}
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT entry_id, started_at, org FROM entries").fetchall()
    assert len({row[0] for row in rows}) == len(rows) == 1_500
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    assert {row[2] for row in rows} == {"acme"}
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.duckdb"]
