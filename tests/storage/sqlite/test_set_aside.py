"""What is set aside in SQLite: as exact as any answer, for one snapshot, and read by numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Final

import ibis
import pytest

from ledger_entries import ledger_entry
from ledgers import open_sqlite
from tollkeeper.domain.sums import SESSION_KEY
from tollkeeper.ports import QUARTER_HOUR_US
from tollkeeper.reports import bindings
from tollkeeper.storage.sqlite.compiler import compiled
from tollkeeper.storage.sqlite.ledger import SqliteLedger

START_US: Final = 1_790_000_100_000_000
LARGE: Final = 2**62
TAGS: Final[tuple[dict[str, str], ...]] = (
    {"feature": "chat"},
    {"feature": "search", "env": "test"},
    {},
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteLedger]:
    """Give entries of two teams, three labels and shared sessions, the last not summed up."""
    with closing(open_sqlite(tmp_path_factory.mktemp("aside"))) as opened:
        entries = [
            ledger_entry(
                started_at_us=START_US + number % 5 * QUARTER_HOUR_US + number,
                team=f"team {number % 2}",
                tags=TAGS[number % 3],
                session_id=f"session {number % 7}",
                duration_ms=100 + number,
                cost_nanos=LARGE,
            )
            for number in range(24)
        ]
        opened.append(entries[:20], None)
        opened.sum_up(left_max=0)
        opened.append(entries[20:], None)
        yield opened


def test_what_is_set_aside_beyond_64_bits_is_read_as_it_is(ledger: SqliteLedger) -> None:
    table = ledger.summed_finely(())
    sums = table.group_by("team").agg(cost=table.cost_usd.sum())
    with ledger.snapshot():
        ledger.set_aside("aside", sums)
        kept = ibis.table(sums.schema(), name="aside")
        rows = ledger.run(kept.agg(most=kept.cost.max(), all_=kept.cost.sum()))
    nanos = Decimal(LARGE).scaleb(-9)
    assert rows == [{"most": 12 * nanos, "all_": 24 * nanos}]


def test_it_is_gone_with_its_snapshot(ledger: SqliteLedger) -> None:
    table = ledger.summed_finely(())
    counted = table.agg(entries=table.sign.sum())
    kept = ibis.table(counted.schema(), name="aside")
    for _ in range(2):
        with ledger.snapshot():
            ledger.set_aside("aside", counted)
            ledger.set_aside("aside", counted)
            assert ledger.run(kept) == [{"entries": 24}]
    with pytest.raises(Exception, match="no such table"):
        ledger.run(kept)


@pytest.mark.parametrize("times", [0, 1, 2])
def test_groups_of_numbers_are_those_of_texts(ledger: SqliteLedger, times: int) -> None:
    """With more groups beside them, numbers of like labels become one before they are grouped."""
    table = ledger.summed_finely(())
    feature = ledger.tag(table, "feature")
    also = {"at": table.started_at.epoch_seconds() > 0, "some": table[SESSION_KEY] > 3}
    groups = {"team": table.team, "feature": feature, **dict(list(also.items())[:times])}
    table = table.filter(feature.isnull() | (feature != "search"))
    found = table.group_by(**groups).agg(entries=table.sign.sum(), last=table.last_at.max())
    assert ("MIN(" in compiled(found, wide=False).text) is (times == 2)
    with ledger.snapshot():
        rows = ledger.run(found)
        ledger.set_aside("wide", table.agg(cost=table.cost_usd.sum()))
        assert ledger.run(found) == rows
    entries: dict[tuple[str, str | None], int] = {}
    for row in rows:
        key = row["team"], row["feature"]
        entries[key] = entries.get(key, 0) + row["entries"]
    assert entries == {
        ("team 0", "chat"): 4,
        ("team 1", "chat"): 4,
        ("team 0", None): 4,
        ("team 1", None): 4,
    }
    assert len({tuple(row[name] for name in groups) for row in rows}) == len(rows)


def test_each_value_of_a_cell_is_ranked(ledger: SqliteLedger) -> None:
    table = ledger.summed_finely(())
    feature = ledger.tag(table, "feature")
    rows = table.select(team=table.team, feature=feature, value=table.durations_ms)
    cells = rows.drop("value").distinct().mutate(of_team=ibis._.team)
    (one, other) = ledger.nearest_ranks(rows, "value", cells, [("of_team",)], 50)
    assert sorted([(one["of_team"], one["value"]), (other["of_team"], other["value"])]) == [
        ("team 0", 110),
        ("team 1", 111),
    ]


def test_lists_of_any_bytes_come_out_as_they_went_in(tmp_path: Path) -> None:
    """SQLite puts them together as a text, of which no byte may be taken for something else."""
    values = [0, 127, 128, 255, 0xD800, 0xFFFE, 0xC0AF, 2**31, 2**53 - 1, 0, *range(1_000)]
    with closing(open_sqlite(tmp_path)) as opened:
        entries = [
            ledger_entry(started_at_us=START_US + place, duration_ms=value)
            for place, value in enumerate(values)
        ]
        opened.append(entries, None)
        opened.sum_up(left_max=0)
        table = opened.summed_finely(())
        rows = table.select(team=table.team, at=table.started_at, value=table.durations_ms)
        cells = rows.drop("value").distinct().mutate(of_team=ibis._.team)
        for percent in (1, 50, 99, 100):
            (found,) = opened.nearest_ranks(rows, "value", cells, [("of_team",)], percent)
            assert found["value"] == sorted(values)[-(-len(values) * percent // 100) - 1]


def test_a_few_sessions_are_found_by_their_index(ledger: SqliteLedger) -> None:
    table = ledger.summed_finely(())
    known = table.filter(table.session_id.isin(["session 2", "session 5"]))
    numbers = [row["n"] for row in ledger.run(known.select(n=known[SESSION_KEY]).distinct())]
    few = bindings.among(table, SESSION_KEY, "few")
    asked = few.group_by("session_id", "team").agg(entries=few.sign.sum())
    values = {"few": numbers}
    query = compiled(asked, wide=False)
    with ledger._handle.reader() as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {query.text}", {"few": "[]"}).fetchall()
    assert any("finer_by_session" in row[3] for row in plan)
    rows = ledger.run(asked, values)
    sessions = [(number % 7, number % 2) for number in range(24)]
    assert {(row["session_id"], row["team"]): row["entries"] for row in rows} == {
        (f"session {session}", f"team {team}"): sessions.count((session, team))
        for session in (2, 5)
        for team in (0, 1)
    }
