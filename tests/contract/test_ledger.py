"""What every engine of the Ledger port must do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arbitrary_entries import any_entry
from ledger_entries import START_US, ledger_entry
from ledgers import ENGINES
from tollkeeper.domain.errors import EntriesRejected, LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import QUARTER_HOUR_US, Ledger, Position
from tollkeeper.reports import bindings
from tollkeeper.reports.call import entry_of
from tollkeeper.reports.zones import moment_of

ONCE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NASTY = ["'; DROP TABLE entries; --", "\x00", "a\nb", '"', "\\", "$1", "${x}", "%s", "é", "🦆", ""]
_orgs = count()


@pytest.fixture(params=ENGINES)
def open_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Opens the same ledger again and again; closes what is left open."""
    opened: list[Ledger] = []

    def open_again() -> Ledger:
        opened.append(ENGINES[request.param](tmp_path))
        return opened[-1]

    yield open_again
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[[], Ledger]) -> Ledger:
    return open_ledger()


def rows(ledger: Ledger) -> list[dict[str, Any]]:
    return ledger.run(ledger.entries().order_by("entry_id", "part"))


def stored(ledger: Ledger, org: str | None = None) -> list[LedgerEntry]:
    table = ledger.entries()
    if org is not None:
        table = table.filter(table.org == bindings.text("org"))
    renamed = {"started_at_us": "started_at", "corrected_at_us": "corrected_at"} | {
        f"{name}_nanos": f"{name}_usd"
        for name in ("cost", "list_cost", "saved", "provider_cost", "provider_list", "held")
    }
    columns = [renamed.get(field, field) for field in LedgerEntry._fields]
    found = ledger.run(table.select(*columns).order_by("entry_id", "part"), {"org": org})
    return [entry_of(row) for row in found]


def one(ledger: Ledger, **values: Any) -> dict[str, Any]:
    (row,) = ledger.run(ledger.entries().agg(**values))
    return row


# --------------------------------------------------------------------- what goes in comes out


def test_an_empty_ledger_answers(ledger: Ledger) -> None:
    table = ledger.entries()
    assert ledger.positions() == {}
    assert rows(ledger) == []
    assert one(ledger, cost=table.cost_usd.sum(), entries=table.count()) == {
        "cost": None,
        "entries": 0,
    }


@ONCE
@given(batch=st.lists(any_entry(), min_size=1, max_size=5))
def test_every_field_of_any_entry_comes_back(ledger: Ledger, batch: list[LedgerEntry]) -> None:
    org = f"org-{next(_orgs)}"
    batch = [entry._replace(org=org) for entry in batch]
    assert ledger.append(batch, Position("a", 1)) == len(batch)
    assert stored(ledger, org) == sorted(batch)


def test_an_unknown_cost_is_null_and_zero_is_zero(ledger: Ledger) -> None:
    ledger.append(
        [
            ledger_entry(entry_id="1", cost_nanos=None),
            ledger_entry(entry_id="2", cost_nanos=0),
            ledger_entry(entry_id="3", cost_nanos=-1),
        ],
        Position("a", 1),
    )
    assert [row["cost_usd"] for row in rows(ledger)] == [None, Decimal(0), Decimal("-1E-9")]


def test_amounts_sum_up_to_the_nano_dollar_whatever_their_size(ledger: Ledger) -> None:
    amounts = [2**63, 2**64 - 1, -(2**63), 1, -7, 10**24]
    ledger.append(
        [ledger_entry(cost_nanos=amount, list_cost_nanos=None) for amount in amounts],
        Position("a", 1),
    )
    table = ledger.entries()
    found = one(ledger, cost=table.cost_usd.sum(), listed=table.list_cost_usd.sum())
    assert found == {"cost": Decimal(sum(amounts)).scaleb(-9), "listed": None}


def test_token_sums_do_not_overflow(ledger: Ledger) -> None:
    ledger.append(
        [ledger_entry(input_tokens=2**62, output_tokens=2**62) for _ in range(9)],
        Position("a", 1),
    )
    table = ledger.entries()
    found = one(ledger, read=table.input_tokens.sum(), wrote=table.tokens_out.sum())
    assert found == {"read": 9 * 2**62, "wrote": 9 * 2**62}


def test_times_are_utc_to_the_microsecond(ledger: Ledger) -> None:
    ledger.append([ledger_entry(started_at_us=START_US + 123_457)], Position("a", 1))
    (row,) = rows(ledger)
    assert row["started_at"].isoformat() == "2026-09-21T14:13:20.123457+00:00"


