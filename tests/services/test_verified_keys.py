"""The memory of verified tokens: as strict as verifying each time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder, add_person, issue_key
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.errors import KeyRejected, NotAllowed
from tollkeeper.services import keys, people
from tollkeeper.services.verified_keys import VerifiedKeys
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    add_person(opened.store)
    yield opened
    opened.store.close()


@pytest.fixture
def directory(folder: Folder) -> Iterator[SqliteKeyDirectory]:
    opened = SqliteKeyDirectory(folder.data.store)
    yield opened
    opened.close()


def test_a_token_is_asked_for_once_and_then_known(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    verified = VerifiedKeys(directory, folder.vault)
    issued = issue_key(folder, email="alice@acme.com")
    assert verified.known(issued.token, NOW) is None
    assert asyncio.run(verified.verify(issued.token, NOW)) == issued.record.key
    for _ in range(3):
        assert verified.known(issued.token, NOW) == issued.record.key


def test_a_change_counts_at_once_after_the_refresh(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    verified = VerifiedKeys(directory, folder.vault)
    issued = issue_key(folder, email="alice@acme.com")
    asyncio.run(directory.refresh())
    asyncio.run(verified.verify(issued.token, NOW))
    keys.revoke(folder.store, issued.record.key.key_id, keys.OPERATOR, NOW)
    asyncio.run(directory.refresh())
    assert verified.known(issued.token, NOW) is None
    with pytest.raises(KeyRejected, match="revoked"):
        asyncio.run(verified.verify(issued.token, NOW))
    with pytest.raises(KeyRejected, match="revoked"):
        verified.known(issued.token, NOW)


def test_a_new_team_name_is_on_the_key_after_the_refresh(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    verified = VerifiedKeys(directory, folder.vault)
    issued = issue_key(folder, email="alice@acme.com")
    asyncio.run(verified.verify(issued.token, NOW))
    people.rename_team(folder.store, "core", "platform", NOW)
    asyncio.run(directory.refresh())
    assert asyncio.run(verified.verify(issued.token, NOW)).team == "platform"
    known = verified.known(issued.token, NOW)
    assert known is not None
    assert known.team == "platform"


def test_expiry_and_kind_are_looked_at_every_time(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    verified = VerifiedKeys(directory, folder.vault)
    issued = issue_key(folder, email="alice@acme.com", expires_at_us=NOW + 1)
    asyncio.run(verified.verify(issued.token, NOW))
    assert verified.known(issued.token, NOW) is not None
    with pytest.raises(KeyRejected, match="expired"):
        verified.known(issued.token, NOW + 1)
    with pytest.raises(NotAllowed):
        verified.known(issued.token, NOW, KeyKind.ADMIN)


def test_another_secret_for_a_known_id_is_rejected(
    folder: Folder, directory: SqliteKeyDirectory
) -> None:
    verified = VerifiedKeys(directory, folder.vault)
    issued = issue_key(folder, email="alice@acme.com")
    asyncio.run(verified.verify(issued.token, NOW))
    forged = key_tokens.build(KeyKind.VIRTUAL, issued.record.key.key_id, "0" * 32)
    for _ in range(2):
        with pytest.raises(KeyRejected):
            verified.known(forged, NOW)


def test_the_memory_is_bounded(folder: Folder, directory: SqliteKeyDirectory) -> None:
    verified = VerifiedKeys(directory, folder.vault, tokens_max=3)
    issued = [issue_key(folder, email="alice@acme.com") for _ in range(10)]
    for key in issued:
        asyncio.run(verified.verify(key.token, NOW))
    assert len(verified._verified) == 3
    for key in issued:
        assert verified.known(key.token, NOW) == key.record.key
