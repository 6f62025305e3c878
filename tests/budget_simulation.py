"""Gateways, an authority and a bad network between them, all moved by one seed.

Every gateway has its own memory, journal and clock. Messages are lost on the way there or
back, arrive twice or late; gateways are killed at every step of a call, paused and cut off.
What was really spent is known here alone, and is compared with the balances all the time.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from budget_desks import NOW, SECOND, budget, memory_authority, profile, write_budgets
from tollkeeper.domain.budget_book import Book, booked_sums, drifts
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import (
    NOTHING,
    Amounts,
    BalanceKey,
    Budget,
    BudgetScope,
    Mode,
    Sizing,
    Unit,
)
from tollkeeper.domain.calls import Profile
from tollkeeper.domain.holds import HoldState, after_crash, follow
from tollkeeper.domain.leases import LeaseAnswer
from tollkeeper.services.budget_gate import Admitted, Ask, BudgetGate, Refused, Subject

HOUR = 3_600 * SECOND
TEAMS = ("core", "search", "")
USERS = ("ann", "ben", "cat")


@dataclass
class Call:
    """One call as the journal has it. ``cost`` is what the provider bills for it in truth."""

    entry_id: str
    profile: Profile
    at_us: int
    hold: Amounts
    cost: Amounts
    state: HoldState = HoldState.HELD
    booked: Amounts = NOTHING


@dataclass
class Pending:
    """An exchange whose answer has not come back to its gateway yet."""

    ask: Ask
    answer: LeaseAnswer | None
    due_us: int


@dataclass
class Gateway:
    name: str
    gate: BudgetGate
    skew_us: int
    journal: dict[str, Call] = field(default_factory=dict)
    subjects: dict[tuple[str, str, str], Subject] = field(default_factory=dict)
    pending: Pending | None = None
    away_until_us: int = 0
    cut_until_us: int = 0

    def open_calls(self) -> list[Call]:
        return [call for call in self.journal.values() if call.state in _OPEN]


_OPEN = frozenset({HoldState.HELD, HoldState.SENT})


class Simulation:
    """One run. ``overshoot`` lets calls cost more than they held, as balanced holds may."""

    def __init__(self, seed: int, *, overshoot: bool = False) -> None:
        self.random = random.Random(seed)
        self.overshoot = overshoot
        self.now_us = NOW
        self.budgets = self._make_budgets()
        self.most = {each.budget_id: each.limit for each in self.budgets}
        self.authority = memory_authority(self.budgets)
        self.connection: sqlite3.Connection = self.authority._connection
        self.count = 0
        self.books: list[tuple[int, Book]] = [(NOW, Book(self.budgets))]
        self.gateways = [self._new_gateway() for _ in range(self.random.randint(3, 10))]
        self.dead: list[Gateway] = []
        self.finished: list[Gateway] = []
        self.late: list[Callable[[], object]] = []
        self.admitted = self.refused = self.kills = self.failures = 0

    # ------------------------------------------------------------- set-up

    def _make_budgets(self) -> list[Budget]:
        pick = self.random
        made = []
        scopes = [
            {"scope": BudgetScope.ORG},
            {"scope": BudgetScope.TEAM, "each": True},
            {"scope": BudgetScope.USER, "each": True},
            {"scope": BudgetScope.TEAM, "match": "core"},
            {"scope": BudgetScope.MODEL, "match": "claude-*"},
        ]
        for number, scope in enumerate(pick.sample(scopes, pick.randint(1, 4))):
            kind = pick.choice([WindowKind.HOUR, WindowKind.LIFETIME, WindowKind.DAY])
            unit = pick.choice(list(Unit))
            limit = pick.randint(1, 60) if unit is Unit.REQUESTS else pick.randint(1, 5_000)
            rolls = kind is not WindowKind.LIFETIME and pick.random() < 0.3
            mode = Mode.OBSERVE if pick.random() < 0.15 else Mode.HARD
            made.append(
                budget(
                    f"b{number}",
                    limit,
                    unit=unit,
                    window=WindowRule(kind, pick.choice(["UTC", "Asia/Kolkata"])),
                    rollover_max=pick.randint(0, limit) if rolls else 0,
                    sizing=Sizing.STRICT,
                    mode=mode,
                    **scope,
                )
            )
        return made

    def _new_gateway(self) -> Gateway:
        self.count += 1
        name = f"g{self.count}"
        skew_us = self.random.randint(-2 * SECOND, 2 * SECOND)
        gate = BudgetGate(name, self.books[-1][1], self.now_us + skew_us)
        return Gateway(name, gate, skew_us)

    # ------------------------------------------------------------- steps

    def run(self, steps: int) -> None:
        deeds = [
            (self._call, 46),
            (self._settle, 22),
            (self._beat, 14),
            (self._deliver, 10),
            (self._late_message, 4),
            (self._kill, 2),
            (self._recover, 3),
            (self._leave, 2),
            (self._change_limit, 2),
            (self._expire, 1),
            (self._step_clock, 1),
        ]
        work, weights = zip(*deeds, strict=True)
        for step in range(steps):
            self.now_us += self.random.choice([1_000, 20_000, SECOND, 7 * SECOND])
            if self.random.random() < 0.01:
                self.now_us += HOUR
            self.random.choices(work, weights)[0]()
            self._tell_books()
            if step % 8 == 0:
                self.check()
        self.check()
        self._come_to_rest()

    def _present(self) -> list[Gateway]:
        return [it for it in self.gateways if it.away_until_us <= self.now_us]

    def _call(self) -> None:
        present = self._present()
        if not present:
            return
        gateway = self.random.choice(present)
        asked = profile(
            team=self.random.choice(TEAMS),
            user_id=self.random.choice(USERS),
            model=self.random.choice(["claude-x", "gpt-x"]),
        )
        hold = Amounts(self.random.choice([0, 1, 7, 40, 333]), self.random.randint(0, 90), 1)
        who = (asked.team, asked.user_id, asked.model)
        subject = gateway.subjects.setdefault(who, Subject(asked))
        self.count += 1
        entry_id = f"e{self.count}"
        for _ in range(4):
            at_us = self.now_us + gateway.skew_us
            decision = gateway.gate.admit(subject, entry_id, hold, at_us)
            if isinstance(decision, Admitted):
                self._went_in(gateway, Call(entry_id, asked, at_us, hold, self._cost_of(hold)))
                return
            if isinstance(decision, Refused):
                self.refused += 1
                return
            if not isinstance(decision, Ask):
                return  # it waits, and its client gives up
            self._send(gateway, decision)
            if gateway.pending is not None:
                return

    def _cost_of(self, hold: Amounts) -> Amounts:
        most = 3 if self.overshoot else 1
        usd, tokens = hold.usd_nanos or 0, hold.tokens or 0
        return Amounts(self.random.randint(0, usd * most), self.random.randint(0, tokens * most), 1)

    def _went_in(self, gateway: Gateway, call: Call) -> None:
        """Walk a call on to its sending, which a kill may cut short anywhere."""
        self.admitted += 1
        if self.random.random() < 0.01:
            self._kill(gateway)  # held in memory, and not yet in the journal
            return
        gateway.journal[call.entry_id] = call
        if self.random.random() < 0.03:
            return  # it waits for a connection
        call.state = follow(call.state, HoldState.SENT)

    def _settle(self) -> None:
        present = [it for it in self._present() if it.open_calls()]
        if not present:
            return
        gateway = self.random.choice(present)
        call = self.random.choice(gateway.open_calls())
        gate = gateway.gate
        if call.state is HoldState.HELD:
            if self.random.random() < 0.5:
                call.state = follow(call.state, HoldState.SENT)
                return
            call.state = follow(call.state, HoldState.VOIDED)
            assert gate.void(call.entry_id)
            return
        known = self.random.random() < 0.9
        call.state = follow(call.state, HoldState.POSTED if known else HoldState.ESTIMATED)
        call.booked = call.cost if known else _larger(call.cost, call.hold)
        if self.random.random() < 0.01:
            self._kill(gateway)  # in the journal, and not yet in memory
            return
        assert gate.settle(call.entry_id, call.booked)
        assert not gate.settle(call.entry_id, call.booked)

    def _beat(self) -> None:
        present = [it for it in self._present() if it.pending is None]
        if present:
            gateway = self.random.choice(present)
            asked = gateway.gate.reports(self.now_us + gateway.skew_us)
            if asked is not None:
                self._send(gateway, asked)

    # ------------------------------------------------------------- the network

    def _send(self, gateway: Gateway, asked: Ask) -> None:
        luck = self.random.random()
        is_cut = gateway.cut_until_us > self.now_us
        if is_cut or luck < 0.06:
            if not is_cut and luck < 0.03:
                self._later(gateway, asked)
            gateway.gate.failed()
            self.failures += 1
            return
        answer = self._exchange(gateway, asked)
        if luck < 0.10:
            gateway.gate.failed()  # the answer is lost
            self.failures += 1
            return
        if luck < 0.13:
            self._later(gateway, asked)  # it arrives a second time
        if luck < 0.25:
            delay_us = self.random.choice([SECOND, 30 * SECOND])
            gateway.pending = Pending(asked, answer, self.now_us + delay_us)
            return
        gateway.gate.answered(asked, answer, self.now_us + gateway.skew_us)

    def _exchange(self, gateway: Gateway, asked: Ask) -> LeaseAnswer:
        return self.authority.exchange(gateway.name, asked.requests, self.now_us)

    def _later(self, gateway: Gateway, asked: Ask) -> None:
        self.late.append(lambda: self._exchange(gateway, asked))

    def _late_message(self) -> None:
        if self.late:
            self.late.pop(self.random.randrange(len(self.late)))()

    def _deliver(self) -> None:
        for gateway in self._present():
            pending = gateway.pending
            if pending is not None and pending.due_us <= self.now_us:
                gateway.pending = None
                assert pending.answer is not None
                gateway.gate.answered(pending.ask, pending.answer, self.now_us + gateway.skew_us)

    # ------------------------------------------------------------- misfortune

    def _kill(self, gateway: Gateway | None = None) -> None:
        gateway = gateway or self.random.choice(self.gateways)
        self.gateways.remove(gateway)
        self.dead.append(gateway)
        self.gateways.append(self._new_gateway())
        self.kills += 1

    def _recover(self) -> None:
        """Read the journal of a gateway that died, and tell the authority."""
        if not self.dead or self.random.random() < 0.1:
            return
        gateway = self.dead.pop(0)
        for call in gateway.open_calls():
            call.state = after_crash(call.state)
            if call.state is HoldState.ESTIMATED:
                call.booked = _larger(call.cost, call.hold)
        spent = self._booked([gateway])
        self.authority.finish(gateway.name, spent, self.now_us)
        if self.random.random() < 0.3:
            self.authority.finish(gateway.name, spent, self.now_us)
        self.finished.append(gateway)

    def _leave(self) -> None:
        gateway = self.random.choice(self.gateways)
        until_us = self.now_us + self.random.choice([SECOND, 60 * SECOND, 300 * SECOND])
        if self.random.random() < 0.5:
            gateway.away_until_us = until_us
        else:
            gateway.cut_until_us = until_us

    def _expire(self) -> None:
        self.authority.expire(self.now_us)

    def _step_clock(self) -> None:
        self.random.choice(self.gateways).skew_us = self.random.randint(-HOUR, HOUR) // 10

    def _change_limit(self) -> None:
        place = self.random.randrange(len(self.budgets))
        old = self.budgets[place]
        factor = self.random.choice([1, 2, 3])
        limit = max(old.rollover_max, old.limit * factor // 2)
        new = old._replace(limit=limit, version=old.version + 1)
        self.budgets[place] = new
        self.most[new.budget_id] = max(self.most[new.budget_id], limit)
        write_budgets(self.connection, [new])
        self.books.append((self.now_us, Book(self.budgets)))

    def _tell_books(self) -> None:
        """Let gateways learn of changed budgets, each when it gets to it."""
        for gateway in self._present():
            if gateway.gate._book is not self.books[-1][1] and self.random.random() < 0.3:
                gateway.gate.use(self.books[-1][1])

    # ------------------------------------------------------------- truth

    def _all(self) -> list[Gateway]:
        return [*self.gateways, *self.dead, *self.finished]

    def _booked(self, gateways: list[Gateway]) -> dict[BalanceKey, int]:
        ended = [
            (call.profile, call.at_us, call.booked)
            for gateway in gateways
            for call in gateway.journal.values()
            if call.state in {HoldState.POSTED, HoldState.ESTIMATED}
        ]
        return booked_sums(Book(self.budgets), ended)

    def _sent(self) -> dict[BalanceKey, int]:
        """Sum up what the provider will bill or has billed, by row."""
        sent = [
            (call.profile, call.at_us, call.cost)
            for gateway in self._all()
            for call in gateway.journal.values()
            if call.state not in {HoldState.HELD, HoldState.VOIDED}
        ]
        return booked_sums(Book(self.budgets), sent)

    def check(self) -> None:
        """Nothing was spent that the authority does not count, and no row is over its limit."""
        modes = {each.budget_id: each.mode for each in self.budgets}
        rows = {row.key: row for row in self.authority.balances()}
        for key, cost in self._sent().items():
            if modes[key.budget_id] is Mode.HARD and cost:
                row = rows[key]
                assert self.overshoot or cost <= row.posted + row.held, (key, cost, row)
                assert self.overshoot or cost <= self._most(row.limit, key), (key, cost, row)
        for key, row in rows.items():
            assert 0 <= row.leased <= row.held
            if modes[key.budget_id] is Mode.HARD and not self.overshoot:
                assert row.posted + row.held <= self._most(row.limit, key), row

    def _most(self, limit: int, key: BalanceKey) -> int:
        """Give the highest limit that a row ever had, with what rolled over."""
        now = next(it.limit for it in self.budgets if it.budget_id == key.budget_id)
        return limit - now + self.most[key.budget_id]

    def _come_to_rest(self) -> None:
        """Let all come back and everything end: then the balances are the entries, exactly."""
        self.now_us += 400 * SECOND
        for gateway in self.gateways:
            gateway.away_until_us = gateway.cut_until_us = gateway.skew_us = 0
        self._deliver()
        while self.late:
            self._late_message()
        while self.dead:
            self._recover()
        for gateway in self.gateways:
            for call in gateway.open_calls():
                if call.state is HoldState.HELD:
                    call.state = HoldState.VOIDED
                    assert gateway.gate.void(call.entry_id)
                else:
                    call.state, call.booked = HoldState.POSTED, call.cost
                    assert gateway.gate.settle(call.entry_id, call.booked)
            assert gateway.gate.open_calls == 0
        for _ in range(6):
            self.now_us += 11 * SECOND
            for gateway in self.gateways:
                asked = gateway.gate.reports(self.now_us)
                if asked is not None:
                    answer = self._exchange(gateway, asked)
                    gateway.gate.answered(asked, answer, self.now_us)
        balances = self.authority.balances()
        assert all(row.held == 0 for row in balances), balances
        found = drifts(balances, self._booked(self._all()))
        assert found == [], found
        self.authority.close()


def _larger(cost: Amounts, hold: Amounts) -> Amounts:
    return Amounts(
        max(cost.usd_nanos or 0, hold.usd_nanos or 0), max(cost.tokens or 0, hold.tokens or 0), 1
    )
