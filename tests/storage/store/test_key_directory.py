"""The gateway's view of the store: fast where it can be, never stale after a refresh."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import stores
from stores import DAY, NOW, Folder, add_person, new_key
from tollkeeper.domain.access import Role, VirtualKey
from tollkeeper.domain.price_rules import PriceRule, StoredRule
from tollkeeper.services import people
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
from tollkeeper.storage.store.remembered_keys import RememberedKeys
from tollkeeper.storage.store.store import open_sql_store
from tollkeeper.storage.store.store_address import store_of
from tollkeeper.storage.store.stored_rules import stored_rules

_LIGHT = """
import sys
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
from tollkeeper.storage.store.schema_check import schema_is_current
heavy = {"sqlalchemy", "alembic", "msgspec", "cryptography"} & sys.modules.keys()
assert not heavy, heavy
"""


@pytest.fixture
def folder(tmp_path: Path, store_url: str) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data", store_url)
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


@pytest.fixture
def directory(folder: Folder) -> Iterator[RememberedKeys]:
    opened = stores.key_directory(folder.data)
    yield opened
    opened.close()


@pytest.fixture
def file_folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    yield opened
    opened.store.close()


@pytest.fixture
def file_directory(file_folder: Folder) -> Iterator[SqliteKeyDirectory]:
    opened = SqliteKeyDirectory(file_folder.data.store)
    yield opened
    opened.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_a_key_is_fetched_once_and_then_known(folder: Folder, directory: RememberedKeys) -> None:
    user = add_person(folder.store)
    record = folder.store.add_key(
        new_key(
            "AAAAAAAA",
            user_id=user.user_id,
            expires_at_us=NOW + DAY,
            models=("gpt-*",),
            providers=("openai",),
            tags={"feature": "größe"},
        ),
        NOW,
    )

    async def work() -> None:
        assert directory.known("AAAAAAAA") is None
        assert not directory.is_known_missing("AAAAAAAA")
        fetched = await directory.fetch("AAAAAAAA")
        assert fetched == record.key
        assert directory.known("AAAAAAAA") is fetched
        assert await directory.fetch("AAAAAAAA") is fetched

    run(work)


def test_what_the_directory_reads_is_what_the_store_reads(
    folder: Folder, directory: RememberedKeys
) -> None:
    store = folder.store
    alice = add_person(store)
    bob = add_person(store, "bob@acme.com", team="")
    team = people.ensure_team(store, "search", NOW)
    owners = [
        (alice.user_id, None),
        (alice.user_id, team.team_id),
        (bob.user_id, None),
        (bob.user_id, team.team_id),
        (None, team.team_id),
        (None, None),
    ]
    for number, (user_id, team_id) in enumerate(owners):
        store.add_key(new_key(f"{number:08d}", user_id=user_id, team_id=team_id), NOW)
    store.revoke_key("00000003", NOW)

    async def compare() -> None:
        await directory.refresh()
        for record in store.keys_of(alice.user_id) + store.keys_of(bob.user_id):
            assert await directory.fetch(record.key.key_id) == record.key
        for key_id in ("00000004", "00000005"):
            stored = store.key(key_id)
            assert stored is not None
            assert await directory.fetch(key_id) == stored.key

    async def work() -> None:
        await compare()
        for change in (
            lambda: store.set_user_active(alice.user_id, False, NOW),
            lambda: store.set_team_active(team.team_id, False),
            lambda: store.set_user_team(bob.user_id, team.team_id, NOW),
            lambda: store.rename_team(team.team_id, "discovery", NOW),
            lambda: store.set_org_name("Acme Inc"),
            lambda: store.set_user_active(alice.user_id, True, NOW),
        ):
            change()
            await compare()

    run(work)


def test_a_key_revoked_by_another_process_is_seen_after_one_refresh(
    folder: Folder, directory: RememberedKeys
) -> None:
    issued = stores.issue_key(folder, team=people.ensure_team(folder.store, "core", NOW).name)
    kept = stores.issue_key(folder, team="core").record.key
    key_id = issued.record.key.key_id

    async def work() -> None:
        await directory.refresh()
        assert (await _fetched(directory, key_id)).active
        before = await _fetched(directory, kept.key_id)
        command = [sys.executable, "-m", "tollkeeper", "keys", "revoke", key_id]
        subprocess.run(
            [*command, "--data", str(folder.data.root)],
            env={**os.environ, "TOLLKEEPER_STORE": folder.data.store_url},  # noqa: TID251
            check=True,
            timeout=60,
        )
        assert directory.known(key_id) is not None
        assert await directory.refresh() is False
        assert directory.known(key_id) is None
        assert not (await _fetched(directory, key_id)).active
        assert directory.known(kept.key_id) is before  # only what changed is forgotten

    run(work)


def test_an_unknown_id_is_remembered_until_the_key_is_issued(
    folder: Folder, directory: RememberedKeys
) -> None:
    team = people.ensure_team(folder.store, "core", NOW)

    async def work() -> None:
        await directory.refresh()
        assert await directory.fetch("AAAAAAAA") is None
        assert directory.is_known_missing("AAAAAAAA")
        folder.store.add_key(new_key("AAAAAAAA", team_id=team.team_id), NOW)
        assert await directory.fetch("AAAAAAAA") is None
        await directory.refresh()
        assert not directory.is_known_missing("AAAAAAAA")
        assert (await _fetched(directory, "AAAAAAAA")).team == "core"

    run(work)


def test_memory_is_bounded_and_the_oldest_goes_first(folder: Folder) -> None:
    team = people.ensure_team(folder.store, "core", NOW)
    with folder.store.together():
        for number in range(20):
            folder.store.add_key(new_key(f"{number:08d}", team_id=team.team_id), NOW)
    directory = stores.key_directory(folder.data, keys_max=5, missing_max=3)

    async def work() -> None:
        for number in range(40):
            await directory.fetch(f"{number:08d}")

    run(work)
    assert [n for n in range(40) if directory.known(f"{n:08d}")] == [15, 16, 17, 18, 19]
    assert [n for n in range(40) if directory.is_known_missing(f"{n:08d}")] == [37, 38, 39]
    directory.close()


def test_after_very_many_changes_nothing_old_is_left(
    folder: Folder, directory: RememberedKeys
) -> None:
    user = add_person(folder.store)
    with folder.store.together():
        for number in range(1_500):
            folder.store.add_key(new_key(f"{number:08d}", user_id=user.user_id), NOW)

    async def work() -> None:
        await directory.refresh()
        for number in range(1_500):
            assert (await _fetched(directory, f"{number:08d}")).active
        folder.store.revoke_keys_of(user.user_id, NOW)
        await directory.refresh()
        for number in range(1_500):
            assert directory.known(f"{number:08d}") is None
        assert not (await _fetched(directory, "00001499")).active

    run(work)


def test_price_rules_are_there_after_the_refresh_which_says_so(
    folder: Folder, directory: RememberedKeys
) -> None:
    async def work() -> None:
        rule = PriceRule("acme", discount_bp=1250)
        assert directory.price_rules() == ()
        folder.store.add_price_rule(StoredRule("a", rule, NOW, "alice"))
        folder.store.add_price_rule(StoredRule("b", rule._replace(name="b"), NOW + 1, "alice"))
        assert await directory.refresh()
        assert directory.price_rules() == (rule._replace(name="b"), rule)
        assert stored_rules(store_of(folder.data)) == directory.price_rules()
        folder.store.end_price_rule("b", NOW + 9)
        assert await directory.refresh()
        assert directory.price_rules()[0].until_us == NOW + 9
        assert not await directory.refresh()

    run(work)


def test_a_store_that_is_not_there_has_no_rules(tmp_path: Path) -> None:
    assert stored_rules(tmp_path / "store.sqlite3") == ()


def test_a_refresh_says_when_provider_secrets_changed(
    folder: Folder, directory: RememberedKeys
) -> None:
    async def work() -> None:
        assert directory.provider_secrets() == {}
        folder.store.set_provider_secret("openai", b"sealed", NOW)
        assert await directory.refresh() is True
        assert directory.provider_secrets() == {"openai": b"sealed"}
        assert await directory.refresh() is False
        folder.store.add_team("core", NOW)
        assert await directory.refresh() is False
        folder.store.remove_provider_secret("openai")
        assert await directory.refresh() is True
        assert directory.provider_secrets() == {}

    run(work)


def test_secrets_that_are_there_at_the_start_are_read_at_once(folder: Folder) -> None:
    folder.store.set_provider_secret("openai", b"sealed", NOW)
    with closing(stores.key_directory(folder.data)) as directory:
        assert directory.provider_secrets() == {"openai": b"sealed"}


def test_many_fetch_the_same_key_at_once(folder: Folder, directory: RememberedKeys) -> None:
    team = people.ensure_team(folder.store, "core", NOW)
    folder.store.add_key(new_key("AAAAAAAA", team_id=team.team_id), NOW)

    async def work() -> None:
        found = await asyncio.gather(*(directory.fetch("AAAAAAAA") for _ in range(200)))
        assert all(key is found[0] for key in found)
        assert found[0] is not None

    run(work)


def test_fetches_and_refreshes_at_once_never_leave_an_old_answer(
    folder: Folder, directory: RememberedKeys
) -> None:
    user = add_person(folder.store)
    folder.store.add_key(new_key("AAAAAAAA", user_id=user.user_id), NOW)

    async def work() -> None:
        for turn in range(60):
            working = turn % 2 == 1
            fetches = [asyncio.create_task(directory.fetch("AAAAAAAA")) for _ in range(5)]  # noqa: TID251
            await asyncio.to_thread(folder.store.set_user_active, user.user_id, working, NOW)
            await asyncio.gather(directory.refresh(), *fetches)
            assert (await _fetched(directory, "AAAAAAAA")).active is working

    run(work)


def test_a_restored_store_is_noticed(
    file_folder: Folder, file_directory: SqliteKeyDirectory
) -> None:
    team = people.ensure_team(file_folder.store, "core", NOW)
    file_folder.store.add_key(new_key("AAAAAAAA", team_id=team.team_id), NOW)
    backup = file_folder.data.root / "backup.sqlite3"
    with closing(sqlite3.connect(file_folder.data.store)) as source:
        source.execute("VACUUM INTO ?", (str(backup),))
    file_folder.store.add_key(new_key("BBBBBBBB", team_id=team.team_id), NOW)

    async def work() -> None:
        await file_directory.refresh()
        assert await file_directory.fetch("BBBBBBBB") is not None
        for log in file_folder.data.root.glob("store.sqlite3-*"):
            log.unlink()
        shutil.move(backup, file_folder.data.store)
        assert await file_directory.refresh() is True
        assert await file_directory.fetch("BBBBBBBB") is None
        assert await file_directory.fetch("AAAAAAAA") is not None

    file_folder.store.close()
    run(work)


def test_when_the_store_is_gone_what_is_known_stays(
    file_folder: Folder, file_directory: SqliteKeyDirectory
) -> None:
    team = people.ensure_team(file_folder.store, "core", NOW)
    file_folder.store.add_key(new_key("AAAAAAAA", team_id=team.team_id), NOW)

    async def work() -> None:
        await file_directory.refresh()
        await file_directory.fetch("AAAAAAAA")
        away = file_folder.data.store.with_suffix(".away")
        file_folder.data.store.rename(away)
        with pytest.raises(OSError, match="gone"):
            await file_directory.refresh()
        assert file_directory.known("AAAAAAAA") is not None
        away.rename(file_folder.data.store)
        assert await file_directory.refresh() is False

    run(work)


def test_a_missing_store_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nothing\.sqlite3"):
        SqliteKeyDirectory(tmp_path / "nothing.sqlite3")


def test_the_directory_cannot_write(
    file_folder: Folder, file_directory: SqliteKeyDirectory
) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        file_directory._connection.execute("DELETE FROM virtual_keys")


def test_the_gateway_does_not_load_sqlalchemy_for_it() -> None:
    subprocess.run([sys.executable, "-c", _LIGHT], check=True, timeout=60)


def test_reading_goes_on_while_somebody_writes(folder: Folder, directory: RememberedKeys) -> None:
    team = people.ensure_team(folder.store, "core", NOW)
    folder.store.add_key(new_key("AAAAAAAA", team_id=team.team_id), NOW)
    second = open_sql_store(store_of(folder.data))

    async def work() -> None:
        with second.together():
            second.add_user("bob@acme.com", "Bob", Role.MEMBER, None, NOW)
            await directory.refresh()
            assert (await _fetched(directory, "AAAAAAAA")).active
        await directory.refresh()

    run(work)
    second.close()


async def _fetched(directory: RememberedKeys, key_id: str) -> VirtualKey:
    key = await directory.fetch(key_id)
    assert key is not None
    return key
