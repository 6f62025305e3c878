"""Budgets are made, changed and ended: by one person at a time, and never half."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import stores
from budget_desks import DAILY, DOLLAR, NOW, SECOND, budget
from tollkeeper.domain.budget_windows import LATEST_US, WindowKind, WindowRule
from tollkeeper.domain.budgets import FIXED, Budget, BudgetScope, Mode, Sizing, Unit
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.services import budgets
from tollkeeper.storage.store.store import SqlStore

BY = "alice@acme.com"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = stores.open_folder(tmp_path / "data").store
    yield opened
    opened.close()


def test_a_budget_counts_from_when_every_gateway_knows_of_it(store: SqlStore) -> None:
    made = budgets.make_budget(store, budget(name=" Acme "), BY, NOW)
    assert (made.name, made.version) == ("Acme", 1)
    assert (made.since_us, made.until_us) == (NOW + 2 * SECOND, LATEST_US)
    assert store.budgets() == [made]
    assert budgets.budget(store, made.budget_id) == made
    assert [budgets.state_of(made, NOW + at * SECOND) for at in (0, 2)] == ["planned", "active"]


def test_every_kind_is_kept_as_it_was_given(store: SqlStore) -> None:
    made = [
        budgets.make_budget(store, budget(name=f"{scope} {unit}", **fields), BY, NOW)
        for scope in BudgetScope
        for unit in Unit
        for fields in [
            {
                "scope": scope,
                "unit": unit,
                "limit": 4 * 10**18,
                "tag": "feature" if scope is BudgetScope.TAG else "",
                "each": scope is not BudgetScope.ORG,
                "window": WindowRule(WindowKind.QUARTER, "Asia/Kathmandu", 7, 4, 31),
                "mode": Mode.OBSERVE,
                "sizing": Sizing.STRICT,
                "exempt_models": ("gemma*", "Ünïcödé-*"),
                "rollover_max": 7,
                "thresholds_bp": (1, 10_000),
            }
        ]
    ]
    assert store.budgets() == sorted(made, key=lambda it: it.budget_id)


def test_a_change_makes_a_new_version_and_raises_the_revision(store: SqlStore) -> None:
    made = budgets.make_budget(store, budget(), BY, NOW)
    before = store.revision()
    changed = budgets.change_budget(store, made._replace(limit=0, mode=Mode.OBSERVE), BY)
    assert (changed.version, changed.limit) == (2, 0)
    assert store.budgets() == [changed]
    assert store.revision() > before


def test_of_two_who_change_the_same_version_one_is_told(store: SqlStore) -> None:
    made = budgets.make_budget(store, budget(), BY, NOW)
    start = threading.Barrier(8)

    def change(limit: int) -> bool:
        start.wait()
        try:
            budgets.change_budget(store, made._replace(limit=limit), BY)
        except Conflict as error:
            assert error.code == "budget_changed"
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(change, range(1, 9))) == 1
    assert budgets.budget(store, made.budget_id).version == 2


@pytest.mark.parametrize(
    "fixed",
    [
        {"scope": BudgetScope.TEAM},
        {"unit": Unit.TOKENS},
        {"window": DAILY},
        {"exempt_models": ("x",)},
    ],
)
def test_what_a_budget_counts_is_not_changed(store: SqlStore, fixed: dict[str, Any]) -> None:
    assert set(fixed) <= set(FIXED)
    made = budgets.make_budget(store, budget(), BY, NOW)
    with pytest.raises(BadRequest, match="never changes"):
        budgets.change_budget(store, made._replace(**fixed), BY)
    assert store.budgets() == [made]


@pytest.mark.parametrize(
    "wrong", [{"limit": -1}, {"limit": 1e400}, {"window": WindowRule(WindowKind.DAY, "X/Y")}]
)
def test_what_cannot_be_used_is_refused_and_nothing_is_kept(
    store: SqlStore, wrong: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest) as raised:
        budgets.make_budget(store, budget(**{"limit": 5, **wrong}), BY, NOW)
    assert raised.value.code == "budget_unusable"
    assert store.budgets() == []


def test_one_that_ends_counts_until_every_gateway_knows(store: SqlStore) -> None:
    made = budgets.make_budget(store, budget(), BY, NOW)
    later = NOW + 10 * SECOND
    ended = budgets.end_budget(store, made.budget_id, BY, later)
    assert ended.until_us == later + 2 * SECOND
    assert budgets.state_of(ended, ended.until_us) == "ended"
    assert budgets.end_budget(store, made.budget_id, BY, later + DOLLAR) == ended


def test_one_that_ends_before_it_began_never_counts(store: SqlStore) -> None:
    made = budgets.make_budget(store, budget(since_us=NOW + 100 * SECOND), BY, NOW)
    ended: Budget = budgets.end_budget(store, made.budget_id, BY, NOW)
    assert ended.until_us == ended.since_us


def test_a_prepaid_budget_is_paid_into(store: SqlStore) -> None:
    prepaid = budget(limit=DOLLAR, window=WindowRule(WindowKind.PREPAID))
    made = budgets.make_budget(store, prepaid, BY, NOW)
    assert budgets.top_up(store, made.budget_id, 2 * DOLLAR, BY).limit == 3 * DOLLAR
    for amount in (0, -1, 4 * 10**18):
        with pytest.raises(BadRequest):
            budgets.top_up(store, made.budget_id, amount, BY)
    other = budgets.make_budget(store, budget(), BY, NOW)
    with pytest.raises(BadRequest, match="prepaid"):
        budgets.top_up(store, other.budget_id, 1, BY)
    assert budgets.budget(store, made.budget_id).limit == 3 * DOLLAR


def test_one_that_is_not_there_is_not_found(store: SqlStore) -> None:
    for work in (
        lambda: budgets.end_budget(store, "gone", BY, NOW),
        lambda: budgets.top_up(store, "gone", 1, BY),
        lambda: budgets.change_budget(store, budget("gone"), BY),
    ):
        with pytest.raises(NotFound):
            work()
