"""Rotation: a new secret, the same key, and nobody who gets more than they had."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import DAY, HOUR, MINUTE, NOW, Folder, add_person, issue_key
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.errors import BadRequest, Conflict, KeyRejected, NotAllowed, NotFound
from tollkeeper.services import keys, people
from tollkeeper.services.key_rotation import OVERLAP_MAX_US, Rotation, rotate, rotate_once
from tollkeeper.services.keys import IssuedKey, Issuer
from tollkeeper.services.verified_keys import VerifiedKeys
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory

ALICE = "alice@acme.com"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("Acme")
    add_person(opened.store)
    yield opened
    opened.store.close()


def key_id(issued: IssuedKey) -> str:
    return issued.record.key.key_id


def rotated(
    folder: Folder,
    of: IssuedKey,
    overlap_us: int = HOUR,
    issuer: Issuer = keys.OPERATOR,
    at_us: int = NOW,
    ends_us: int | None = None,
) -> IssuedKey:
    wanted = Rotation(key_id(of), overlap_us, ends_us)
    return rotate(folder.store, folder.vault, wanted, issuer, at_us)


def verify(folder: Folder, token: str, at_us: int, kind: KeyKind = KeyKind.VIRTUAL) -> object:
    return keys.verify_stored(token, folder.store, folder.vault, at_us, kind)


def test_both_secrets_are_good_until_the_overlap_is_over(folder: Folder) -> None:
    first = issue_key(folder, ALICE)
    second = rotated(folder, first)
    assert second.token != first.token
    assert key_id(second) == key_id(first)
    for token in (first.token, second.token):
        assert verify(folder, token, NOW + HOUR - 1) == second.record.key
    assert verify(folder, second.token, NOW + HOUR) == second.record.key
    with pytest.raises(KeyRejected, match="was rotated") as refused:
        verify(folder, first.token, NOW + HOUR)
    assert refused.value.code == "key_rotated"


def test_without_an_overlap_the_secret_before_ends_at_once(folder: Folder) -> None:
    first = issue_key(folder, ALICE)
    second = rotated(folder, first, overlap_us=0)
    assert verify(folder, second.token, NOW)
    with pytest.raises(KeyRejected, match="was rotated"):
        verify(folder, first.token, NOW)


def test_the_memory_of_tokens_forgets_no_end(folder: Folder) -> None:
    first = issue_key(folder, ALICE)
    directory = SqliteKeyDirectory(folder.data.store)
    try:
        verified = VerifiedKeys(directory, folder.vault)
        asyncio.run(verified.verify(first.token, NOW))
        second = rotated(folder, first)
        asyncio.run(directory.refresh())
        for at_us in (NOW, NOW + MINUTE, NOW + HOUR - 1):
            for token in (first.token, second.token, first.token):
                assert asyncio.run(verified.verify(token, at_us)) == second.record.key
                assert verified.known(token, at_us) == second.record.key
        assert verified.known(second.token, NOW + HOUR) == second.record.key
        for _ in range(2):
            with pytest.raises(KeyRejected, match="was rotated"):
                verified.known(first.token, NOW + HOUR)
            with pytest.raises(KeyRejected, match="was rotated"):
                asyncio.run(verified.verify(first.token, NOW + HOUR))
    finally:
        directory.close()


def test_revoking_ends_both_secrets(folder: Folder) -> None:
    first = issue_key(folder, ALICE)
    second = rotated(folder, first)
    keys.revoke(folder.store, key_id(first), keys.OPERATOR, NOW)
    for token in (first.token, second.token):
        with pytest.raises(KeyRejected, match="revoked"):
            verify(folder, token, NOW)


def test_a_second_rotation_waits_for_the_first_unless_both_are_to_end(folder: Folder) -> None:
    first = issue_key(folder, ALICE)
    second = rotated(folder, first)
    with pytest.raises(Conflict, match="two secrets of it work until") as refused:
        rotated(folder, first, at_us=NOW + MINUTE)
    assert refused.value.code == "rotation_under_way"
    third = rotated(folder, first, overlap_us=0, at_us=NOW + MINUTE)
    for token in (first.token, second.token):
        with pytest.raises(KeyRejected):
            verify(folder, token, NOW + MINUTE)
    assert verify(folder, third.token, NOW + MINUTE)
    assert rotated(folder, first, at_us=NOW + 2 * MINUTE)


def test_an_overlap_is_a_week_at_most(folder: Folder) -> None:
    first = issue_key(folder, ALICE)
    for overlap_us in (-1, OVERLAP_MAX_US + 1, 2**70):
        with pytest.raises(BadRequest, match="7 days"):
            rotated(folder, first, overlap_us)
    assert rotated(folder, first, OVERLAP_MAX_US).record.key.earlier_until_us == NOW + 7 * DAY


def test_the_end_stays_unless_another_is_given(folder: Folder) -> None:
    first = issue_key(folder, ALICE, expires_at_us=NOW + DAY)
    assert rotated(folder, first, 0).record.key.expires_at_us == NOW + DAY
    assert rotated(folder, first, 0, ends_us=NOW + 9).record.key.expires_at_us == NOW + 9
    with pytest.raises(Conflict, match="is expired"):
        rotated(folder, first, 0, at_us=NOW + DAY)
    again = rotated(folder, first, 0, at_us=NOW + DAY, ends_us=NOW + 2 * DAY)
    assert verify(folder, again.token, NOW + DAY)
    with pytest.raises(BadRequest, match="expired already"):
        rotated(folder, first, 0, ends_us=NOW)


def test_what_has_ended_is_not_rotated(folder: Folder) -> None:
    revoked, off = issue_key(folder, ALICE), issue_key(folder, team="core")
    keys.revoke(folder.store, key_id(revoked), keys.OPERATOR, NOW)
    people.set_team_active(folder.store, "core", False)
    for issued in (revoked, off):
        with pytest.raises(Conflict) as refused:
            rotated(folder, issued)
        assert refused.value.code == "key_ended"
    with pytest.raises(NotFound):
        rotate(folder.store, folder.vault, Rotation("nothing1"), keys.OPERATOR, NOW)


def test_who_may_rotate_which_key(folder: Folder) -> None:
    store = folder.store
    person = {
        "member": keys.issuer_of_user(people.find_user(store, ALICE)),
        "lead": keys.issuer_of_user(add_person(store, "lead@acme.com", "core", Role.LEAD)),
        "stranger": keys.issuer_of_user(add_person(store, "mallory@acme.com", "other")),
        "auditor": keys.issuer_of_user(add_person(store, "a@acme.com", "", Role.AUDITOR)),
        "admin": keys.issuer_of_user(add_person(store, "root@acme.com", "", Role.ADMIN)),
    }
    own = issue_key(folder, ALICE)
    teams = issue_key(folder, team="core")
    guest = issue_key(folder, "mallory@acme.com", "core")  # core pays, and it is not of core's
    managing = issue_key(folder, ALICE, kind=KeyKind.ADMIN)
    may = {
        "member": [own],
        "lead": [own, teams],
        "stranger": [guest],
        "auditor": [],
        "admin": [own, teams, guest, managing],
    }
    for who, issuer in person.items():
        for issued in (own, teams, guest, managing):
            if issued in may[who]:
                assert rotated(folder, issued, 0, issuer).record.rotated_by == issuer.name
            else:
                with pytest.raises((NotAllowed, NotFound)):
                    rotated(folder, issued, 0, issuer)


def test_a_key_is_not_rotated_to_reach_further_than_its_holder(folder: Folder) -> None:
    wide = issue_key(folder, ALICE)
    late = issue_key(folder, ALICE, models=["gpt-4.1"], expires_at_us=NOW + 2 * DAY)
    near = issue_key(folder, ALICE, networks=["10.1.0.0/16"])
    user = people.find_user(folder.store, ALICE)
    narrow = Issuer("k", Role.MEMBER, user.user_id, "core", models=("gpt-*",))
    ending = Issuer("k", Role.MEMBER, user.user_id, "core", expires_at_us=NOW + DAY)
    bound = Issuer("k", Role.MEMBER, user.user_id, "core", networks=("10.1.2.0/24",))
    for issuer, issued in ((narrow, wide), (ending, wide), (ending, late), (bound, near)):
        with pytest.raises(NotAllowed) as refused:
            rotated(folder, issued, 0, issuer)
        assert refused.value.code == "rights_exceeded"
    assert rotated(folder, late, 0, narrow)
    assert rotated(folder, late, 0, ending, ends_us=NOW + DAY)


def test_the_same_request_gives_the_same_secret_and_no_old_one_comes_back(folder: Folder) -> None:
    first = issue_key(folder, ALICE)

    def once(name: str, at_us: int = NOW, overlap_us: int = 0) -> tuple[str, bool]:
        wanted = Rotation(key_id(first), overlap_us)
        done = rotate_once(folder.store, folder.vault, wanted, keys.OPERATOR, name, at_us)
        return done.issued.token, done.repeated

    second, repeated = once("one")
    assert not repeated
    assert once("one", NOW + HOUR) == (second, True)
    with pytest.raises(Conflict, match="another request"):
        once("one", overlap_us=HOUR)
    with pytest.raises(Conflict, match="more than a day"):
        once("one", NOW + DAY)
    third, _ = once("two", NOW + DAY)
    fourth, repeated = once("one", NOW + DAY)
    assert not repeated
    assert len({first.token, second, third, fourth}) == 4
    assert verify(folder, fourth, NOW + DAY)
    for name in ("", "a b", "x" * 256):
        with pytest.raises(BadRequest, match="Idempotency-Key"):
            once(name)
