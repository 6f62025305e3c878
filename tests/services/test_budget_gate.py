"""A gate by itself: what it admits from its lease, what it asks, and what it answers."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from budget_desks import (
    CENT,
    DAILY,
    DOLLAR,
    NOW,
    SECOND,
    budget,
    charge,
    file_authority,
    memory_authority,
    only,
    profile,
    write_budgets,
)
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budgets import NOTHING, Amounts, Budget, BudgetScope, Mode, Sizing, Unit
from tollkeeper.domain.holds import UNPRICED
from tollkeeper.domain.leases import LEASE_US, Account, LeaseAnswer, LeaseState
from tollkeeper.services.budget_gate import (
    EXCEEDED,
    REPORTS_MAX,
    UNREACHABLE,
    Admitted,
    Ask,
    BudgetGate,
    Decision,
    Refused,
    Subject,
    Wait,
    exchange,
)
from tollkeeper.services.leased_row import IDLE_US, LeasedRow
from tollkeeper.storage.store.sqlite_budgets import SqliteBudgetAuthority, open_sqlite_budgets

DAY = 86_400 * SECOND


class Desk:
    """One gate with its authority, and calls that ask until they know."""

    def __init__(self, *budgets: Budget) -> None:
        self.authority = memory_authority(budgets)
        self.gate = BudgetGate("g1", Book(budgets), NOW)
        self.now = NOW
        self.subject = Subject(profile())
        self.asked = 0

    def admit(self, entry_id: str, usd: int | None = 0, tokens: int | None = 0) -> Decision:
        hold = Amounts(usd, tokens)
        decision, asked = decide(self.gate, self.authority, self.subject, entry_id, hold, self.now)
        self.asked += asked
        return decision

    def report(self) -> None:
        asked = self.gate.reports(self.now)
        if asked is not None:
            exchange(self.gate, self.authority, asked, self.now)

    def close(self) -> None:
        self.authority.close()


def decide(
    gate: BudgetGate,
    authority: SqliteBudgetAuthority,
    subject: Subject,
    entry_id: str,
    hold: Amounts,
    now_us: int,
) -> tuple[Decision, int]:
    asked = 0
    while isinstance(decision := gate.admit(subject, entry_id, hold, now_us), Ask):
        exchange(gate, authority, decision, now_us)
        asked += 1
    return decision, asked


@pytest.fixture
def desks() -> Iterator[list[Desk]]:
    made: list[Desk] = []
    yield made
    for desk in made:
        desk.close()


def test_a_call_that_no_budget_concerns_passes_whatever_it_costs() -> None:
    gate = BudgetGate("g1", Book(), NOW)
    subject = Subject(profile())
    assert gate.admit(subject, "e1", Amounts(None, None), NOW + 10 * LEASE_US) == Admitted()
    assert gate.settle("e1", Amounts(None, None))


def test_calls_are_admitted_from_the_lease_without_asking(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=1_000 * DOLLAR)))
    for number in range(100):
        assert desk.admit(f"e{number}", CENT) == Admitted()
    assert desk.asked == 1
    for number in range(100):
        assert desk.gate.settle(f"e{number}", Amounts(CENT // 2, 0))
    desk.report()
    assert only(desk.authority.balances()).posted == 50 * CENT


def test_a_refusal_says_which_budget_and_how_it_stands(desks: list[Desk]) -> None:
    cap = budget("b2", DOLLAR, window=DAILY)
    desks.append(desk := Desk(budget("b1", 100 * DOLLAR), cap))
    assert desk.admit("e1", 60 * CENT) == Admitted()
    desk.gate.settle("e1", Amounts(50 * CENT, 0))
    assert desk.admit("e2", 40 * CENT) == Admitted()
    refused = desk.admit("e3", 20 * CENT)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.budget) == (EXCEEDED, cap)
    assert (refused.spent, refused.held, refused.limit) == (50 * CENT, 40 * CENT, DOLLAR)
    assert refused.opens_at_us == cap.window.around(NOW).end_us
    assert desk.admit("e4", 10 * CENT) == Admitted()


def test_a_budget_for_ever_never_opens_again(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=0)))
    refused = desk.admit("e1", 1)
    assert isinstance(refused, Refused)
    assert refused.opens_at_us is None


def test_repeated_refusals_come_from_memory(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=CENT)))
    for number in range(50):
        assert isinstance(desk.admit(f"e{number}", 2 * CENT), Refused)
    assert desk.asked == 1
    assert desk.admit("small", CENT) == Admitted()
    desk.now += 2 * SECOND
    assert isinstance(desk.admit("again", 2 * CENT), Refused)
    assert desk.asked == 3


def test_one_budget_that_is_short_leaves_the_others_as_they_were(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget("a", 100 * DOLLAR), budget("b", CENT)))
    assert isinstance(desk.admit("e1", 2 * CENT), Refused)
    assert all(row.posted == row.held == 0 for row in desk.authority.balances())
    assert desk.gate.open_calls == 0
    assert not desk.gate.settle("e1", Amounts(CENT, 0))


def test_an_unknown_price_is_refused_under_a_hard_cap_in_usd_only(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=DOLLAR)))
    refused = desk.admit("e1", None)
    assert isinstance(refused, Refused)
    assert refused.code == UNPRICED
    desks.append(desk := Desk(budget(limit=5, unit=Unit.REQUESTS)))
    assert desk.admit("e1", None) == Admitted()
    desks.append(desk := Desk(budget(limit=0, mode=Mode.OBSERVE)))
    assert desk.admit("e1", None) == Admitted()
    desk.gate.settle("e1", Amounts(7, 0))
    desk.report()
    desk.report()
    assert only(desk.authority.balances()).posted == 7


def test_what_costs_nothing_passes_a_budget_that_is_spent(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=CENT)))
    desk.admit("e1", CENT)
    desk.gate.settle("e1", Amounts(5 * CENT, 0))
    desk.report()
    assert isinstance(desk.admit("e2", 1), Refused)
    assert desk.admit("e3", 0) == Admitted()


def test_what_costs_nothing_is_not_asked_for(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=CENT)))
    desk.admit("e1", CENT)
    desk.gate.settle("e1", Amounts(5 * CENT, 0))
    assert desk.admit("e2", 0) == Admitted()
    assert desk.asked == 1
    desk.gate.closed = True
    assert desk.admit("e3", 0) == Admitted()


def test_what_others_need_is_recalled(desks: list[Desk]) -> None:
    cap = budget(limit=100 * CENT)
    desks.append(desk := Desk(cap))
    other, subject = BudgetGate("g2", Book([cap]), NOW), Subject(profile())
    assert desk.admit("e1", CENT) == Admitted()
    desk.gate.settle("e1", Amounts(CENT, 0))
    free = only(desk.authority.balances()).leased - CENT
    assert free > 0

    def ask(entry_id: str, usd: int) -> Decision:
        return decide(other, desk.authority, subject, entry_id, Amounts(usd, 0), desk.now)[0]

    refused = ask("o1", 99 * CENT)
    assert isinstance(refused, Refused)
    assert refused.soon
    assert ask("o2", 99 * CENT - free) == Admitted()
    for _ in range(2):  # it hears that others need it, and gives it back
        desk.now += SECOND
        desk.report()
    assert ask("o3", free) == Admitted()
    row = only(desk.authority.balances())
    assert (row.posted, row.held, row.left) == (CENT, 99 * CENT, 0)


def test_a_hold_is_resolved_once_and_an_entry_is_held_once(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=DOLLAR)))
    desk.admit("e1", CENT)
    with pytest.raises(ValueError, match="held already"):
        desk.admit("e1", CENT)
    assert desk.gate.settle("e1", Amounts(CENT, 0))
    assert not desk.gate.settle("e1", Amounts(CENT, 0))
    assert not desk.gate.void("e1")
    key = only(desk.authority.balances()).key
    assert desk.gate.accounts() == [Account(key, CENT, in_all=True)]


def test_an_unknown_cost_is_what_was_held(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=DOLLAR)))
    desk.admit("e1", 30 * CENT)
    desk.gate.settle("e1", Amounts(None, None))
    desk.report()
    assert only(desk.authority.balances()).posted == 30 * CENT


def test_a_new_window_is_another_row_and_a_call_ends_in_its_own(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=DOLLAR, window=DAILY)))
    desk.admit("e1", DOLLAR)
    assert isinstance(desk.admit("e2", CENT), Refused)
    desk.now += DAY
    assert desk.admit("e3", 70 * CENT) == Admitted()
    desk.gate.settle("e1", Amounts(DOLLAR, 0))
    desk.gate.settle("e3", Amounts(60 * CENT, 0))
    for _ in range(3):
        desk.report()
        desk.now += SECOND
    assert [row.posted for row in desk.authority.balances()] == [DOLLAR, 60 * CENT]


def test_what_is_not_used_goes_back(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=100 * DOLLAR)))
    desk.admit("e1", CENT)
    desk.gate.settle("e1", Amounts(CENT, 0))
    desk.report()
    assert only(desk.authority.balances()).held > 0
    desk.now += IDLE_US
    desk.report()
    row = only(desk.authority.balances())
    assert (row.posted, row.held) == (CENT, 0)


def test_a_changed_limit_holds_as_soon_as_the_gate_has_it(desks: list[Desk]) -> None:
    cap = budget(limit=100 * DOLLAR)
    desks.append(desk := Desk(cap))
    assert desk.admit("e1", CENT) == Admitted()
    lower = cap._replace(limit=CENT, version=2)
    write_budgets(desk.authority._connection, [lower])
    desk.gate.use(Book([lower]))
    assert isinstance(desk.admit("e2", CENT), Refused)
    assert desk.gate.settle("e1", Amounts(CENT, 0))  # a running stream comes to its end
    higher = cap._replace(limit=DOLLAR, version=3)
    write_budgets(desk.authority._connection, [higher])
    desk.gate.use(Book([higher]))
    assert desk.admit("e3", CENT) == Admitted()


def test_a_budget_that_turns_hard_holds_and_one_that_turns_soft_lets_go(
    desks: list[Desk],
) -> None:
    cap = budget(limit=CENT, mode=Mode.OBSERVE)
    desks.append(desk := Desk(cap))
    desk.admit("e1", 3 * CENT)
    hard = cap._replace(mode=Mode.HARD, version=2)
    write_budgets(desk.authority._connection, [hard])
    desk.gate.use(Book([hard]))
    assert isinstance(desk.admit("e2", 1), Refused)
    soft = cap._replace(version=3)
    write_budgets(desk.authority._connection, [soft])
    desk.gate.use(Book([soft]))
    assert desk.admit("e3", 9 * CENT) == Admitted()
    for entry, cost in (("e1", 2 * CENT), ("e3", 4 * CENT)):
        assert desk.gate.settle(entry, Amounts(cost, 0))
    desk.report()
    desk.report()
    row = only(desk.authority.balances())
    assert (row.posted, row.held) == (6 * CENT, 0)


def test_a_budget_counts_only_calls_of_its_time(desks: list[Desk]) -> None:
    cap = budget(limit=0, since_us=NOW + SECOND, until_us=NOW + 2 * SECOND)
    desks.append(desk := Desk(cap))
    assert desk.admit("e1", CENT) == Admitted()
    desk.now += SECOND
    assert isinstance(desk.admit("e2", CENT), Refused)
    desk.now += SECOND
    assert desk.admit("e3", CENT) == Admitted()


def test_a_call_waits_while_another_one_asks() -> None:
    gate = BudgetGate("g1", Book([budget()]), NOW)
    subject = Subject(profile())
    asked = gate.admit(subject, "e1", Amounts(CENT, 0), NOW)
    assert isinstance(asked, Ask)
    assert gate.admit(subject, "e2", Amounts(CENT, 0), NOW) == Wait()
    assert gate.reports(NOW) is None
    (request,) = asked.requests
    state = LeaseState(request.key, 1, DOLLAR, 0, False, False)
    gate.answered(asked, LeaseAnswer((state,)), NOW)
    assert gate.admit(subject, "e1", Amounts(CENT, 0), NOW) == Admitted()
    assert gate.admit(subject, "e2", Amounts(CENT, 0), NOW) == Admitted()


def test_an_older_state_than_what_is_known_changes_nothing() -> None:
    cap = budget()
    row = LeasedRow(charge(cap, 0).key, NOW + DAY, cap, NOW)
    newer = LeaseState(row.key, 5, DOLLAR, 0, False, False)
    row.sync(newer, 0, NOW)
    row.sync(newer._replace(epoch=4, granted=9 * DOLLAR, recalled=True), 0, NOW)
    assert (row.epoch, row.granted, row.free, row.recalled) == (5, DOLLAR, DOLLAR, False)


def test_without_an_answer_nothing_is_admitted_that_a_cap_concerns() -> None:
    gate = BudgetGate("g1", Book([budget()]), NOW)
    subject = Subject(profile())
    for _ in range(3):
        assert isinstance(gate.admit(subject, "e1", Amounts(CENT, 0), NOW), Ask)
        gate.failed()
    assert gate.open_calls == 0


def test_what_is_known_to_be_spent_is_told_also_where_nobody_can_be_asked(
    desks: list[Desk],
) -> None:
    cap = budget(limit=10 * CENT)
    desks.append(desk := Desk(cap))
    hold = Amounts(4 * CENT, 0)
    desk.gate.match(desk.subject, NOW)
    unknown = desk.gate.unreachable(desk.subject, hold, NOW)
    assert unknown is not None
    assert unknown.code == UNREACHABLE
    for entry in ("e1", "e2"):
        assert desk.admit(entry, 4 * CENT) == Admitted()
    held = desk.gate.unreachable(desk.subject, hold, desk.now)
    assert held is not None
    assert held.code == UNREACHABLE  # what is only held may come back
    assert desk.gate.settle("e1", Amounts(4 * CENT, 0))
    assert desk.gate.settle("e2", Amounts(4 * CENT, 0))
    spent = desk.gate.unreachable(desk.subject, hold, desk.now)
    assert spent is not None
    assert (spent.code, spent.spent, spent.limit) == (EXCEEDED, 8 * CENT, 10 * CENT)
    assert not spent.soon
    small = desk.gate.unreachable(desk.subject, Amounts(2 * CENT, 0), desk.now)
    assert small is not None
    assert small.code == UNREACHABLE
    assert desk.gate.unreachable(desk.subject, Amounts(0, 0), desk.now) is None
    late = desk.gate.unreachable(desk.subject, hold, desk.now + LEASE_US)
    assert late is not None
    assert late.code == UNREACHABLE  # others may have made room long since
    desk.gate.use(Book([cap._replace(limit=DOLLAR, version=2)]))
    raised = desk.gate.unreachable(desk.subject, hold, desk.now)
    assert raised is not None
    assert raised.code == UNREACHABLE


def test_a_lease_that_was_not_renewed_is_used_no_more(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=100 * DOLLAR)))
    assert desk.admit("e1", CENT) == Admitted()
    late = NOW + LEASE_US
    assert isinstance(desk.gate.admit(desk.subject, "e2", Amounts(CENT, 0), late), Ask)
    desk.gate.failed()
    assert desk.gate.settle("e1", Amounts(CENT, 0))


def test_a_gateway_that_was_taken_for_dead_stops(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=100 * DOLLAR)))
    desk.admit("e1", CENT)
    desk.authority.finish("g1", {}, NOW)
    desk.gate.settle("e1", Amounts(CENT, 0))
    desk.report()
    refused = desk.admit("e2", CENT)
    assert isinstance(refused, Refused)
    assert refused.code == UNREACHABLE
    assert only(desk.authority.balances()).posted == CENT


def test_a_call_that_lacks_room_somewhere_leaves_no_hold_elsewhere(desks: list[Desk]) -> None:
    made = [budget("a", 10 * CENT), budget("b", 2 * CENT), budget("c", 1_000, unit=Unit.TOKENS)]
    desks.append(desk := Desk(*made))
    assert desk.admit("e1", CENT, 500) == Admitted()
    for usd, tokens in ((2 * CENT, 1), (1, 600), (None, 1)):
        assert isinstance(desk.admit(f"e{usd}-{tokens}", usd, tokens), Refused)
        assert list(desk.gate.holds) == ["e1"]
        assert [row.held for row, _ in desk.subject.charges] == [CENT, CENT, 500]
    assert desk.gate.settle("e1", NOTHING)
    assert [row.held for row, _ in desk.subject.charges] == [0, 0, 0]


def test_five_budgets_cost_a_call_less_than_three_microseconds(desks: list[Desk]) -> None:
    scopes = (BudgetScope.ORG, BudgetScope.TEAM, BudgetScope.USER, BudgetScope.KEY)
    made = [budget(str(it), 10**15, scope=it, window=DAILY) for it in scopes]
    made.append(budget("tokens", 10**15, unit=Unit.TOKENS))
    desks.append(desk := Desk(*made))
    hold, cost = Amounts(CENT, 500), Amounts(CENT // 2, 200)
    assert desk.admit("first", CENT, 500) == Admitted()
    assert len(desk.subject.charges) == 5
    entries = [f"e{number}" for number in range(1_000)]
    taken_s = []
    for _ in range(30):  # the least of many rounds: what else the machine does is left out
        began_s = time.process_time()
        for entry in entries:
            desk.gate.admit(desk.subject, entry, hold, NOW)
        taken_s.append(time.process_time() - began_s)
        for entry in entries:
            assert desk.gate.settle(entry, cost)
    assert min(taken_s) / len(entries) < 3e-6


def test_each_session_has_its_own(desks: list[Desk]) -> None:
    cap = budget(limit=CENT, scope=BudgetScope.SESSION, each=True)
    desks.append(desk := Desk(cap))
    for session in ("a", "b", "c"):
        desk.subject = Subject(profile(session_id=session))
        assert desk.admit(f"{session}1", CENT) == Admitted()
        assert isinstance(desk.admit(f"{session}2", 1), Refused)


# --------------------------------------------------------------------- at once


def admitted_of(
    authority: SqliteBudgetAuthority, name: str, calls: int, usd: int, cap: Budget
) -> int:
    """Let so many threads call at once through one gate; count those that go."""
    gate, turn = BudgetGate(name, Book([cap]), NOW), threading.Lock()
    subject = Subject(profile())
    start = threading.Barrier(min(calls, 200))

    def call(number: int) -> bool:
        start.wait()
        with turn:
            hold = Amounts(usd, 0)
            decision, _ = decide(gate, authority, subject, f"{name}-{number}", hold, NOW)
        return isinstance(decision, Admitted)

    with ThreadPoolExecutor(200) as pool:
        return sum(pool.map(call, range(calls)))


def test_of_a_thousand_calls_of_ten_cents_fifty_go(tmp_path: Path) -> None:
    cap = budget(limit=5 * DOLLAR)
    authority = file_authority(tmp_path, [cap])
    assert admitted_of(authority, "g1", 1_000, 10 * CENT, cap) == 50
    assert only(authority.balances()).held == 5 * DOLLAR
    authority.close()


def test_of_a_thousand_calls_for_the_last_cent_one_goes(tmp_path: Path) -> None:
    cap = budget(limit=CENT)
    authority = file_authority(tmp_path, [cap])
    assert admitted_of(authority, "g1", 1_000, CENT, cap) == 1
    authority.close()


def _process(path: str, name: str, calls: int, usd: int, limit: int, begin_at_s: float) -> int:
    authority = open_sqlite_budgets(Path(path))
    time.sleep(max(0.0, begin_at_s - time.monotonic()))
    admitted = admitted_of(authority, name, calls, usd, budget(limit=limit))
    authority.close()
    return admitted


@pytest.mark.parametrize(
    ("limit", "usd", "expected"), [(5 * DOLLAR, 10 * CENT, 50), (CENT, CENT, 1)]
)
def test_two_processes_share_one_cap_to_the_last_cent(
    tmp_path: Path, limit: int, usd: int, expected: int
) -> None:
    file_authority(tmp_path, [budget(limit=limit)]).close()
    path = str(tmp_path / "store.sqlite3")
    begin_at_s = time.monotonic() + 1.5  # one clock for all processes of a machine
    jobs = [(path, name, 600, usd, limit, begin_at_s) for name in ("g1", "g2")]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        admitted = pool.starmap(_process, jobs)
    assert sum(admitted) == expected, admitted
    authority = open_sqlite_budgets(tmp_path / "store.sqlite3")
    assert only(authority.balances()).held == limit
    authority.close()


def test_a_clock_that_steps_back_charges_the_window_that_a_call_began_in(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget(limit=DOLLAR, window=DAILY)))
    midnight = NOW - NOW % DAY + DAY
    starts = {}
    for entry_id, at in (("late", midnight + 1), ("early", midnight - 1), ("again", midnight + 2)):
        desk.now = at
        assert desk.admit(entry_id, CENT) == Admitted()
        desk.gate.settle(entry_id, Amounts(CENT, 0))
        starts[entry_id] = desk.subject.charges[0][0].key.window_start_us
    assert starts == {"late": midnight, "early": midnight - DAY, "again": midnight}
    desk.report()
    posted = {row.key.window_start_us: row.posted for row in desk.authority.balances()}
    assert posted == {midnight: 2 * CENT, midnight - DAY: CENT}


def test_strict_and_balanced_budgets_hold_apart_and_both_are_spent(desks: list[Desk]) -> None:
    strict = budget("b2", DOLLAR, sizing=Sizing.STRICT)
    desks.append(desk := Desk(budget("b1", DOLLAR), strict))
    assert desk.gate.match(desk.subject, NOW)
    assert desk.subject.is_strict
    hold = (*Amounts(CENT, 0), *Amounts(30 * CENT, 0))
    while isinstance(decision := desk.gate.admit(desk.subject, "e1", hold, NOW), Ask):
        exchange(desk.gate, desk.authority, decision, NOW)
    assert decision == Admitted()
    held = {row.key.budget_id: row.held for row, _ in desk.subject.charges}
    assert held == {"b1": CENT, "b2": 30 * CENT}
    assert desk.gate.settle("e1", Amounts(2 * CENT, 0))
    assert {(row.held, row.spent) for row, _ in desk.subject.charges} == {(0, 2 * CENT)}


def test_what_is_left_is_known_from_answers_and_own_use(desks: list[Desk]) -> None:
    desks.append(desk := Desk(budget("b1", 10 * DOLLAR), budget("b2", DOLLAR)))
    assert desk.admit("e1", 10 * CENT) == Admitted()
    assert desk.gate.left_nanos(desk.subject) == 90 * CENT
    desk.gate.settle("e1", Amounts(4 * CENT, 0))
    assert desk.gate.left_nanos(desk.subject) == 96 * CENT


def test_a_row_that_was_forgotten_counts_on_top_until_it_is_heard_of(desks: list[Desk]) -> None:
    watched = budget(limit=DOLLAR, mode=Mode.OBSERVE)
    desks.append(desk := Desk(watched))
    assert desk.admit("e1", CENT) == Admitted()
    desk.gate.settle("e1", Amounts(CENT, 0))
    key = desk.subject.charges[0][0].key
    assert desk.gate.accounts() == [Account(key, CENT, in_all=False)]
    desk.report()  # nobody says anything of a row before it is known what was said of it
    assert desk.gate.accounts() == [Account(key, CENT, in_all=True)]
    desk.report()
    untold = {key: 5 * CENT}
    assert desk.authority.finish("g1", {}, NOW, untold) == 1
    assert only(desk.authority.balances()).posted == 6 * CENT
    assert desk.authority.finish("g1", {}, NOW, untold) == 0
    assert only(desk.authority.balances()).posted == 6 * CENT


def test_many_callers_with_a_balance_each_need_few_exchanges(desks: list[Desk]) -> None:
    """After a restart all of them come at once, and none has a lease."""
    each = budget(limit=10 * DOLLAR, scope=BudgetScope.KEY, each=True)
    desks.append(desk := Desk(each))
    subjects = [Subject(profile(key_id=f"k{number}")) for number in range(300)]
    waiting = {f"e{number}": subject for number, subject in enumerate(subjects)}
    exchanges = 0
    while waiting:
        asked = None
        for entry_id, subject in list(waiting.items()):
            decision = desk.gate.admit(subject, entry_id, Amounts(CENT, 0), NOW)
            if isinstance(decision, Ask):
                asked = decision
            elif isinstance(decision, Admitted):
                del waiting[entry_id]
        if asked is not None:
            exchange(desk.gate, desk.authority, asked, NOW)
            exchanges += 1
    assert exchanges <= 4


def test_rows_beyond_one_report_are_told_of_in_the_next(desks: list[Desk]) -> None:
    each = budget(limit=DOLLAR, scope=BudgetScope.KEY, each=True, mode=Mode.OBSERVE)
    desks.append(desk := Desk(each))
    subjects = [Subject(profile(key_id=f"k{number}")) for number in range(REPORTS_MAX + 50)]
    for turn in range(5):
        for number, subject in enumerate(subjects):
            assert desk.gate.admit(subject, f"e{turn}.{number}", Amounts(1, 0), NOW) == Admitted()
            desk.gate.settle(f"e{turn}.{number}", Amounts(1, 0))
        desk.report()
    assert min(row.posted for row in desk.authority.balances()) >= 1