def test_derived_columns_count_as_the_domain_does(ledger: Ledger) -> None:
    ledger.append(
        [
            ledger_entry(entry_id="ok"),
            ledger_entry(entry_id="refused", outcome="refused"),
            ledger_entry(entry_id="failed", outcome="upstream_failed", cost_nanos=None),
            ledger_entry(entry_id="part", part=1, cost_nanos=None, outcome="upstream_failed"),
            ledger_entry(entry_id="z_correction", corrects="ok", cost_nanos=None),
            ledger_entry(
                entry_id="zz_tokens",
                input_tokens=1,
                cache_read_tokens=10,
                cache_read_audio_tokens=100,
                cache_write_tokens=1_000,
                output_tokens=2,
                reasoning_tokens=20,
            ),
        ],
        Position("a", 1),
    )
    found = {
        row["entry_id"]: (row["requests"], row["refusals"], row["errors"], row["unpriced"])
        for row in rows(ledger)
    }
    assert found == {
        "ok": (1, 0, 0, 0),
        "refused": (0, 1, 0, 0),
        "failed": (1, 0, 1, 1),
        "part": (0, 0, 0, 1),
        "z_correction": (0, 0, 0, 0),
        "zz_tokens": (1, 0, 0, 0),
    }
    last = rows(ledger)[-1]
    assert (last["tokens_in"], last["tokens_cached"], last["tokens_out"]) == (1_111, 110, 22)


# --------------------------------------------------------------------- tags and bound values


def test_tags_hold_any_text_and_are_found_by_key(ledger: Ledger) -> None:
    tags = {key: f"value of {key!r}" for key in NASTY} | {"feature": "chat", "a.b-c_D": "x"}
    ledger.append(
        [ledger_entry(entry_id="1", tags=tags), ledger_entry(entry_id="2", tags={})],
        Position("a", 1),
    )
    table = ledger.entries().order_by("entry_id")
    found = ledger.run(
        table.select(
            feature=ledger.tag(table, "feature"),
            dotted=ledger.tag(table, "a.b-c_D"),
            absent=ledger.tag(table, "absent"),
        )
    )
    assert found == [
        {"feature": "chat", "dotted": "x", "absent": None},
        {"feature": None, "dotted": None, "absent": None},
    ]
    assert stored(ledger)[0].tags == tags


@pytest.mark.parametrize("key", ["", "a b", "a'b", 'a"b', "$.a", "a" * 65, "ü", "a\n", "a]"])
def test_a_tag_key_outside_the_pattern_is_refused(ledger: Ledger, key: str) -> None:
    with pytest.raises(ValueError, match="tag's key"):
        ledger.tag(ledger.entries(), key)


@pytest.mark.parametrize("text", [*NASTY, "tollkeeper_bound_text('org')", "' OR '1'='1"])
def test_bound_values_are_values_and_nothing_else(ledger: Ledger, text: str) -> None:
    ledger.append([ledger_entry(team=text), ledger_entry(team="other")], Position("a", 1))
    table = ledger.entries()
    asked = table.filter(table.team == bindings.text("team")).select("team")
    assert ledger.run(asked, {"team": text, "spare": 1}) == [{"team": text}]
    assert len(rows(ledger)) == 2


def test_all_kinds_of_bound_values(ledger: Ledger) -> None:
    ledger.append(
        [ledger_entry(entry_id="1"), ledger_entry(entry_id="2", streamed=True, status=500)],
        Position("a", 1),
    )
    table = ledger.entries()
    asked = table.filter(
        table.status == bindings.integer("status"),
        table.streamed == bindings.flag("streamed"),
        table.started_at >= bindings.moment("start"),
    )
    start = rows(ledger)[0]["started_at"]
    values = {"status": 500, "streamed": True, "start": start}
    assert [row["entry_id"] for row in ledger.run(asked, values)] == ["2"]
    assert ledger.run(asked, values | {"status": 200}) == []


# --------------------------------------------------------------------- exactly once


def test_a_position_moves_with_its_batch(ledger: Ledger) -> None:
    assert ledger.append([ledger_entry()], Position("a", 100)) == 1
    assert ledger.append([ledger_entry(), ledger_entry()], Position("a", 250)) == 2
    assert ledger.append([], Position("b", 21)) == 0
    assert ledger.positions() == {"a": 250, "b": 21}
    ledger.forget(["a", "never heard of"])
    ledger.forget([])
    assert ledger.positions() == {"b": 21}


