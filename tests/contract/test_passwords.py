"""What every engine of the Store port must do with passwords and the sessions of one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import stores
from stores import NOW
from tollkeeper.domain.access import Role
from tollkeeper.domain.passwords import StoredPassword
from tollkeeper.ports import Session, Store

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[Store]:
    opened = stores.open_folder(tmp_path, store_url).store
    yield opened
    opened.close()


@pytest.fixture
def alice(store: Store) -> str:
    return store.add_user("alice@acme.com", "Alice", Role.MEMBER, None, NOW).user_id


def session_of(user_id: str, number: int, began_with: str = "link") -> Session:
    made = bytes([number]) * 32
    return Session(made, user_id, NOW + number, NOW + number, NOW + 1_000, began_with)


def test_nobody_has_a_password_at_first(store: Store, alice: str) -> None:
    assert store.password(alice) is None
    assert store.password("") is None
    assert store.users_with_password() == frozenset()
    assert not store.remove_password(alice)


def test_a_password_takes_the_place_of_the_one_before(store: Store, alice: str) -> None:
    store.set_password(alice, HASH, NOW)
    store.set_password(alice, HASH + "2", NOW + 1)
    assert store.password(alice) == StoredPassword(HASH + "2", NOW + 1)
    assert store.users_with_password() == {alice}
    assert HASH not in repr(store.password(alice))


def test_a_password_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(LookupError):
        store.set_password("nobody", HASH, NOW)
    assert store.users_with_password() == frozenset()


def test_hashing_again_never_brings_a_former_password_back(store: Store, alice: str) -> None:
    store.set_password(alice, HASH, NOW)
    assert store.replace_password(alice, HASH, HASH + "2")
    assert store.password(alice) == StoredPassword(HASH + "2", NOW)  # set when it was set
    assert not store.replace_password(alice, HASH, HASH + "3")
    store.remove_password(alice)
    assert not store.replace_password(alice, HASH + "2", HASH + "3")
    assert store.password(alice) is None


def test_a_password_that_is_removed_is_gone(store: Store, alice: str) -> None:
    store.set_password(alice, HASH, NOW)
    assert store.remove_password(alice)
    assert store.password(alice) is None
    assert not store.remove_password(alice)


def test_sessions_are_listed_by_person_with_how_they_began(store: Store, alice: str) -> None:
    bob = store.add_user("bob@acme.com", "Bob", Role.MEMBER, None, NOW).user_id
    first, second = session_of(alice, 1), session_of(alice, 2, "password")
    for each in (second, first, session_of(bob, 3)):
        store.add_session(each)
    assert store.sessions_of(alice) == [first, second]
    assert store.session(second.session_hash) == second
    store.touch_session(first.session_hash, NOW + 500)
    assert store.sessions_of(alice)[0] == replace(first, last_seen_at_us=NOW + 500)
    store.end_sessions_of(alice)
    assert store.sessions_of(alice) == []
    assert [each.user_id for each in store.sessions_of(bob)] == [bob]
