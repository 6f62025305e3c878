"""Passwords as a service: what may change while a hash is computed, and what is never kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from canaries import PLANTED
from hashers import CountingHasher
from stores import MINUTE, NOW, Folder, add_person, open_folder
from tollkeeper.domain.errors import BadRequest, Conflict, KeyRejected, NotFound
from tollkeeper.ports import User
from tollkeeper.services import passwords, people, sign_in
from tollkeeper.services.passwords import Keeper

EMAIL = "alice@acme.com"
GOOD = PLANTED.plant("a password of a service", "six slow carts uphill")
OTHER = PLANTED.plant("another password of a service", "seven slow carts uphill")


class MeddlingHasher(CountingHasher):
    """Lets something happen while a hash is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def matches(self, encoded: str, secret: bytes) -> bool:
        found = super().matches(encoded, secret)
        self.meanwhile()
        return found

    def hashed(self, secret: bytes) -> str:
        made = super().hashed(secret)
        self.meanwhile()
        return made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = open_folder(tmp_path)
    yield opened
    opened.store.close()


@pytest.fixture
def alice(folder: Folder) -> User:
    return add_person(folder.store, EMAIL, "core")


@pytest.fixture
def hasher() -> MeddlingHasher:
    return MeddlingHasher()


@pytest.fixture
def keeper(folder: Folder, hasher: MeddlingHasher) -> Keeper:
    return Keeper(folder.store, folder.vault, hasher, "acme")


def by_link(keeper: Keeper, user: User, now_us: int = NOW) -> sign_in.SignedIn:
    link = sign_in.make_link(keeper.store, keeper.vault, user, now_us)
    token = link.path.removeprefix(sign_in.LINK_PATH)
    return sign_in.sign_in(keeper.store, keeper.vault, token, now_us)


def set_one(keeper: Keeper, user: User, password: str = GOOD, now_us: int = NOW) -> None:
    passwords.change(keeper, by_link(keeper, user, now_us).session, "", password, now_us)


def test_what_is_hashed_is_not_the_password_itself(keeper: Keeper, alice: User) -> None:
    set_one(keeper, alice)
    kept = keeper.store.password(alice.user_id)
    assert kept is not None
    assert not keeper.hasher.matches(kept.encoded, GOOD.encode())
    assert GOOD not in repr(kept)


def test_a_store_under_another_key_file_lets_nobody_in(
    keeper: Keeper, alice: User, tmp_path: Path
) -> None:
    set_one(keeper, alice)
    other = open_folder(tmp_path / "other")
    stolen = keeper._replace(vault=other.vault)
    with pytest.raises(KeyRejected):
        passwords.sign_in_with(stolen, EMAIL, GOOD, NOW)
    other.store.close()
    assert passwords.sign_in_with(keeper, EMAIL, GOOD, NOW).user == alice


@pytest.mark.parametrize("what", ["changed", "ended", "switched off"])
def test_what_changes_while_the_hash_is_computed_counts(
    keeper: Keeper, hasher: MeddlingHasher, alice: User, what: str
) -> None:
    set_one(keeper, alice)
    match what:
        case "changed":
            hasher.meanwhile = lambda: keeper.store.set_password(alice.user_id, "other", NOW + 1)
        case "ended":
            hasher.meanwhile = lambda: passwords.end(keeper.store, EMAIL)
        case _:
            hasher.meanwhile = lambda: people.deactivate_user(keeper.store, EMAIL, NOW)
    before = len(keeper.store.sessions_of(alice.user_id))
    with pytest.raises(KeyRejected, match="the e-mail address or the password is not right"):
        passwords.sign_in_with(keeper, EMAIL, GOOD, NOW)
    assert len(keeper.store.sessions_of(alice.user_id)) <= before


def test_of_two_changes_at_once_one_counts(
    keeper: Keeper, hasher: MeddlingHasher, alice: User
) -> None:
    first, second = by_link(keeper, alice), by_link(keeper, alice)

    def other_one() -> None:
        hasher.meanwhile = lambda: None
        passwords.change(keeper, second.session, "", OTHER, NOW)

    hasher.meanwhile = other_one
    with pytest.raises(Conflict):
        passwords.change(keeper, first.session, "", GOOD, NOW)
    assert passwords.sign_in_with(keeper, EMAIL, OTHER, NOW).user == alice


def test_a_session_that_ends_while_the_hash_is_computed_changes_nothing(
    keeper: Keeper, hasher: MeddlingHasher, alice: User
) -> None:
    session = by_link(keeper, alice).session
    hasher.meanwhile = lambda: keeper.store.end_session(session.session_hash)
    with pytest.raises(Conflict):
        passwords.change(keeper, session, "", GOOD, NOW)
    assert keeper.store.password(alice.user_id) is None


def test_fresh_is_a_link_of_a_quarter_of_an_hour(keeper: Keeper, alice: User) -> None:
    session = by_link(keeper, alice).session
    assert passwords.is_fresh(session, NOW)
    assert passwords.is_fresh(session, NOW + 15 * MINUTE - 1)
    assert not passwords.is_fresh(session, NOW + 15 * MINUTE)
    assert not passwords.is_fresh(session, NOW - 1)
    set_one(keeper, alice)
    begun = passwords.sign_in_with(keeper, EMAIL, GOOD, NOW)
    assert not passwords.is_fresh(begun.session, NOW)


def test_a_renewed_session_stays_what_it_was(keeper: Keeper, alice: User) -> None:
    set_one(keeper, alice)
    begun = passwords.sign_in_with(keeper, EMAIL, GOOD, NOW)
    renewed = sign_in.renew(keeper.store, keeper.vault, begun.cookie, NOW + MINUTE)
    assert renewed is not None
    assert renewed.session.began_with == sign_in.PASSWORD


@pytest.mark.parametrize("text", ["ACME acme acme acme", EMAIL, "core core core core"])
def test_nobody_takes_their_own_name_or_company(keeper: Keeper, alice: User, text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        set_one(keeper, alice, text)
    assert refused.value.code == "password_common"
    assert text not in refused.value.message


def test_ending_a_password_says_whether_there_was_one(keeper: Keeper, alice: User) -> None:
    assert passwords.end(keeper.store, EMAIL) == (alice, False)
    set_one(keeper, alice)
    assert passwords.end(keeper.store, EMAIL) == (alice, True)
    assert keeper.store.sessions_of(alice.user_id) == []
    with pytest.raises(NotFound):
        passwords.end(keeper.store, "nobody@acme.com")