def test_a_batch_that_comes_again_adds_nothing(ledger: Ledger) -> None:
    batch = [ledger_entry(started_at_us=START_US + number) for number in range(50)]
    assert ledger.append(batch, Position("a", 10)) == 50
    assert ledger.append(batch, Position("a", 10)) == 0
    overlapping = [*batch[40:], ledger_entry(started_at_us=START_US - 10**9)]
    assert ledger.append(overlapping, Position("other", 5)) == 1
    assert len(rows(ledger)) == 51


def test_copies_within_a_batch_are_stored_once(ledger: Ledger) -> None:
    first = ledger_entry()
    changed = first._replace(team="changed")
    part = first._replace(part=1)
    assert ledger.append([first, changed, part, first], Position("a", 1)) == 2
    assert [(row["part"], row["team"]) for row in rows(ledger)] == [(0, "core"), (1, "core")]


def test_a_position_never_moves_back(ledger: Ledger) -> None:
    ledger.append([ledger_entry()], Position("a", 100))
    ledger.append([ledger_entry()], Position("a", 50))
    assert ledger.positions() == {"a": 100}


def test_corrections_stand_beside_what_they_correct(ledger: Ledger) -> None:
    entry = ledger_entry(cost_nanos=5)
    ledger.append([entry], Position("a", 1))
    ledger.append([ledger_entry(corrects=entry.entry_id, cost_nanos=-2)], Position("a", 2))
    table = ledger.entries()
    assert one(ledger, cost=table.cost_usd.sum(), n=table.count()) == {
        "cost": Decimal("3E-9"),
        "n": 2,
    }


def test_a_pair_takes_back_and_books_anew(ledger: Ledger) -> None:
    """Whoever sums counts right, also by what the correction changed."""
    entry = ledger_entry(cost_nanos=None, basis="unpriced", outcome="upstream_failed")
    pair = entry._replace(corrects=entry.entry_id, revision=1)
    taken = {"input_tokens": -48, "output_tokens": -14, "list_cost_nanos": -208_000}
    back = pair._replace(entry_id="x~1-", sign=-1, **taken)
    anew = pair._replace(entry_id="x~1+", sign=1, cost_nanos=7, basis="measured")
    assert ledger.append([entry], Position("a", 1)) == 1
    assert ledger.append([back, anew], None) == 2
    assert ledger.append([back, anew], None) == 0
    assert ledger.positions() == {"a": 1}
    table = ledger.entries()
    sums = {
        name: table[name].sum()
        for name in ("requests", "errors", "unpriced", "tokens_in", "tokens_out", "sign")
    }
    found = ledger.run(table.group_by("basis").agg(cost=table.cost_usd.sum(), **sums))
    by_basis = {row.pop("basis"): row for row in found}
    assert set(by_basis["unpriced"].values()) == {None, 0}
    assert by_basis["measured"] == {
        "cost": Decimal("7E-9"),
        "requests": 1,
        "errors": 1,
        "unpriced": 0,
        "tokens_in": 48,
        "tokens_out": 14,
        "sign": 1,
    }


def test_everything_is_there_after_opening_again(open_ledger: Callable[[], Ledger]) -> None:
    ledger = open_ledger()
    batch = [ledger_entry() for _ in range(7)]
    ledger.append(batch, Position("a", 1))
    ledger.maintain()
    ledger.append([ledger_entry()], Position("a", 2))
    ledger.close()
    again = open_ledger()
    assert again.positions() == {"a": 2}
    assert len(rows(again)) == 8
    assert again.append(batch, Position("a", 2)) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"input_tokens": 2**63},
        {"input_tokens": 2**62, "cache_read_tokens": 2**62},  # together more than a column holds
        {"cost_nanos": 10**40},
        {"started_at_us": 10**18},
        {"team": "half a pair: \ud800"},
    ],
    ids=["integer", "sum", "money", "time", "text"],
)
def test_a_batch_with_an_unstorable_entry_is_refused_whole(
    ledger: Ledger, change: dict[str, Any]
) -> None:
    good, bad = ledger_entry(), ledger_entry(**change)
    with pytest.raises(EntriesRejected) as caught:
        ledger.append([good, bad], Position("a", 9))
    assert caught.value.entry_ids == {bad.entry_id}
    assert rows(ledger) == []
    assert ledger.positions() == {}
    assert ledger.append([good], Position("a", 9)) == 1


