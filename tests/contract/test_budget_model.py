"""A budget authority against a model of it: after any steps in any order, they agree exactly.

The invariants are those that a cap rests on. I1: spent and held are within the limit at every
admission. I2: each hold is resolved once. I3: balances are the sums of what was booked. I6:
leases are a part of what is held. (That no byte goes out before its hold is written, and that
what was written is in the journal, are the gateway's to keep.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from budget_desks import NOW, SECOND, budget, memory_authority, server_authority, write_budgets
from postgres_cluster import shared
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Amounts, BalanceKey, Budget, BudgetScope, Mode, Unit
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.leases import LEASE_US, Charge, LeaseRequest, slice_of
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.sqlite_budgets import SqliteBudgetAuthority

HOUR = 3_600 * SECOND
AMOUNTS = st.sampled_from([0, 1, 2, 5, 20, 60])
GATEWAYS = ("g1", "g2", "g3")
OWNER = "holds"
UNITS = {"a": Unit.USD, "b": Unit.TOKENS, "c": Unit.USD, "d": Unit.REQUESTS}


@dataclass
class Row:
    posted: int = 0
    held: int = 0


@dataclass
class Lease:
    """What the authority knows of a lease, and (``spent``) what its gateway does."""

    granted: int = 0
    told: int = 0
    epoch: int = 0
    spent: int = 0
    said: list[LeaseRequest] = field(default_factory=list)

    @property
    def unspent(self) -> int:
        return max(self.granted - self.told, 0)


class AuthorityModel(RuleBasedStateMachine):
    """Every rule does one thing to the authority and the same to the model."""

    def opened(self, budgets: list[Budget]) -> SqliteBudgetAuthority | PostgresBudgetAuthority:
        """Open the authority that is tried: here the fastest one."""
        return memory_authority(budgets)

    @initialize()
    def start(self) -> None:
        hourly, forever = WindowRule(WindowKind.HOUR), WindowRule(WindowKind.LIFETIME)
        made = [
            budget("a", 100, window=hourly),
            budget("b", 50, window=forever, unit=UNITS["b"], scope=BudgetScope.TEAM, each=True),
            budget("c", 10, window=hourly, mode=Mode.OBSERVE),
            budget("d", 30, window=hourly, unit=UNITS["d"]),
        ]
        self.budgets = {each.budget_id: each for each in made}
        self.authority = self.opened(made)
        self.now = NOW
        self.rows: dict[BalanceKey, Row] = {}
        self.holds: dict[str, list[Charge]] = {}
        self.ended: dict[str, list[Charge]] = {}
        self.leases: dict[tuple[str, BalanceKey], Lease] = {}
        self.dead: set[str] = set()
        self.lost: dict[str, dict[BalanceKey, int]] = {}  # what they spent in truth
        self.charged: dict[tuple[str, BalanceKey], int] = {}
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "authority"):
            self.authority.close()

    # ------------------------------------------------------------- holds

    @rule(
        names=st.lists(st.sampled_from("abcd"), min_size=1, unique=True),
        amounts=st.lists(AMOUNTS, min_size=4, max_size=4),
        team=st.sampled_from(["core", "search"]),
        is_late=st.booleans(),
    )
    def hold(self, names: list[str], amounts: list[int], team: str, is_late: bool) -> None:
        at_us = self.now - HOUR if is_late else self.now
        charges = [
            self._charge(name, amount, team, at_us)
            for name, amount in zip(names, amounts, strict=False)
        ]
        fits = all(self._has_room(each.key, each.amount) for each in charges)
        self.count += 1
        entry = f"e{self.count}"
        shortage = self.authority.hold(entry, OWNER, charges, self.now)
        assert (shortage is None) == fits
        if shortage is None:
            for each in charges:
                row = self._row(each.key)
                row.held += each.amount
                assert not each.amount or row.posted + row.held <= self._limit(each.key)
            self.holds[entry] = charges
        else:
            assert not self._has_room(shortage.key, shortage.amount)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), cost=AMOUNTS, is_known=st.booleans())
    def settle(self, data: st.DataObject, cost: int, is_known: bool) -> None:
        entry = data.draw(st.sampled_from(sorted(self.holds)))
        spent = Amounts(cost, cost, cost) if is_known else None
        assert self.authority.settle(entry, spent, self.now)
        for each in self.holds[entry]:
            row = self._row(each.key)
            row.held -= each.amount
            row.posted += cost if is_known else each.amount
        self.ended[entry] = self.holds.pop(entry)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(sorted(self.holds)))
        charges = self.holds.pop(entry)
        assert self.authority.void(entry, OWNER, charges, self.now)
        for each in charges:
            self._row(each.key).held -= each.amount
        self.ended[entry] = charges

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def hold_again(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(sorted(self.holds)))
        assert self.authority.hold(entry, OWNER, self.holds[entry], self.now) is None

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), cost=AMOUNTS)
    def end_again(self, data: st.DataObject, cost: int) -> None:
        entry = data.draw(st.sampled_from(sorted(self.ended)))
        assert not self.authority.settle(entry, Amounts(cost, cost, cost), self.now)
        assert not self.authority.void(entry, OWNER, self.ended[entry], self.now)
        with pytest.raises(ValueError, match="ended"):
            self.authority.hold(entry, OWNER, self.ended[entry], self.now)

    # ------------------------------------------------------------- leases

    @rule(
        gateway=st.sampled_from(GATEWAYS),
        name=st.sampled_from("abcd"),
        amount=AMOUNTS,
        wanted=st.sampled_from([0, 1, 30, 10_000]),
        quarters=st.integers(0, 5),
        keep=st.integers(0, 10),
    )
    def exchange(
        self, gateway: str, name: str, amount: int, wanted: int, quarters: int, keep: int
    ) -> None:
        """Let a gateway spend of what it has (or more), say so, hold some, and ask for more."""
        where = self._charge(name, amount, "core", self.now)
        lease = self._lease(gateway, where.key)
        free = max(lease.granted - lease.spent, 0)
        if gateway not in self.dead:
            lease.spent += free * quarters // 4
        held = max(lease.granted - lease.spent, 0) // 2
        request = LeaseRequest(
            where.key,
            where.window_end_us,
            lease.epoch,
            lease.spent,
            held,
            keep,
            amount,
            wanted,
        )
        lease.said.append(request)
        self._say(gateway, request)

    @rule(gateway=st.sampled_from(GATEWAYS), name=st.sampled_from("abd"), cost=AMOUNTS)
    def spend_unseen(self, gateway: str, name: str, cost: int) -> None:
        """Let a gateway spend, and not come to say so."""
        lease = self.leases.get((gateway, self._charge(name, 0, "core", self.now).key))
        if lease is not None and gateway not in self.dead:
            lease.spent += min(cost, max(lease.granted - lease.spent, 0))

    @precondition(lambda self: any(lease.said for lease in self.leases.values()))
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        """Let something arrive that was said before."""
        keys = sorted(key for key, lease in self.leases.items() if lease.said)
        gateway, key = data.draw(st.sampled_from(keys))
        self._say(gateway, data.draw(st.sampled_from(self.leases[(gateway, key)].said)))

    @precondition(lambda self: len(self.dead) < len(GATEWAYS) - 1)
    @rule(data=st.data(), is_journal_lost=st.booleans())
    def finish(self, data: st.DataObject, is_journal_lost: bool) -> None:
        gateway = data.draw(st.sampled_from([it for it in GATEWAYS if it not in self.dead]))
        mine = {key: lease for (name, key), lease in self.leases.items() if name == gateway}
        spent = {key: lease.spent for key, lease in mine.items()}
        if is_journal_lost and not mine:
            with pytest.raises(NotFound):
                self.authority.abandon(gateway, self.now + LEASE_US)
            return
        if is_journal_lost:
            self.lost[gateway] = spent
            ended = self.authority.abandon(gateway, self.now + LEASE_US)
            assert ended.held == {key: it.unspent for key, it in mine.items() if it.unspent}
        else:
            self.authority.finish(gateway, spent, self.now)
        for key, lease in mine.items():
            in_all = max(lease.granted if is_journal_lost else lease.spent, lease.told)
            row = self._row(key)
            row.held -= lease.unspent
            row.posted += in_all - lease.told
            if is_journal_lost:
                self.charged[(gateway, key)] = lease.unspent
            lease.granted = lease.told = in_all
            lease.spent = max(lease.spent, in_all)
            lease.epoch += 1
        self.dead.add(gateway)

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def write_off(self, data: st.DataObject) -> None:
        """Let somebody take back what was charged for a gateway that is lost."""
        gateway = data.draw(st.sampled_from(sorted(self.lost)))
        mine = {key: it for (name, key), it in self.charged.items() if name == gateway and it}
        if not mine:
            with pytest.raises(NotFound):
                self.authority.write_off(gateway, self.now)
            return
        assert self.authority.write_off(gateway, self.now).held == mine
        for key, amount in mine.items():
            self.charged[(gateway, key)] = 0
            self._correct(gateway, key, -amount)

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def journal_is_found(self, data: st.DataObject) -> None:
        """Let the journal of a gateway that was given up say what it spent."""
        gateway = data.draw(st.sampled_from(sorted(self.lost)))
        truth = self.lost.pop(gateway)
        self.authority.finish(gateway, truth, self.now)
        for key, spent in truth.items():
            told = self._lease(gateway, key).told
            said = told - self.charged.pop((gateway, key))
            self._correct(gateway, key, max(spent, said) - told)

    def _correct(self, gateway: str, key: BalanceKey, more: int) -> None:
        lease = self._lease(gateway, key)
        lease.told += more
        lease.granted += more
        self._row(key).posted += more

    def _say(self, gateway: str, request: LeaseRequest) -> None:
        answer = self.authority.exchange(gateway, [request], self.now)
        lease, row = self._lease(gateway, request.key), self._row(request.key)
        is_dead = gateway in self.dead
        unspent_before, told_before = lease.unspent, lease.told
        knows = lease.epoch == request.epoch and not is_dead
        lease.told = max(lease.told, request.spent)
        if knows:
            needed = request.spent + request.held
            lease.granted = needed + min(request.keep, max(lease.granted - needed, 0))
        elif is_dead:
            lease.granted = lease.told
        lease.epoch += 1
        row.posted += lease.told - told_before
        row.held += lease.unspent - unspent_before
        if knows:
            self._grant(gateway, request, is_granted=answer.shortage is None)
        else:
            assert answer.shortage is None
        (state,) = answer.states
        assert (state.granted, state.spent) == (lease.granted, lease.told)
        assert (state.epoch, state.closed) == (lease.epoch, is_dead)

    def _grant(self, gateway: str, request: LeaseRequest, *, is_granted: bool) -> None:
        row, lease = self._row(request.key), self._lease(gateway, request.key)
        left = self._limit(request.key) - row.posted - row.held
        size = slice_of(left, self._leased(request.key), request.amount, request.wanted)
        assert is_granted == (left >= request.amount or not request.amount)
        if is_granted and size and size <= left:
            row.held += size
            lease.granted += size
            assert row.posted + row.held <= self._limit(request.key)

    # ------------------------------------------------------------- the world

    @rule(name=st.sampled_from("abcd"), limit=st.sampled_from([0, 10, 50, 100, 200]))
    def change_limit(self, name: str, limit: int) -> None:
        changed = self.budgets[name]._replace(limit=limit)
        self.budgets[name] = changed
        with self.authority._transaction() as db:
            write_budgets(db, [changed])

    @rule(step=st.sampled_from([SECOND, HOUR]))
    def wait(self, step: int) -> None:
        self.now += step

    @rule()
    def expire(self) -> None:
        before = self.authority.balances()
        self.authority.expire(self.now)
        assert self.authority.balances() == before

    @invariant()
    def balances_agree(self) -> None:
        if not hasattr(self, "rows"):
            return
        found = {row.key: row for row in self.authority.balances()}
        for key, row in self.rows.items():
            if key not in found:
                assert row == Row()
                continue
            assert (found[key].posted, found[key].held) == (row.posted, row.held)
            assert found[key].leased == self._leased(key)
            assert 0 <= found[key].leased <= found[key].held

    # ------------------------------------------------------------- the model

    def _charge(self, name: str, amount: int, team: str, at_us: int) -> Charge:
        each: Budget = self.budgets[name]
        window = each.window.around(at_us)
        entity = team if each.each else ""
        return Charge(BalanceKey(name, entity, window.start_us), window.end_us, amount)

    def _row(self, key: BalanceKey) -> Row:
        return self.rows.setdefault(key, Row())

    def _lease(self, gateway: str, key: BalanceKey) -> Lease:
        return self.leases.setdefault((gateway, key), Lease())

    def _limit(self, key: BalanceKey) -> int:
        each = self.budgets[key.budget_id]
        return 2**62 if each.mode is Mode.OBSERVE else each.limit

    def _leased(self, key: BalanceKey) -> int:
        return sum(lease.unspent for (_, row), lease in self.leases.items() if row == key)

    def _has_room(self, key: BalanceKey, amount: int) -> bool:
        row = self._row(key)
        return not amount or row.posted + row.held + amount <= self._limit(key)


class ManySteps(AuthorityModel):
    """The same, for much longer."""


class OnPostgresql(AuthorityModel):
    """The same on a server."""

    def opened(self, budgets: list[Budget]) -> PostgresBudgetAuthority:
        return server_authority(shared().new_database(), budgets)


AuthorityModel.TestCase.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
OnPostgresql.TestCase.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
ManySteps.TestCase.settings = settings(max_examples=1_000, stateful_step_count=120, deadline=None)
test_after_any_steps_authority_and_model_agree = AuthorityModel.TestCase
test_after_any_steps_on_postgresql_they_agree = OnPostgresql.TestCase
test_after_very_many_steps_they_agree = pytest.mark.long(ManySteps.TestCase)
