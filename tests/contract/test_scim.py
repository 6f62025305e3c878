"""What every engine of the Store port must do with tokens and names of SCIM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import Conflict, KeyRejected
from tollkeeper.domain.scim import KeptToken, ScimGroup, ScimToken, ScimUser
from tollkeeper.ports import Store
from tollkeeper.services import scim_tokens


@pytest.fixture
def folder(tmp_path: Path, store_url: str) -> Iterator[stores.Folder]:
    opened = stores.open_folder(tmp_path, store_url)
    yield opened
    opened.store.close()


@pytest.fixture
def store(folder: stores.Folder) -> Store:
    return folder.store


def test_tokens_are_kept_and_revoked(store: Store) -> None:
    first = ScimToken("00000001", "okta", NOW, "test")
    second = ScimToken("0000000a", "entra", NOW + 1, "test")
    store.add_scim_token(first, b"1" * 32)
    store.add_scim_token(second, b"2" * 32)
    assert store.scim_tokens() == [second, first]
    assert store.scim_token("00000001") == KeptToken(first, b"1" * 32)
    assert store.scim_token("0000000A") is None
    store.revoke_scim_token("00000001", NOW + 5)
    store.revoke_scim_token("00000001", NOW + 9)
    kept = store.scim_token("00000001")
    assert kept is not None
    assert kept.token.revoked_at_us == NOW + 5
    with pytest.raises(LookupError):
        store.revoke_scim_token("nothing", NOW)


def test_a_token_is_good_until_it_is_revoked(folder: stores.Folder) -> None:
    store, vault = folder.store, folder.vault
    made = scim_tokens.make(store, vault, " okta ", "test", NOW)
    assert made.text not in repr(made)
    assert scim_tokens.verify(store, vault, made.text) == made.token
    assert made.token.name == "okta"
    assert scim_tokens.revoke(store, made.text, NOW + 1).revoked_at_us == NOW + 1
    assert scim_tokens.revoke(store, made.token.token_id, NOW + 2).revoked_at_us == NOW + 1
    with pytest.raises(KeyRejected, match="revoked"):
        scim_tokens.verify(store, vault, made.text)
    for _ in range(scim_tokens.GOOD_MAX):
        scim_tokens.make(store, vault, "more", "test", NOW)
    with pytest.raises(Conflict, match="too many"):
        scim_tokens.make(store, vault, "one more", "test", NOW)


def test_what_people_are_called(store: Store) -> None:
    alice = store.add_user("alice@acme.com", "Alice", Role.MEMBER, None, NOW).user_id
    bob = store.add_user("bob@acme.com", "Bob", Role.MEMBER, None, NOW).user_id
    assert store.scim_user(alice) is None
    called = ScimUser(alice, "ALICE Straße", "e-1")
    store.set_scim_user(called)
    assert store.scim_user(alice) == store.scim_user_named("alice STRASSE") == called
    assert store.scim_users_with_external_id("e-1") == [called]
    assert store.scim_users_with_external_id("E-1") == []
    with pytest.raises(ValueError, match="somebody else's"):
        store.set_scim_user(ScimUser(bob, "alice strasse"))
    store.set_scim_user(called)  # it is their own
    for user_id in (alice, bob):
        store.set_scim_user(ScimUser(user_id, removed_at_us=NOW))
    assert store.scim_users() == sorted(
        [ScimUser(alice, removed_at_us=NOW), ScimUser(bob, removed_at_us=NOW)]
    )
    assert store.scim_user_named("alice strasse") is None
    longest = ScimUser(alice, "ΐ" * 254, "x" * 255)  # folds to three characters each
    store.set_scim_user(longest)
    assert store.scim_user_named("ΐ" * 254) == longest
    with pytest.raises(LookupError):
        store.set_scim_user(ScimUser("nobody", "n"))


def test_what_teams_are_called(store: Store) -> None:
    core = store.add_team("core", NOW).team_id
    assert store.scim_group(core) is None
    for group in (ScimGroup(core, "g-1"), ScimGroup(core), ScimGroup(core, removed_at_us=NOW)):
        store.set_scim_group(group)
        assert store.scim_group(core) == group
        assert store.scim_groups() == [group]
    with pytest.raises(LookupError):
        store.set_scim_group(ScimGroup("nothing"))
