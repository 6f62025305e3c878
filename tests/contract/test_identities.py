"""What every engine of the Store port must do with who is whom at which provider."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import stores
from stores import NOW
from tollkeeper.domain.access import Role
from tollkeeper.domain.oidc import Identity
from tollkeeper.ports import Store

ISSUER = "https://acme.okta.com"


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[Store]:
    opened = stores.open_folder(tmp_path, store_url).store
    yield opened
    opened.close()


@pytest.fixture
def alice(store: Store) -> str:
    return store.add_user("alice@acme.com", "Alice", Role.MEMBER, None, NOW).user_id


def test_an_identity_is_kept_and_used(store: Store, alice: str) -> None:
    assert store.identity(ISSUER, "s-1") is None
    assert store.identities_of(alice) == []
    first = Identity(ISSUER, "s-1", alice, "okta", NOW, NOW)
    second = Identity("https://accounts.google.com", "s-1", alice, "google", NOW + 1, NOW + 1)
    store.add_identity(second)
    store.add_identity(first)
    store.use_identity(ISSUER, "s-1", NOW + 9)
    used = first._replace(used_at_us=NOW + 9)
    assert store.identity(ISSUER, "s-1") == used
    assert store.identities() == store.identities_of(alice) == [used, second]


def test_a_subject_is_one_person_and_is_told_from_all_others(store: Store, alice: str) -> None:
    bob = store.add_user("bob@acme.com", "Bob", Role.MEMBER, None, NOW).user_id
    longest = ("https://" + "i" * 492, "s" * 255)
    for issuer, subject in ((ISSUER, "s-1"), (ISSUER, "S-1"), (ISSUER, "s-1 "), longest):
        store.add_identity(Identity(issuer, subject, alice, "okta", NOW, NOW))
    with pytest.raises(ValueError, match="somebody's already"):
        store.add_identity(Identity(ISSUER, "s-1", bob, "okta", NOW, NOW))
    assert store.identities_of(bob) == []
    assert len(store.identities_of(alice)) == 4


def test_what_is_not_there(store: Store, alice: str) -> None:
    with pytest.raises(LookupError):
        store.add_identity(Identity(ISSUER, "s-1", "nobody", "okta", NOW, NOW))
    with pytest.raises(LookupError):
        store.use_identity(ISSUER, "s-1", NOW)


def test_a_state_is_spent_once_however_many_try(store: Store) -> None:
    with ThreadPoolExecutor(8) as hands:
        spent = list(hands.map(lambda _: store.spend_state(b"s" * 32, NOW, NOW + 10), range(8)))
    assert sorted(spent) == [False] * 7 + [True]
    assert store.spend_state(b"t" * 32, NOW, NOW + 10)
    assert not store.spend_state(b"s" * 32, NOW + 9, NOW + 20)
    assert store.spend_state(b"s" * 32, NOW + 10, NOW + 20)  # the first one could not come back
