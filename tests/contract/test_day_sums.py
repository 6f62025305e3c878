"""What every engine that sums up days must do: each entry is in one row, whatever the zone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import ibis
import pytest

from ledger_entries import ledger_entry
from ledgers import open_duckdb, open_sqlite
from tollkeeper.domain.zones import UnevenDays, day_around, epoch_us_of, even_days, moment_of
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger
from tollkeeper.storage.summed_columns import DAY_ROW

Opened = DuckDbLedger | SqliteLedger
Open = Callable[[Path, str], Opened]

BERLIN: Final = "Europe/Berlin"
FROM_US: Final = epoch_us_of(datetime(2026, 10, 23, 12, tzinfo=UTC))  # clocks change on the 25th
ENTRIES: Final = 240
HALF_AN_HOUR_US: Final = QUARTER_HOUR_US * 2


@pytest.fixture(params=[open_duckdb, open_sqlite], ids=["duckdb", "sqlite"])
def opened(request: pytest.FixtureRequest) -> Open:
    found: Open = request.param
    return found


def fill(ledger: Opened, segment: str = "a") -> None:
    """Put an entry into each half-hour of five days, and sum all of them up."""
    entries = [
        ledger_entry(started_at_us=FROM_US + number * HALF_AN_HOUR_US, cost_nanos=1 << number % 30)
        for number in range(ENTRIES)
    ]
    ledger.append(entries, Position(segment, 1))
    ledger.sum_up(left_max=0)


def of_entries(ledger: Opened) -> dict[str, Any]:
    table = ledger.entries()
    return ledger.run(table.agg(cost=table.cost_usd.sum(), entries=table.sign.sum()))[0]


def of_days(ledger: Opened, *cut_us: int) -> tuple[dict[str, Any], int]:
    """Give the sums of all days, and the number of rows; the moments cut days in two."""
    zone = ZoneInfo(ledger.days_zone() or "UTC")
    edges = [(at_us - at_us % QUARTER_HOUR_US) for at_us in cut_us]
    bounds = [_bounds(at_us, at_us + QUARTER_HOUR_US) for at_us in edges]
    days = [_bounds(*day_around(at_us, zone)) for at_us in cut_us]
    table = ledger.summed_daily(bounds, days)
    assert table.columns == tuple(column.name for column in DAY_ROW)
    sums = {"cost": table.cost_usd.sum(), "entries": table.sign.sum(), "rows": table.count()}
    found = ledger.run(table.agg(**sums))[0]
    return found, found.pop("rows")


def _bounds(first_us: int, after_us: int) -> tuple[ibis.Value, ibis.Value]:
    first, after = (ibis.literal(moment_of(us).replace(tzinfo=None)) for us in (first_us, after_us))
    return first, after


def test_a_day_is_one_row_and_one_that_is_cut_is_read_by_itself(
    opened: Open, tmp_path: Path
) -> None:
    with closing(opened(tmp_path, BERLIN)) as ledger:
        fill(ledger)
        assert ledger.days_zone() == BERLIN
        assert of_days(ledger) == (of_entries(ledger), 6)  # five days from noon to noon
        cut_us = FROM_US + 86_400_000_000 + 7 * QUARTER_HOUR_US + 1
        sums, rows = of_days(ledger, cut_us)
        assert sums == of_entries(ledger)
        assert rows == 5 + 48
        ledger.append([ledger_entry(started_at_us=cut_us)], Position("late", 1))
        sums, rows = of_days(ledger, cut_us)
        assert sums == of_entries(ledger)
        assert rows == 5 + 49
        assert of_days(ledger) == (sums, 7)


def test_quarter_hours_that_are_in_no_day_yet_are_taken_as_they_are(
    opened: Open, tmp_path: Path
) -> None:
    with closing(opened(tmp_path, BERLIN)) as ledger:
        fill(ledger)
    with closing(opened(tmp_path, "")) as ledger:  # whoever names no zone leaves days alone
        fill(ledger, "b")
        assert ledger.days_zone() == BERLIN
        assert of_days(ledger) == (of_entries(ledger), 6 + ENTRIES)
        assert of_days(ledger, FROM_US + 5)[0] == of_entries(ledger)
    with closing(opened(tmp_path, BERLIN)) as ledger:
        ledger.sum_up(left_max=0)
        assert of_days(ledger) == (of_entries(ledger), 12)


def test_days_of_another_zone_are_summed_up_anew(opened: Open, tmp_path: Path) -> None:
    with closing(opened(tmp_path, BERLIN)) as ledger:
        fill(ledger)
    with closing(opened(tmp_path, "Asia/Kathmandu")) as ledger:
        assert ledger.days_zone() == ""
        ledger.sum_up(left_max=0)
        assert ledger.days_zone() == "Asia/Kathmandu"
        assert of_days(ledger) == (of_entries(ledger), 6)
    with closing(opened(tmp_path, "Asia/Kathmandu")) as ledger:
        assert ledger.days_zone() == "Asia/Kathmandu"


@pytest.mark.parametrize("name", ["Asia/Tokyo", "Nowhere/Atlantis", "Etc/GMT-2"])
def test_days_that_are_none_of_the_zone_are_not_used(
    opened: Open, tmp_path: Path, name: str
) -> None:
    """The rules of a zone change now and then, for days that are over as well."""
    with closing(opened(tmp_path, BERLIN)) as ledger:
        fill(ledger)
    _rename(tmp_path, name)
    with closing(opened(tmp_path, "")) as ledger:
        assert ledger.days_zone() == ""
    with closing(opened(tmp_path, BERLIN)) as ledger:
        ledger.sum_up(left_max=0)
        assert ledger.days_zone() == BERLIN
        assert of_days(ledger) == (of_entries(ledger), 6)


def _rename(folder: Path, name: str) -> None:
    if (folder / "ledger.duckdb").exists():
        with closing(duckdb.connect(str(folder / "ledger.duckdb"))) as file:
            file.execute("UPDATE summed_entries SET days_of = $1", [name])
    else:
        with closing(sqlite3.connect(folder / "ledger.sqlite3")) as other, other:
            other.execute("UPDATE summed_entries SET days_of = ?", [name])


def test_where_a_day_begins_within_a_quarter_hour_none_are_summed_up(
    opened: Open, tmp_path: Path
) -> None:
    long_ago_us = epoch_us_of(datetime(1889, 5, 6, tzinfo=UTC))  # when clocks went by the sun
    with closing(opened(tmp_path, "Europe/Amsterdam")) as ledger:
        ledger.append([ledger_entry(started_at_us=long_ago_us)], Position("old", 1))
        fill(ledger)
        assert ledger.days_zone() == ""
        assert of_days(ledger)[0] == of_entries(ledger)
        ledger.sum_up(left_max=0)
        assert ledger.days_zone() == ""


def test_a_sum_beyond_64_bits_is_made_of_several_rows(opened: Open, tmp_path: Path) -> None:
    with closing(opened(tmp_path, BERLIN)) as ledger:
        entries = [
            ledger_entry(
                started_at_us=FROM_US + number * QUARTER_HOUR_US,
                input_tokens=2**62,
                cost_nanos=2**62,
            )
            for number in range(5)
        ]
        ledger.append(entries, Position("wide", 1))
        for _ in range(6):
            ledger.sum_up(left_max=0)
        assert of_days(ledger)[0] == of_entries(ledger)


def test_the_table_has_its_columns_in_their_order(tmp_path: Path) -> None:
    open_duckdb(tmp_path).close()
    open_sqlite(tmp_path).close()
    with closing(duckdb.connect(str(tmp_path / "ledger.duckdb"))) as file:
        found = [column[0] for column in file.execute("SELECT * FROM days").description or ()]
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as other:
        described = other.execute("SELECT * FROM days").description
    assert found == [column[0] for column in described] == [column.name for column in DAY_ROW]


def test_days_begin_when_clocks_say_so() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    hours_us = [FROM_US - 25 * 86_400_000_000 + 3_600_000_000 * number for number in range(24 * 30)]
    found = even_days(hours_us, lord_howe)
    assert [moment_of(at).astimezone(lord_howe).hour for at in found] == [0] * 31
    assert {(after - at) / 3_600_000_000 for at, after in pairwise(found)} == {
        23.5,
        24.0,
    }
    with pytest.raises(UnevenDays):
        even_days([-62_135_596_800_000_000 - 1], lord_howe)
