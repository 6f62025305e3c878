"""What every budget authority must do with a gateway whose journal is lost for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from budget_desks import (
    CENT,
    DOLLAR,
    NOW,
    SECOND,
    budget,
    charge,
    file_authority,
    only,
    server_authority,
)
from postgres_cluster import shared
from tollkeeper.domain.budgets import Budget, Unit
from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.domain.gateway_company import Beat
from tollkeeper.domain.leases import LEASE_US, BudgetAuthority, LeaseRequest, LeaseState
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.sqlite_budgets import SqliteBudgetAuthority

LATER = NOW + LEASE_US
CAP = budget(limit=100 * DOLLAR)
CALLS = budget("b2", 1_000, unit=Unit.REQUESTS)


class Desk:
    """An authority with two budgets, and a gateway that has leased of both."""

    def __init__(self, authority: BudgetAuthority) -> None:
        self.authority = authority
        states = self.exchange("g1", lease(CAP, amount=DOLLAR), lease(CALLS, amount=10))
        said = lease(CAP, states[0], spent=20 * CENT, held=30 * CENT, keep=50 * CENT)
        self.exchange("g1", said, lease(CALLS, states[1], spent=2, held=3, keep=5))

    def exchange(self, gateway: str, *requests: LeaseRequest, at_us: int = NOW) -> list[LeaseState]:
        return list(self.authority.exchange(gateway, requests, at_us).states)

    def rows(self) -> list[tuple[int, int]]:
        return [(row.posted, row.held) for row in self.authority.balances()]


def lease(each: Budget, state: LeaseState | None = None, **fields: int) -> LeaseRequest:
    where = charge(each, 0)
    usual = {"epoch": state.epoch if state else 0, "spent": 0, "held": 0}
    return LeaseRequest(where.key, where.window_end_us, **usual | fields)


def keys(*budgets: Budget) -> Iterable[object]:
    return {charge(each, 0).key for each in budgets}


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    authority: PostgresBudgetAuthority | SqliteBudgetAuthority
    if request.param == "postgresql":
        authority = server_authority(shared().new_database(), [CAP, CALLS])
    else:
        authority = file_authority(tmp_path, [CAP, CALLS])
    with closing(authority):
        yield Desk(authority)


def test_who_has_something_leased_is_listed_with_when_it_was_heard_of(desk: Desk) -> None:
    desk.exchange("g2", lease(CAP, amount=CENT), at_us=NOW + SECOND)
    desk.exchange("g3", lease(CAP), at_us=NOW)
    one, two = desk.authority.open_gateways()
    assert (one.gateway, one.seen_at_us, two.gateway, two.seen_at_us) == (
        *("g1", NOW),
        *("g2", NOW + SECOND),
    )
    assert one.held == {charge(CAP, 0).key: 80 * CENT, charge(CALLS, 0).key: 8}
    assert (one.is_alive(LATER - 1), one.is_alive(LATER), one.is_alive(0)) == (True, False, True)


def test_all_that_it_was_granted_is_charged_once(desk: Desk) -> None:
    assert desk.rows() == [(20 * CENT, 80 * CENT), (2, 8)]
    assert desk.authority.abandoned() == {}
    for _ in range(2):
        ended = desk.authority.abandon("g1", LATER)
        assert (ended.gateway, ended.seen_at_us, ended.held.keys()) == ("g1", NOW, keys(CAP, CALLS))
        assert desk.rows() == [(DOLLAR, 0), (10, 0)]
        assert desk.authority.abandoned() == ended.held
    assert desk.authority.open_gateways() == []
    assert desk.authority.expire(LATER) == []
    desk.authority.prune(LATER + LEASE_US)
    assert desk.authority.abandoned() == ended.held


def test_one_that_may_live_is_left_alone(desk: Desk) -> None:
    with pytest.raises(Conflict, match="was heard of 59 seconds ago, and may live"):
        desk.authority.abandon("g1", LATER - 1)
    assert desk.rows() == [(20 * CENT, 80 * CENT), (2, 8)]
    for unknown in ("", "g9", "g1' --"):
        with pytest.raises(NotFound, match="holds nothing"):
            desk.authority.abandon(unknown, LATER)


def test_one_that_lives_nevertheless_spends_no_more_than_was_charged(desk: Desk) -> None:
    desk.authority.abandon("g1", LATER)
    states = desk.exchange(
        *("g1", lease(CAP, spent=90 * CENT, held=10 * CENT, amount=DOLLAR)), at_us=LATER
    )
    assert states[0].closed
    assert desk.rows() == [(DOLLAR, 0), (10, 0)]


def test_what_was_charged_is_written_off_once(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.authority.write_off("g1", LATER)
    charged = desk.authority.abandon("g1", LATER)
    assert desk.authority.write_off("g1", LATER).held == charged.held
    for again in (desk.authority.write_off, desk.authority.abandon):
        with pytest.raises(NotFound):
            again("g1", LATER)
    assert desk.rows() == [(20 * CENT, 0), (2, 0)]
    assert desk.authority.abandoned() == {}


@pytest.mark.parametrize("is_written_off", [False, True])
def test_a_journal_that_is_found_after_all_says_what_was_spent(
    desk: Desk, *, is_written_off: bool
) -> None:
    desk.authority.abandon("g1", LATER)
    if is_written_off:
        desk.authority.write_off("g1", LATER)
    spent = {charge(CAP, 0).key: 70 * CENT, charge(CALLS, 0).key: 1}
    for _ in range(2):
        desk.authority.finish("g1", spent, LATER)
        assert desk.rows() == [(70 * CENT, 0), (2, 0)]  # what it said, it spent
        assert desk.authority.abandoned() == {}
    with pytest.raises(NotFound):
        desk.authority.write_off("g1", LATER)


def test_a_window_that_is_over_is_charged_as_others(desk: Desk) -> None:
    desk.exchange("g2", lease(CAP, amount=CENT), at_us=NOW)
    ended = desk.authority.abandon("g2", LATER + 10**15)
    assert sum(ended.held.values()) == CENT
    assert only(row for row in desk.rows() if row[1] == 80 * CENT) == (21 * CENT, 80 * CENT)


def test_gateways_that_share_limits_meet_and_have_no_budgets(desk: Desk) -> None:
    meet, leave = desk.authority.meet, desk.authority.leave
    assert meet("g1", NOW) == [Beat("g1", NOW)]
    assert sorted(meet("g2", NOW + 1)) == [Beat("g1", NOW), Beat("g2", NOW + 1)]
    assert sorted(meet("g1", NOW + 2)) == [Beat("g1", NOW + 2), Beat("g2", NOW + 1)]
    leave("g1", NOW + 3)
    leave("g9", NOW + 3)
    assert meet("g2", NOW + 4) == [Beat("g2", NOW + 4)]
    assert [it.gateway for it in desk.authority.open_gateways()] == ["g1"]
    desk.authority.prune(NOW + 4)  # one that ended, and none that lives
    assert meet("g3", NOW + 5)[0] == Beat("g2", NOW + 4)
    desk.authority.prune(NOW + 5)  # one that never said that it had gone
    assert meet("g3", NOW + 5) == [Beat("g3", NOW + 5)]
