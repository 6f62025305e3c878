"""How budgets stand: what is spent, held and left, and who may see whose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import stores
from budget_desks import DAILY, DOLLAR, LIFETIME, NOW, budget, charge
from tollkeeper.console.access import viewer_of_user
from tollkeeper.domain.access import Role, Scope, Viewer
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Amounts, Budget, BudgetScope, Mode, Unit
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.leases import LeaseRequest
from tollkeeper.ports import User
from tollkeeper.services.budget_standings import (
    EVERYTHING,
    Onlooker,
    Standing,
    at_risk,
    onlooker_of,
    opens_at_us,
    standing,
    standings,
    tightest_of,
    used_bp,
)
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

ORG = "acme"


class Desk:
    """A store with people, and an authority on the same file."""

    def __init__(self, folder: stores.Folder) -> None:
        self.folder, self.store = folder, folder.store
        self.store.set_org_name(ORG)
        self.alice = stores.add_person(self.store, "alice@acme.com", "core")
        self.lena = stores.add_person(self.store, "lena@acme.com", "core", Role.LEAD)
        self.mallory = stores.add_person(self.store, "mallory@acme.com", "other")
        self.root = stores.add_person(self.store, "root@acme.com", "", Role.ADMIN)
        self.key = stores.issue_key(folder, "alice@acme.com", tags={"feature": "chat"})

    def keep(self, *kept: Budget) -> None:
        for each in kept:
            self.store.add_budget(each, NOW, "test")

    def spend(self, of: Budget, posted: int, held: int = 0, entity: str = "") -> None:
        with closing(open_sqlite_budgets(self.folder.data.store)) as authority:
            for entry, amount in (("posted", posted), ("held", held)):
                if amount:
                    name = f"{entry} {of.budget_id} {entity}"
                    assert not authority.hold(name, "g1", [charge(of, amount, entity)], NOW)
            authority.settle(f"posted {of.budget_id} {entity}", Amounts(posted, posted), NOW)

    def seen_by(self, user: User) -> dict[str, list[str]]:
        viewer = viewer_of_user(ORG, user)
        found = standings(self.store, onlooker_of(self.store, viewer), NOW)
        return {each.budget.name: [row.key.entity for row in each.rows] for each in found}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(stores.open_folder(tmp_path / "data"))
    yield made
    made.store.close()


def only(found: list[Standing]) -> Standing:
    (one,) = found
    return one


def test_spent_held_and_left_are_told_apart(desk: Desk) -> None:
    month = budget(limit=10 * DOLLAR, window=WindowRule(WindowKind.MONTH, "Europe/Berlin"))
    desk.keep(month)
    desk.spend(month, 3 * DOLLAR, 2 * DOLLAR)
    (row,) = only(standings(desk.store, EVERYTHING, NOW)).rows
    assert (row.posted, row.held, row.left, row.limit) == (
        3 * DOLLAR,
        2 * DOLLAR,
        5 * DOLLAR,
        10 * DOLLAR,
    )
    assert opens_at_us(month, row) == month.window.around(NOW).end_us
    assert used_bp(row) == 5_000


def test_what_a_gateway_has_ready_is_left(desk: Desk) -> None:
    one = budget(limit=100 * DOLLAR)
    desk.keep(one)
    taken = charge(one, 0)
    with closing(open_sqlite_budgets(desk.folder.data.store)) as authority:
        asked = LeaseRequest(
            taken.key, taken.window_end_us, 0, 0, 0, amount=DOLLAR, wanted=10 * DOLLAR
        )
        authority.exchange("g1", [asked], NOW)
        (kept,) = authority.balances()
    assert kept.leased > 0
    (row,) = only(standings(desk.store, EVERYTHING, NOW)).rows
    assert (row.held, row.left) == (0, 100 * DOLLAR)


def test_what_was_not_used_yet_stands_at_its_limit(desk: Desk) -> None:
    desk.keep(budget("b1"), budget("b2", scope=BudgetScope.TEAM, each=True))
    together, each = standings(desk.store, EVERYTHING, NOW)
    assert together.tightest is not None
    assert (together.tightest.posted, together.tightest.left) == (0, 5 * DOLLAR)
    assert opens_at_us(together.budget, together.tightest) is None
    assert each.rows == ()


def test_only_the_windows_of_now_are_shown(desk: Desk) -> None:
    daily = budget(window=DAILY)
    desk.keep(daily)
    desk.spend(daily, DOLLAR)
    (row,) = only(standings(desk.store, EVERYTHING, NOW + 2 * stores.DAY)).rows
    assert row.posted == 0
    assert row.key.window_start_us > NOW


def test_rows_come_the_fullest_first(desk: Desk) -> None:
    each = budget(scope=BudgetScope.TEAM, each=True)
    desk.keep(each)
    for entity, dollars in (("core", 1), ("other", 4), ("third", 2)):
        desk.spend(each, dollars * DOLLAR, entity=entity)
    rows = only(standings(desk.store, EVERYTHING, NOW)).rows
    assert [row.key.entity for row in rows] == ["other", "third", "core"]


def test_nobody_learns_what_another_person_spent(desk: Desk) -> None:
    key_id = desk.key.record.key.key_id
    kept = [
        budget("b01", name="org"),
        budget("b02", name="core", scope=BudgetScope.TEAM, match="core"),
        budget("b03", name="other", scope=BudgetScope.TEAM, match="other"),
        budget("b04", name="each team", scope=BudgetScope.TEAM, each=True),
        budget("b05", name="each person", scope=BudgetScope.USER, each=True),
        budget("b06", name="mallory", scope=BudgetScope.USER, match=desk.mallory.user_id),
        budget("b07", name="key", scope=BudgetScope.KEY, match=key_id),
        budget("b08", name="each key", scope=BudgetScope.KEY, each=True),
        budget("b09", name="model", scope=BudgetScope.MODEL, match="gpt-*", exempt_models=("*",)),
        budget("b10", name="each session", scope=BudgetScope.SESSION, each=True),
        budget("b11", name="customers", scope=BudgetScope.END_CUSTOMER, each=True),
        budget("b12", name="chat", scope=BudgetScope.TAG, tag="feature", match="chat"),
        budget("b13", name="search", scope=BudgetScope.TAG, tag="feature", match="search"),
        budget("b14", name="all sessions", scope=BudgetScope.SESSION, match="s-1"),
    ]
    desk.keep(*kept)
    by_name = {each.name: each for each in kept}
    people = {user.user_id: user.email for user in desk.store.users()}
    for name, entities in (
        ("each team", ("core", "other")),
        ("each person", (desk.alice.user_id, desk.mallory.user_id, desk.lena.user_id)),
        ("each key", (key_id, "mallorys")),
        ("each session", ("s-1",)),
        ("customers", ("c-1",)),
    ):
        for entity in entities:
            desk.spend(by_name[name], DOLLAR, entity=entity)
    seen = desk.seen_by(desk.alice)
    assert seen == {
        "org": [""],
        "core": [""],
        "each team": ["core"],
        "each person": [desk.alice.user_id],
        "key": [""],
        "each key": [key_id],
        "model": [""],
        "chat": [""],
    }
    lead = desk.seen_by(desk.lena)
    assert {people[entity] for entity in lead["each person"]} == {
        "alice@acme.com",
        "lena@acme.com",
    }
    assert lead["each team"] == ["core"]
    assert "mallory" not in lead
    assert "each session" not in lead
    stranger = desk.seen_by(desk.mallory)
    assert stranger["each team"] == ["other"]
    assert "core" not in stranger
    assert "key" not in stranger
    assert "each key" not in stranger
    assert set(desk.seen_by(desk.root)) == set(by_name)


def test_what_may_not_be_seen_is_not_there(desk: Desk) -> None:
    desk.keep(budget("b1", scope=BudgetScope.USER, match=desk.mallory.user_id))
    alice = onlooker_of(desk.store, viewer_of_user(ORG, desk.alice))
    for budget_id in ("b1", "b2"):
        with pytest.raises(NotFound):
            standing(desk.store, budget_id, alice, NOW)
    assert standing(desk.store, "b1", EVERYTHING, NOW).budget.budget_id == "b1"


def test_somebody_of_no_team_is_not_in_the_budgets_of_none() -> None:
    nobody = Onlooker(())
    assert not nobody.sees(budget(scope=BudgetScope.TEAM, each=True))
    viewer = Viewer("", "nobody", Role.MEMBER, Scope(ORG, teams=frozenset()))
    assert viewer.scope.teams == frozenset()


def test_the_fullest_hard_budget_is_the_tightest(desk: Desk) -> None:
    kept = [
        budget("b1", limit=10 * DOLLAR),
        budget("b2", limit=2 * DOLLAR),
        budget("b3", limit=DOLLAR, mode=Mode.OBSERVE),
        budget("b4", limit=10, unit=Unit.REQUESTS, window=LIFETIME),
    ]
    desk.keep(*kept)
    desk.spend(kept[0], 5 * DOLLAR)
    desk.spend(kept[1], DOLLAR, DOLLAR * 8 // 10)
    desk.spend(kept[2], 3 * DOLLAR)
    found = standings(desk.store, EVERYTHING, NOW)
    tightest = tightest_of(found)
    assert tightest is not None
    assert tightest[0].budget_id == "b2"
    assert [each.budget.budget_id for each in at_risk(found, NOW)] == ["b3", "b2"]
    assert tightest_of([]) is None


def test_a_limit_of_nothing_is_full(desk: Desk) -> None:
    desk.keep(budget(limit=0))
    row = only(standings(desk.store, EVERYTHING, NOW)).tightest
    assert row is not None
    assert used_bp(row) == 10_000
