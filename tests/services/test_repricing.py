"""Old calls priced again: sums follow the last book, once, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_entries import START_US, held_call, profile
from ledgers import open_duckdb
from repricing_desk import NOW_US, Desk, book, called
from stores import DAY, open_folder
from tollkeeper.domain.corrections import bookings_of
from tollkeeper.domain.errors import BadRequest, Conflict, LedgerUnavailable, NotFound
from tollkeeper.domain.ledger import LedgerEntry, Outcome, entries_of
from tollkeeper.domain.pricing import RateCard
from tollkeeper.domain.repricing import BookingsPage, PricingRun, RepricingQuestion
from tollkeeper.domain.usage import Usage
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.period import period_between
from tollkeeper.services import months
from tollkeeper.services.repricing import CurrentPrices, repriced
from tollkeeper.services.settlement import Ending, settle
from tollkeeper.storage.store.store import SqlStore

MODELS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    opened = open_duckdb(tmp_path_factory.mktemp("repricing"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    opened = open_folder(tmp_path_factory.mktemp("months")).store
    yield opened
    opened.close()


@contextmanager
def closed_months(store: SqlStore, names: Sequence[str]) -> Iterator[None]:
    for name in names:
        months.close(store, name, ZoneInfo("UTC"), NOW_US, "test")
    try:
        yield
    finally:
        for name in names:
            months.reopen(store, name, "test")


# --------------------------------------------------------------------- whatever happens

moments = st.integers(START_US, NOW_US - 1)
usages = st.builds(
    lambda read, wrote, cached: Usage(
        {
            name: tokens
            for name, tokens in (("input", read), ("output", wrote), ("cache_read", cached))
            if tokens
        }
    ),
    st.integers(1, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 10**4),
)
calls_made = st.lists(st.tuples(moments, st.sampled_from(MODELS), usages), max_size=12)
price_lists = st.dictionaries(
    st.sampled_from(MODELS), st.sampled_from(["0", "0.5", "1", "3.33", "40"])
)
CLOSED = ("2026-10", "2026-11")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    calls_made,
    price_lists,
    st.lists(
        st.tuples(price_lists, st.booleans(), st.sets(st.sampled_from(CLOSED)), st.booleans()),
        max_size=4,
    ),
)
def test_sums_are_those_of_the_last_book_that_knew_the_price(
    ledger: Ledger,
    store: SqlStore,
    calls: list[tuple[int, str, Usage]],
    first: dict[str, str],
    later: list[tuple[dict[str, str], bool, set[str], bool]],
) -> None:
    desk = Desk(ledger, store, book("book-0", first))
    entries = [called(*call, desk.book) for call in calls]
    desk.load(entries)
    expected = {entry.entry_id: entry.cost_nanos for entry in entries}
    for number, (prices, unpriced_only, closed, twice) in enumerate(later, 1):
        desk.book = book(f"book-{number}", prices)
        with closed_months(store, sorted(closed)):
            for _ in range(1 + twice):
                desk.reprice(unpriced_only=unpriced_only)
            bounds = [(month.start_us, month.end_us) for month in store.closed_months()]
        for entry in entries:
            fresh = called(entry.started_at_us, entry.model_served, usage_of(entry), desk.book)
            shut = any(start <= entry.started_at_us < end for start, end in bounds)
            kept = unpriced_only and expected[entry.entry_id] is not None
            if fresh.cost_nanos is not None and not shut and not kept:
                expected[entry.entry_id] = fresh.cost_nanos
    stored = desk.entries()
    assert {
        booking.entry.entry_id: booking.standing.cost_nanos for booking in bookings_of(stored)
    } == expected
    require_sums(desk, entries, expected)


def usage_of(entry: LedgerEntry) -> Usage:
    found = {
        "input": entry.input_tokens,
        "output": entry.output_tokens,
        "cache_read": entry.cache_read_tokens,
    }
    return Usage({name: tokens for name, tokens in found.items() if tokens})


def require_sums(
    desk: Desk, entries: Sequence[LedgerEntry], expected: Mapping[str, int | None]
) -> None:
    """Any grouping adds up to what is expected; requests and tokens are what they were."""
    standing = {booking.entry.entry_id: booking.standing for booking in bookings_of(desk.entries())}
    for group_by in ((), ("model",), ("basis",), ("month", "basis"), ("unpriced_reason",)):
        counted: dict[tuple[Any, ...], list[LedgerEntry]] = {}
        for entry in entries:
            now = standing[entry.entry_id]
            keys = {
                "model": now.model_served,
                "basis": now.basis,
                "unpriced_reason": now.unpriced_reason,
                "month": period_between(
                    "2026-09-01", None, "UTC", entry.started_at_us
                ).month_starts()[-1][0],
            }
            counted.setdefault(tuple(keys[name] for name in group_by), []).append(entry)
        if not group_by:
            counted.setdefault((), [])
        found = desk.sums(*group_by)
        assert found.keys() == counted.keys()
        for key, members in counted.items():
            known = [cost for entry in members if (cost := expected[entry.entry_id]) is not None]
            cost = Decimal(sum(known)).scaleb(-9) if known or not members else None
            tokens = sum(sum(usage_of(entry).quantities.values()) for entry in members)
            assert found[key] == (cost, len(members), tokens, len(members) - len(known))


# --------------------------------------------------------------------- one by one


def test_a_dry_run_says_what_a_run_does_and_a_second_run_does_nothing(
    ledger: Ledger, store: SqlStore
) -> None:
    desk = Desk(ledger, store, book("old", {"red": "1", "green": "2"}))
    usage = Usage({"input": 1_000_000})
    entries = [
        called(START_US + number, model, usage, desk.book)
        for number, model in enumerate(["red", "red", "green", "blue"])
    ]
    desk.load(entries)
    desk.book = book("new", {"red": "3", "blue": "5"})
    looked = desk.reprice(write=False, most=100)
    assert desk.entries() == sorted(
        (entry._replace(org=desk.org) for entry in entries), key=lambda each: each.started_at_us
    )
    (step,) = looked
    assert {(each.model, each.why): each for each in step.changes}.keys() == {
        ("red", "price_changed"),
        ("blue", "price_known_now"),
    }
    red, blue = sorted(step.changes, key=lambda each: each.why, reverse=True)[::-1]
    assert (red.entries, red.before_nanos, red.after_nanos) == (2, 2 * 10**9, 6 * 10**9)
    assert (blue.entries, blue.before_nanos, blue.after_nanos) == (1, None, 5 * 10**9)
    assert (step.kept, step.seen, step.corrected, step.price_version) == (1, 4, 0, "new")
    (done,) = desk.reprice(most=100)
    assert (done.changes, done.corrected) == (step.changes, 3)
    assert len(desk.booked) == 6
    (again,) = desk.reprice(most=100)
    assert (again.changes, again.corrected, again.kept) == ([], 0, 1)
    assert len(desk.entries()) == 4 + 6


def test_only_what_is_asked_for_is_priced_again(ledger: Ledger, store: SqlStore) -> None:
    desk = Desk(ledger, store, book("old", {"red": "1", "green": "1"}))
    usage = Usage({"input": 1_000_000})
    desk.load(
        [
            called(START_US, "red", usage, desk.book, team="core"),
            called(START_US + 1, "red", usage, desk.book, team="other"),
            called(START_US + 2, "green", usage, desk.book, team="core"),
            called(START_US + 3, "blue", usage, desk.book, team="core"),
        ]
    )
    desk.book = book("new", {"red": "2", "green": "2", "blue": "2"})
    counts = {
        name: sum(step.seen for step in desk.reprice(write=False, **which))
        for name, which in {
            "all": {},
            "glob": {"model": "RE*"},
            "no model": {"model": "nothing*"},
            "team": {"team": "core"},
            "provider": {"provider": "elsewhere"},
            "both": {"team": "core", "model": "*e*"},
            "unpriced": {"unpriced_only": True},
        }.items()
    }
    assert counts == {
        "all": 4, "glob": 2, "no model": 0, "team": 3, "provider": 0, "both": 3, "unpriced": 1,
    }  # fmt: skip
    assert desk.repricer.count(RepricingQuestion(0, NOW_US, team="core")) == 3
    assert desk.repricer.count(RepricingQuestion(START_US + 1, START_US + 3)) == 2


def test_what_no_price_book_decides_is_left_alone(ledger: Ledger, store: SqlStore) -> None:
    prices = book("old", {"red": "1"})
    held = held_call(
        started_at_us=START_US,
        profile=profile(provider="shop", price_provider="paint", model="red"),
    )
    usage = Usage({"input": 100})
    endings = [
        Ending(429, Outcome.UPSTREAM_ERROR, 1, usage=usage),
        Ending(403, Outcome.REFUSED, 1),
        Ending(0, Outcome.UPSTREAM_FAILED, 1, unknown=True),
        Ending(200, Outcome.OK, 1, usage=usage._replace(fault="cached_over_input")),
        Ending(200, Outcome.OK, 1, usage=usage, free=True),
    ]
    desk = Desk(ledger, store, prices)
    for ending in endings:
        (entry,) = entries_of(held, settle(held, ending, prices))
        assert repriced(entry, CurrentPrices(book("new", {"red": "9"}), {})) is None
    # A cost that the provider stated stays; only what the list says is another one.
    stated = called(START_US, "red", usage._replace(provider_cost_nanos=77), prices)
    part = repriced(stated, CurrentPrices(book("new", {"red": "9"}), {}))
    assert part is not None
    assert (part.cost_nanos, part.list_cost_nanos, part.basis) == (77, 900_000, "provider_reported")
    assert desk.entries() == []


def test_own_prices_of_now_come_before_the_book(ledger: Ledger, store: SqlStore) -> None:
    desk = Desk(ledger, store, book("old", {"red": "1"}))
    entry = called(START_US, "red", Usage({"input": 1_000_000}), desk.book)
    desk.load([entry])
    own = desk.book.with_cards({"shop": RateCard.custom({"input": "0.25"})})
    part = repriced(entry, CurrentPrices(own, {"shop": "shop"}))
    assert part is not None
    assert part.cost_nanos == 250_000_000
    back = repriced(entry._replace(price_provider="shop"), CurrentPrices(desk.book, {}))
    assert back is not None
    assert back.cost_nanos is None  # an account that is gone: no price, and so no correction


def test_a_closed_month_is_left_out_and_told(ledger: Ledger, store: SqlStore) -> None:
    desk = Desk(ledger, store, book("old", {"red": "1"}))
    usage = Usage({"input": 1_000_000})
    october = period_between("2026-10-05", None, "UTC", NOW_US).start_us
    desk.load(
        [
            called(october, "red", usage, desk.book),
            called(october + 40 * DAY, "red", usage, desk.book),
        ]
    )
    desk.book = book("new", {"red": "4"})
    with closed_months(store, ["2026-10"]):
        (step,) = desk.reprice(most=10)
        assert [(left.month, left.entries, left.difference_nanos) for left in step.closed] == [
            ("2026-10", 1, 3 * 10**9)
        ]
        assert step.corrected == 1
        with pytest.raises(Conflict, match="closed already"):
            months.close(store, "2026-10", ZoneInfo("UTC"), NOW_US, "test")
    (step,) = desk.reprice(most=10)
    assert (step.corrected, step.closed) == (1, [])


def test_a_month_is_closed_only_when_it_is_over_there(store: SqlStore) -> None:
    end_us = period_between("2026-11-01", None, "UTC", NOW_US).start_us
    with pytest.raises(Conflict, match="not over"):
        months.close(store, "2026-10", ZoneInfo("America/New_York"), end_us, "test")
    closed = months.close(store, "2026-10", ZoneInfo("Asia/Tokyo"), end_us, "test")
    assert (closed.end_us - closed.start_us, store.closed_months()) == (31 * DAY, [closed])
    months.reopen(store, "2026-10", "test")
    with pytest.raises(NotFound):
        months.reopen(store, "2026-10", "test")
    for nonsense in ("2026-13", "26-10", "", "2026-10-01", "²026-10", "2026-1"):
        with pytest.raises(BadRequest):
            months.close(store, nonsense, ZoneInfo("UTC"), end_us, "test")


def test_entries_of_one_moment_stay_in_one_step(ledger: Ledger, store: SqlStore) -> None:
    desk = Desk(ledger, store, book("old", {"red": "1"}))
    desk.load([called(START_US, "red", Usage({"input": 10**6}), desk.book) for _ in range(9)])
    desk.load([called(START_US + 1, "red", Usage({"input": 10**6}), desk.book)])
    desk.book = book("new", {"red": "2"})
    steps = desk.reprice(most=2)
    assert sum(step.corrected for step in steps) == 10
    assert desk.sums()[()] == (Decimal(20), 10, 10**7, 0)


class FailingAfter:
    """A ledger that fails once: before or after its batch is stored."""

    def __init__(self, ledger: Ledger, *, stored: bool) -> None:
        self._ledger = ledger
        self._stored = stored
        self.failures = 1

    def append(self, entries: Sequence[LedgerEntry], position: Position | None) -> int:
        if self.failures:
            self.failures -= 1
            if self._stored:
                self._ledger.append(entries, position)
            raise LedgerUnavailable("cut off")
        return self._ledger.append(entries, position)


@pytest.mark.parametrize("stored", [True, False])
def test_a_step_that_failed_can_be_taken_again(
    ledger: Ledger, store: SqlStore, stored: bool
) -> None:
    desk = Desk(ledger, store, book("old", {"red": "1"}))
    desk.load([called(START_US + n, "red", Usage({"input": 10**6}), desk.book) for n in range(8)])
    desk.book = book("new", {"red": "2"})
    desk.repricer._ledger = FailingAfter(ledger, stored=stored)  # type: ignore[assignment]
    with pytest.raises(LedgerUnavailable):
        desk.reprice()
    desk.reprice()
    assert desk.sums()[()] == (Decimal(16), 8, 8 * 10**6, 0)
    assert len(desk.entries()) == 8 + 16


def test_a_month_that_is_closed_in_between_is_left_out(ledger: Ledger, store: SqlStore) -> None:
    """Between reading and writing a month may close: then nothing of it is written."""
    desk = Desk(ledger, store, book("old", {"red": "1"}))
    october = period_between("2026-10-05", None, "UTC", NOW_US).start_us
    desk.load([called(october, "red", Usage({"input": 10**6}), desk.book)])
    desk.book = book("new", {"red": "2"})

    class Closing(LedgerBookings):
        def page(self, question: RepricingQuestion, most: int) -> BookingsPage:
            found = super().page(question, most)
            months.close(store, "2026-10", ZoneInfo("UTC"), NOW_US, "test")
            return found

    desk.repricer._bookings = Closing(ledger, desk.org)
    try:
        (step,) = desk.reprice(most=10)
    finally:
        months.reopen(store, "2026-10", "test")
    assert (step.corrected, [left.month for left in step.closed]) == (0, ["2026-10"])
    assert desk.booked == []
    assert len(desk.entries()) == 1


def test_it_works_while_calls_are_loaded(ledger: Ledger, store: SqlStore) -> None:
    old = book("old", {"red": "1"})
    desk = Desk(ledger, store, old)
    loaded = threading.Event()

    def load() -> None:
        for number in range(40):
            entry = called(START_US + number % 7, "red", Usage({"input": 10**6}), old)
            ledger.append([entry._replace(org=desk.org)], Position(f"{desk.org}-live", number + 1))
        loaded.set()

    desk.book = book("new", {"red": "3"})
    loader = threading.Thread(target=load)
    loader.start()
    while not loaded.is_set():
        desk.reprice(most=5)
    loader.join()
    desk.reprice(most=5)
    assert desk.sums()[()] == (Decimal(120), 40, 40 * 10**6, 0)
    assert len(desk.entries()) == 40 * 3


def test_months_and_runs_outlive_the_store(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    months.close(folder.store, "2026-10", ZoneInfo("Europe/Berlin"), NOW_US, "cfo@acme.com")
    before = folder.store.closed_months()
    run = PricingRun(NOW_US, None, "book-1", priced=3, unpriced=4)
    assert folder.store.last_pricing_run() is None
    folder.store.keep_pricing_run(run)
    folder.store.close()
    again = open_folder(tmp_path).store
    assert again.closed_months() == before
    assert again.last_pricing_run() == run
    again.keep_pricing_run(run._replace(ended_at_us=NOW_US + 5, priced=9))
    again.keep_pricing_run(PricingRun(NOW_US + 1, None, "book-2"))
    assert again.last_pricing_run() == PricingRun(NOW_US + 1, None, "book-2", 0, 0)
    again.close()


def test_what_is_booked_stands_in_the_audit_log(ledger: Ledger, store: SqlStore) -> None:
    desk = Desk(ledger, store, book("old", {"red": "1"}))
    desk.load([called(START_US + n, "red", Usage({"input": 10}), desk.book) for n in range(3)])
    desk.book = book("newer", {"red": "2"})
    before = store.audit_head().seq
    desk.reprice()
    desk.reprice()  # nothing is left to correct
    (entry,) = store.audit_after(before, 10)
    assert (entry.action, entry.target_id) == ("prices.reprice", "newer")
    assert entry.data["entries"] == 3
