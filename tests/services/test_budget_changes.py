"""Budgets made and changed in words: whom they name, versions, and requests that come twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import stores
from budget_desks import DOLLAR, NOW, budget
from stores import DAY
from tollkeeper.domain.budget_words import FILE_PREFIX, UnclearWords
from tollkeeper.domain.budgets import Mode, Sizing
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.services import budget_changes as service

BY = "root@acme.com"
WORDS: dict[str, Any] = {"scope": "org", "limit": "50 USD", "window": "prepaid"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[stores.Folder]:
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("acme")
    stores.add_person(opened.store, "alice@acme.com", "Core")
    yield opened
    opened.store.close()


def make(folder: stores.Folder, **words: Any) -> Any:
    return service.make(folder.store, WORDS | words, "Europe/Berlin", BY, NOW)


def test_words_become_a_budget(folder: stores.Folder) -> None:
    made = make(folder, window="month")
    assert (made.limit, made.window.zone) == (50 * DOLLAR, "Europe/Berlin")
    assert folder.store.budgets() == [made]


def test_people_teams_and_keys_are_called_by_their_names(folder: stores.Folder) -> None:
    alice = folder.store.user_with_email("alice@acme.com")
    assert alice is not None
    key_id = stores.issue_key(folder, "alice@acme.com").record.key.key_id
    for scope, match in (
        ("user:Alice@acme.com", alice.user_id),
        (f"user:{alice.user_id}", alice.user_id),
        ("team:core", "Core"),
        ("key:laptop", key_id),
        (f"key:{key_id}", key_id),
        ("model:whatever-*", "whatever-*"),
    ):
        assert make(folder, scope=scope).match == match
    stores.issue_key(folder, "alice@acme.com")
    with pytest.raises(UnclearWords, match="2 keys are called"):
        make(folder, scope="key:laptop")


@pytest.mark.parametrize("scope", ["user:nobody@acme.com", "user:u-9", "team:cor", "key:kiosk"])
def test_a_budget_of_nobody_is_refused(folder: stores.Folder, scope: str) -> None:
    with pytest.raises(UnclearWords, match="there is no") as refused:
        make(folder, scope=scope)
    assert refused.value.option == "match"
    assert folder.store.budgets() == []


def test_what_may_change_changes_under_a_version(folder: stores.Folder) -> None:
    made = make(folder, window="month")
    words = {
        "limit": "60 USD",
        "mode": "observe",
        "name": "All",
        "alert_at": "90",
        "rollover": "10%",
        "sizing": "strict",
    }
    changed = service.change(folder.store, made.budget_id, words, BY, made.version)
    assert (changed.limit, changed.mode, changed.name) == (60 * DOLLAR, Mode.OBSERVE, "All")
    assert (changed.thresholds_bp, changed.rollover_max) == ((9_000,), 6 * DOLLAR)
    assert (changed.sizing, changed.version) == (Sizing.STRICT, 2)
    with pytest.raises(Conflict) as refused:
        service.change(folder.store, made.budget_id, {"limit": "70 USD"}, BY, made.version)
    assert refused.value.code == "budget_changed"
    assert service.change(folder.store, made.budget_id, {"limit": "0 USD"}, BY).limit == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"scope": "team:core"}, BadRequest),
        ({"window": "day"}, BadRequest),
        ({"limit": "5 tokens"}, UnclearWords),
        ({"limit": "-5 USD"}, UnclearWords),
        ({"mode": "soft"}, UnclearWords),
    ],
)
def test_what_is_fixed_stays(
    folder: stores.Folder, words: dict[str, Any], error: type[Exception]
) -> None:
    made = make(folder)
    with pytest.raises(error):
        service.change(folder.store, made.budget_id, words, BY)
    assert folder.store.budgets() == [made]


def test_what_stands_in_the_file_is_changed_there(folder: stores.Folder) -> None:
    of_file = budget(f"{FILE_PREFIX}1")
    folder.store.add_budget(of_file, NOW, "tollkeeper.yaml")
    for attempt in (
        lambda: service.change(folder.store, of_file.budget_id, {"limit": "1 USD"}, BY),
        lambda: service.end(folder.store, of_file.budget_id, BY, NOW),
        lambda: service.top_up(folder.store, of_file.budget_id, 1, BY),
    ):
        with pytest.raises(Conflict) as refused:
            attempt()
        assert refused.value.code == "budget_of_file"
    with pytest.raises(NotFound):
        service.change(folder.store, "nothing", {}, BY)


def test_a_request_that_comes_twice_makes_one_budget(folder: stores.Folder) -> None:
    def once(key: str, by: str = BY, at_us: int = NOW, **words: Any) -> service.Made:
        return service.make_once(folder.store, folder.vault, WORDS | words, "UTC", by, key, at_us)

    first = once("k1")
    assert not first.repeated
    again = once("k1", at_us=NOW + DAY - 3_000_000)
    assert (again.budget, again.repeated) == (first.budget, True)
    assert not once("k2").repeated
    assert not once("k1", by="other@acme.com").repeated
    assert len(folder.store.budgets()) == 3
    service.change(folder.store, first.budget.budget_id, {"limit": "9 USD"}, BY)
    assert once("k1").budget.limit == 9 * DOLLAR
    for other in ({"limit": "51 USD"}, {"at_us": NOW + 2 * DAY}):
        with pytest.raises(Conflict) as refused:
            once("k1", **other)
        assert refused.value.code == "idempotency_key_reused"
    with pytest.raises(BadRequest):
        once("with a space")


def test_sent_at_the_same_moment_it_is_still_one(folder: stores.Folder) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda _: service.make_once(
                    folder.store, folder.vault, WORDS, "UTC", BY, "k1", NOW
                ),
                range(8),
            )
        )
    assert len({each.budget.budget_id for each in made}) == 1
    assert sum(not each.repeated for each in made) == 1
    assert len(folder.store.budgets()) == 1


def test_a_payment_with_a_version_is_made_once(folder: stores.Folder) -> None:
    made = make(folder)

    def pay(_: int) -> bool:
        try:
            service.top_up(folder.store, made.budget_id, DOLLAR, BY, made.version)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(pay, range(6))) == 1
    assert folder.store.budgets()[0].limit == 51 * DOLLAR
