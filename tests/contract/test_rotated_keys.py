"""Keys that are rotated, changed or bound to networks, on every engine and for the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import stores
from stores import DAY, HOUR, NOW, Folder, add_person, new_key
from tollkeeper.domain.networks import Networks
from tollkeeper.ports import ChangedKey, KeyRecord, NewSecret

BEFORE = new_key("AAAAAAAA").secret_hmac
LATER = b"n" * 32


@pytest.fixture
def folder(tmp_path: Path, store_url: str) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data", store_url)
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


def rotation(secret_hmac: bytes = LATER, overlap_us: int = HOUR) -> NewSecret:
    return NewSecret("AAAAAAAA", secret_hmac, 1, NOW + overlap_us, NOW + DAY, "alice")


def found(folder: Folder) -> KeyRecord:
    record = folder.store.key("AAAAAAAA")
    assert record is not None
    return record


def test_a_rotated_key_is_the_same_key_with_two_secrets(folder: Folder) -> None:
    user = add_person(folder.store)
    made = folder.store.add_key(new_key("AAAAAAAA", user_id=user.user_id), NOW - DAY)
    folder.store.rotate_key(rotation(), NOW)
    record = found(folder)
    assert (record.rotated_at_us, record.rotated_by) == (NOW, "alice")
    assert record.created_at_us == made.created_at_us
    key = replace(
        made.key,
        secret_hmac=LATER,
        earlier_hmac=BEFORE,
        earlier_until_us=NOW + HOUR,
        expires_at_us=NOW + DAY,
    )
    assert record.key == key
    assert folder.store.keys() == [record]
    folder.store.rotate_key(rotation(b"m" * 32, 0), NOW + 5)
    assert found(folder).key.earlier_hmac == LATER
    assert (found(folder).rotated_at_us, found(folder).key.earlier_until_us) == (NOW + 5, NOW)


def test_a_key_that_is_not_there_is_not_rotated(folder: Folder) -> None:
    with pytest.raises(LookupError):
        folder.store.rotate_key(rotation(), NOW)


def test_the_gateway_learns_of_a_rotation_and_of_networks(folder: Folder) -> None:
    user = add_person(folder.store)
    bound = replace(new_key("AAAAAAAA", user_id=user.user_id), networks=("10.0.0.0/8", "::1/128"))
    folder.store.add_key(bound, NOW)
    directory = stores.key_directory(folder.data)
    try:
        before = asyncio.run(directory.fetch("AAAAAAAA"))
        assert before is not None
        assert before == found(folder).key
        assert before.networks == Networks(("10.0.0.0/8", "::1/128"))
        folder.store.rotate_key(rotation(), NOW)
        asyncio.run(directory.refresh())
        assert directory.known("AAAAAAAA") is None
        after = asyncio.run(directory.fetch("AAAAAAAA"))
        assert after == found(folder).key
        assert after.networks == before.networks
        assert (after.secret_hmac, after.earlier_hmac) == (LATER, BEFORE)
    finally:
        directory.close()


CHANGED = ChangedKey(
    *("AAAAAAAA", "desktop", NOW + DAY, ("gpt-*",), ("openai",), {"app": "chat"}, ("10.0.0.0/8",)),
)


def test_a_changed_key_is_the_same_key_with_other_limits(folder: Folder) -> None:
    user = add_person(folder.store)
    made = folder.store.add_key(new_key("AAAAAAAA", user_id=user.user_id), NOW)
    folder.store.change_key(CHANGED)
    expected = replace(
        made.key,
        name="desktop",
        expires_at_us=NOW + DAY,
        models=("gpt-*",),
        providers=("openai",),
        tags={"app": "chat"},
        networks=Networks(("10.0.0.0/8",)),
    )
    assert found(folder) == replace(made, key=expected)
    folder.store.change_key(replace(CHANGED, networks=(), tags={}, expires_at_us=None))
    assert found(folder).key == replace(expected, networks=None, tags={}, expires_at_us=None)
    with pytest.raises(LookupError):
        folder.store.change_key(replace(CHANGED, key_id="BBBBBBBB"))


def test_the_gateway_learns_of_a_change(folder: Folder) -> None:
    user = add_person(folder.store)
    folder.store.add_key(new_key("AAAAAAAA", user_id=user.user_id), NOW)
    directory = stores.key_directory(folder.data)
    try:
        asyncio.run(directory.fetch("AAAAAAAA"))
        folder.store.change_key(CHANGED)
        asyncio.run(directory.refresh())
        assert directory.known("AAAAAAAA") is None
        assert asyncio.run(directory.fetch("AAAAAAAA")) == found(folder).key
    finally:
        directory.close()