# --------------------------------------------------------------------- many at once


def test_readers_and_the_writer_do_not_disturb_each_other(ledger: Ledger) -> None:
    table = ledger.entries()
    sums = table.agg(n=table.count(), cost=table.cost_usd.sum())
    faults: list[object] = []
    done = threading.Event()

    def read() -> None:
        last = 0
        while not done.is_set():
            (row,) = ledger.run(sums)
            whole = row["n"] % 10 == 0 and row["n"] >= last
            if not whole or (row["cost"] or 0) != Decimal(row["n"]).scaleb(-9):
                faults.append(row)
            last = row["n"]

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(40):
        batch = [ledger_entry(cost_nanos=1) for _ in range(10)]
        ledger.append(batch, Position("a", number + 1))
        if number % 10 == 0:
            ledger.maintain()
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert ledger.run(sums) == [{"n": 400, "cost": Decimal("4E-7")}]


def test_a_snapshot_does_not_see_what_comes_later(ledger: Ledger) -> None:
    table = ledger.entries()
    counted = table.agg(n=table.count())
    ledger.append([ledger_entry()], Position("a", 1))

    def append_elsewhere() -> None:
        ledger.append([ledger_entry()], Position("a", 2))

    with ledger.snapshot():
        assert ledger.run(counted) == [{"n": 1}]
        other = threading.Thread(target=append_elsewhere)
        other.start()
        other.join()
        with ledger.snapshot():
            assert ledger.run(counted) == [{"n": 1}]
    assert ledger.run(counted) == [{"n": 2}]


def test_a_snapshot_ends_with_the_failure_inside_it(ledger: Ledger) -> None:
    table = ledger.entries()
    with pytest.raises(KeyError), ledger.snapshot():
        ledger.run(table.filter(table.team == bindings.text("team")), {})
    ledger.append([ledger_entry()], Position("a", 1))
    assert len(rows(ledger)) == 1


def test_writers_of_different_threads_take_turns(ledger: Ledger) -> None:
    def load(segment: str, batches: Sequence[list[LedgerEntry]]) -> None:
        for number, batch in enumerate(batches, 1):
            ledger.append(batch, Position(segment, number))

    threads = [
        threading.Thread(target=load, args=(name, [[ledger_entry()] for _ in range(15)]))
        for name in ("a", "b", "c")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(ledger)) == 45
    assert ledger.positions() == {"a": 15, "b": 15, "c": 15}


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.positions()
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.append([ledger_entry()], Position("a", 1))


# --------------------------------------------------------------------- sums and ranks


def test_percentiles_are_values_at_the_nearest_rank(ledger: Ledger) -> None:
    """In whole numbers: 0.95 * 20 is a little more than 19 where it is not exact."""
    entries = [
        ledger_entry(org=f"of {size}", duration_ms=3 * number)
        for size in (1, 2, 19, 20, 21, 40, 99, 100, 101)
        for number in range(1, size + 1)
    ]
    ledger.append(entries, Position("a", 1))
    table = ledger.entries()
    ranks = {f"p{each}": ledger.nearest_rank(table.duration_ms, each) for each in (1, 50, 95, 99)}
    found = ledger.run(table.group_by("org").agg(size=table.count(), **ranks))
    assert len(found) == 9
    for row in found:
        for percent in (1, 50, 95, 99):
            assert row[f"p{percent}"] == 3 * -(-row["size"] * percent // 100)


def test_sums_hold_every_entry_once_whatever_was_summed_up(ledger: Ledger) -> None:
    """Also those that come late, or for a quarter-hour that was summed up already."""
    edge = (bindings.moment("edge"), bindings.moment("end"))
    begin_us = START_US - START_US % QUARTER_HOUR_US
    bounds = {"edge": moment_of(begin_us), "end": moment_of(begin_us + QUARTER_HOUR_US)}
    for turn in range(3):
        ledger.append(
            [
                ledger_entry(started_at_us=START_US + number * 300_000_000, cost_nanos=number)
                for number in range(-8, 8)
            ],
            Position("a", turn + 1),
        )
        ledger.maintain()
        for edges in ((), (edge,)):
            table = ledger.summed(edges)
            sums = table.agg(cost=table.cost_usd.sum(), entries=table.sign.sum())
            assert ledger.run(sums, bounds) == [
                {"cost": Decimal(-8 * (turn + 1)).scaleb(-9), "entries": 16 * (turn + 1)}
            ]
