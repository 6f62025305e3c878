"""Statements add up to the ledger, never change once issued, and are issued once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from ledger_entries import ledger_entry, new_id
from repricing_desk import Desk, book, called
from statement_desks import Books, copied_store, made_store, memory_ledger
from stores import DAY, HOUR
from tollkeeper.domain.errors import BadRequest, Conflict
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.domain.months import month_bounds_us, month_named
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.sharing import Sharing, Split
from tollkeeper.domain.statements import next_open
from tollkeeper.domain.usage import Usage
from tollkeeper.ports import Ledger
from tollkeeper.services import months
from tollkeeper.services.statement_documents import (
    canonical,
    sha256_of,
    statement_document,
    statement_of,
)
from tollkeeper.services.statements import ISSUED, LOCKED, OPEN, RUNNING
from tollkeeper.storage.store.schema import issued_statements

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")
MONTHS = ("2026-10", "2026-11", "2026-12")  # clocks go back in the first two
TEAMS = ("core", "search", "platform", "")
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_store(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    """One ledger for all: a company each, since an engine takes long to be asked first."""
    made = memory_ledger()
    yield made
    made.close()


@pytest.fixture
def books(ledger: Ledger, empty: Path, tmp_path: Path) -> Iterator[Books]:
    made = Books(ledger, copied_store(empty, tmp_path), org=new_id())
    yield made
    made.store.close()


# --------------------------------------------------------------------- it adds up

sharings = st.one_of(
    st.builds(
        Sharing,
        st.sampled_from([Split.USAGE, Split.EVEN]),
        st.sampled_from([frozenset(), frozenset({"platform"})]),
        st.sampled_from([(), (("cost", "shared"),)]),
    ),
    st.just(Sharing(Split.FIXED, weights={"core": 3, "search": 1, "new": 2})),
)
near_ends = st.sampled_from([0, 1, HOUR, DAY, 3 * DAY, -1, -HOUR, -DAY])


@st.composite
def entries(draw: st.DrawFn, zone: str) -> LedgerEntry:
    """An entry near the beginning or the end of a month in a zone, or in its middle."""
    start_us, end_us = month_bounds_us(draw(st.sampled_from(MONTHS)), ZoneInfo(zone))
    away_us = draw(near_ends)
    cost = draw(st.none() | st.integers(-(10**6), 10**12))
    return ledger_entry(
        started_at_us=(start_us if away_us >= 0 else end_us) + away_us,
        team=draw(st.sampled_from(TEAMS)),
        provider=draw(st.sampled_from(["openai", ""])),
        model_served=draw(st.sampled_from(["a", "b"])),
        basis=Basis.UNPRICED if cost is None else draw(st.sampled_from(list(Basis))),
        cost_nanos=cost,
        list_cost_nanos=draw(st.none() | st.integers(0, 10**12)),
        outcome=draw(st.sampled_from([Outcome.OK, Outcome.REFUSED])),
        tags=draw(st.sampled_from([{}, {"feature": "chat"}, {"cost": "shared"}])),
    )


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_statements_add_up_to_the_ledger_whatever_is_learned_later(
    ledger: Ledger, empty: Path, data: st.DataObject
) -> None:
    require_that_it_adds_up(ledger, empty, data)


@pytest.mark.long
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_statements_add_up_to_the_ledger_at_length(
    ledger: Ledger, empty: Path, data: st.DataObject
) -> None:
    require_that_it_adds_up(ledger, empty, data)


def require_that_it_adds_up(ledger: Ledger, empty: Path, data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(ZONES))
    with TemporaryDirectory() as folder:
        store = copied_store(empty, Path(folder))
        made = Books(ledger, store, zone, data.draw(sharings), org=new_id())
        loaded = _loaded(made, data, zone)
        by_month: dict[str, int] = defaultdict(int)
        for entry in loaded:
            by_month[month_named(entry.started_at_us, made.zone)] += entry.cost_nanos or 0
        for month in MONTHS:
            assert made.statement(month).totals().cost_nanos == by_month[month]
        told = {}
        for month in data.draw(st.permutations(MONTHS[:2]))[: data.draw(st.integers(1, 2))]:
            before = statement_document(made.statement(month))
            told[month] = statement_document(made.desk.close(month, "fin").statement)
            assert told[month] == before
            loaded += _loaded(made, data, zone)
        whole = sum(entry.cost_nanos or 0 for entry in loaded)
        statements = [made.statement(month) for month in (*MONTHS, "2027-01")]
        assert sum(each.totals().cost_nanos for each in statements) == whole
        assert sum(each.totals().requests for each in statements) == sum(
            entry.outcome != Outcome.REFUSED for entry in loaded
        )
        for each in statements:
            parts = [each.of(frozenset({team})).totals() for team in each.teams]
            assert sum(part.cost_nanos for part in parts) == each.totals().cost_nanos
            assert sum(share.cost_nanos for share in each.shares) == 0
            assert statement_of(statement_document(each)) == each._replace(
                uses=list(each.uses), shares=list(each.shares), seats=list(each.seats)
            )
        for month, document in told.items():
            assert statement_document(made.statement(month)) == document
        store.close()


def _loaded(made: Books, data: st.DataObject, zone: str) -> list[LedgerEntry]:
    found = data.draw(st.lists(entries(zone), max_size=8))
    if found:
        made.load(*found)
    return found


@pytest.mark.parametrize(
    ("zone", "hours"), [("Europe/Berlin", 31 * 24 + 1), ("America/New_York", 31 * 24)]
)
def test_a_month_is_as_long_as_its_days_are(books: Books, zone: str, hours: int) -> None:
    made = Books(books.ledger, books.store, zone, org=books.org)
    start_us, end_us = month_bounds_us("2026-10", made.zone)
    made.load(
        *(
            ledger_entry(started_at_us=at_us, cost_nanos=cost)
            for at_us, cost in (
                (start_us - 1, 1),
                (start_us, 10),
                (end_us - 1, 100),
                (end_us, 9),
            )
        )
    )
    found = made.statement("2026-10")
    assert (found.end_us - found.start_us, found.totals().cost_nanos) == (hours * HOUR, 110)


def test_shared_cost_goes_to_the_teams_by_their_own_use(books: Books) -> None:
    sharing = Sharing(teams=frozenset({"platform"}), tags=(("cost", "shared"),))
    made = Books(books.ledger, books.store, sharing=sharing, org=books.org)
    for team, cost, tags in (
        ("core", 300, {}),
        ("search", 100, {}),
        ("search", 50, {"cost": "shared"}),
        ("platform", 20, {}),
        ("", 31, {}),
    ):
        made.load(
            ledger_entry(
                started_at_us=made.at("2026-10"), team=team, cost_nanos=cost, tags=tags,
                list_cost_nanos=2 * cost,
            )
        )  # fmt: skip
    found = made.statement("2026-10")
    # 101 are shared, three quarters of it core's: 75.75 and 25.25
    assert [(team, made.booked("2026-10", team)) for team in found.teams] == [
        *(("", 0), ("core", 376), ("platform", 0), ("search", 125)),
    ]
    assert [(each.team, each.cost_nanos) for each in found.shares] == [
        *(("", -31), ("platform", -20), ("search", -50)),
        *(("core", 76), ("search", 25)),
    ]
    assert found.totals().list_nanos == 1002


# --------------------------------------------------------------------- what is learned later


def test_a_price_that_is_known_later_stands_in_the_next_open_month(books: Books) -> None:
    desk = Desk(books.ledger, books.store, book("old", {"blue": "1"}))
    made = Books(books.ledger, books.store, org=desk.org)
    october, usage = made.at("2026-10"), Usage({"input": 1_000_000})
    desk.load([called(october, "red", usage, desk.book, team="core")])
    made.desk.close("2026-10", "fin")
    made.desk.close("2026-11", "fin")
    before = canonical(statement_document(made.statement("2026-10")))
    desk.book = book("new", {"red": "4"})
    (step,) = desk.reprice(most=10)
    assert (step.corrected, step.closed) == (1, [])
    assert canonical(statement_document(made.statement("2026-10"))) == before
    assert made.statement("2026-11").totals().cost_nanos == 0
    corrections = made.statement("2026-12").corrections
    assert [
        (use.key.month, use.key.basis, use.requests, use.unpriced, use.cost_nanos)
        for use in corrections
    ] == [
        ("2026-10", Basis.MEASURED, 1, 0, 4 * 10**9),
        ("2026-10", Basis.UNPRICED, -1, -1, None),
    ]
    assert made.booked("2026-12", "core") == 4 * 10**9
    made.desk.close("2026-12", "fin")
    assert made.statement("2027-01").corrections == []
    assert made.statement("2026-12").totals().cost_nanos == 4 * 10**9


def test_a_team_that_is_renamed_or_gone_keeps_its_statements(books: Books) -> None:
    books.load(ledger_entry(started_at_us=books.at("2026-10"), team="old name", cost_nanos=5))
    books.desk.close("2026-10", "fin")
    books.load(ledger_entry(started_at_us=books.at("2026-11"), team="new name", cost_nanos=7))
    books.load(ledger_entry(started_at_us=books.at("2026-10"), team="old name", cost_nanos=1))
    assert books.booked("2026-10", "old name") == 5
    assert books.booked("2026-11", "old name") == 1
    assert books.booked("2026-11", "new name") == 7


def test_another_rule_of_sharing_changes_nothing_that_was_told(books: Books) -> None:
    books.load(ledger_entry(started_at_us=books.at("2026-10"), team="core", cost_nanos=5))
    books.load(ledger_entry(started_at_us=books.at("2026-10"), team="infra", cost_nanos=5))
    books.desk.close("2026-10", "fin")
    sharing = Sharing(Split.EVEN, frozenset({"infra"}))
    other = Books(books.ledger, books.store, "Europe/Berlin", sharing, org=books.org)
    assert other.statement("2026-10").totals() == books.statement("2026-10").totals()
    books.load(ledger_entry(started_at_us=books.at("2026-10"), team="infra", cost_nanos=2))
    assert other.booked("2026-11", "infra") == 2
    assert other.statement("2026-11").start_us == books.statement("2026-10").end_us


def test_seats_stand_apart(books: Books) -> None:
    books.plans = (SeatPlan("max", "anthropic", 3, 100 * 10**9, "core"),)
    found = books.statement("2026-10")
    assert (found.totals().seats_nanos, found.totals().cost_nanos) == (300 * 10**9, 0)
    books.desk.close("2026-10", "fin")
    books.plans = ()
    assert books.statement("2026-10").totals().seats_nanos == 300 * 10**9


# --------------------------------------------------------------------- closing


def test_states_and_what_cannot_be_closed(books: Books) -> None:
    books.load(ledger_entry(started_at_us=books.at("2026-09")))
    books.now_us = books.at("2026-11")
    assert [(view.statement.month, view.state) for view in books.desk.months()] == [
        *(("2026-11", RUNNING), ("2026-10", OPEN), ("2026-09", OPEN)),
    ]
    with pytest.raises(Conflict, match="not over"):
        books.desk.close("2026-11", "fin")
    for wrong in ("2026-13", "october", "2026-1", "../../etc"):
        with pytest.raises(BadRequest):
            books.desk.close(wrong, "fin")
    with pytest.raises(BadRequest, match="not begun"):
        books.desk.month("2027-01")
    months.close(books.store, "2026-09", ZoneInfo("UTC"), books.now_us, "fin")
    assert books.desk.month("2026-09").state == LOCKED
    view = books.desk.close("2026-09", "fin")
    assert (view.state, view.issued is not None) == (ISSUED, True)
    with pytest.raises(Conflict, match="issued"):
        books.desk.close("2026-09", "somebody else")
    with pytest.raises(Conflict, match="stays closed"):
        months.reopen(books.store, "2026-09", "fin")
    assert next_open("2026-11", ["2026-12", "2027-01"]) == "2027-02"


def test_an_issued_statement_is_as_it_was_issued_or_nothing_is_shown(books: Books) -> None:
    books.load(ledger_entry(started_at_us=books.at("2026-10"), cost_nanos=5))
    view = books.desk.close("2026-10", "fin")
    issued = books.store.issued_statement("2026-10")
    assert issued is not None
    assert view.issued is not None
    assert sha256_of(issued.document) == issued.sha256 == view.issued.sha256
    assert json.loads(issued.document)["totals"]["cost_usd"] == "0.000000005"
    with books.store._engine.begin() as db:
        db.execute(update(issued_statements).values(document=b"other"))
    with pytest.raises(OSError, match="not as it was issued"):
        Books(books.ledger, books.store, org=books.org).statement("2026-10")


def test_closing_at_once_issues_one_statement(books: Books) -> None:
    books.load(ledger_entry(started_at_us=books.at("2026-10"), cost_nanos=5))
    ended: list[str] = []

    def close(by: str) -> None:
        try:
            same = Books(books.ledger, books.store, org=books.org)
            ended.append(same.desk.close("2026-10", by).state)
        except Conflict as conflict:
            ended.append(conflict.code)

    threads = [threading.Thread(target=close, args=(f"f{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == [ISSUED, *["month_closed"] * 3]
    assert [each.month for each in books.store.issued_statements()] == ["2026-10"]


def _closer(folder: Path, *, killed: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "tests" / "closing_month.py"), str(folder), "2026-10"]
    return subprocess.Popen([*command, "killed"] if killed else command, stdout=subprocess.PIPE)


def test_a_kill_between_statement_and_lock_leaves_neither(empty: Path, tmp_path: Path) -> None:
    store = copied_store(empty, tmp_path)
    process = _closer(tmp_path, killed=True)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert (store.issued_statements(), store.closed_months()) == ([], [])
    made = Books(memory_ledger(), store)
    made.desk.close("2026-10", "fin")
    assert len(store.closed_months()) == 1
    store.close()


@pytest.mark.long
def test_two_processes_issue_one_statement(empty: Path, tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        store = copied_store(empty, folder)
        both = [_closer(folder, killed=False) for _ in range(2)]
        said = sorted(each.communicate(timeout=300)[0].strip() for each in both)
        assert said == [b"issued", b"month_closed"]
        assert len(store.issued_statements()) == len(store.closed_months()) == 1
        store.close()
