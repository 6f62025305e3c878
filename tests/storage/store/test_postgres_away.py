"""A PostgreSQL server that breaks off, restarts or stays away: told in words, and got over."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from budget_desks import CENT, budget, charge, only, server_authority
from postgres_cluster import Cluster
from stores import NOW, Folder
from tollkeeper.services import people
from tollkeeper.storage.store import postgres_server
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.schema_check import organisation_name
from tollkeeper.storage.store.store import open_sql_store
from tollkeeper.storage.store.store_address import PostgresDatabase

_HALF = """
import os, signal, sys
from tollkeeper.storage.store.store import open_sql_store
from tollkeeper.storage.store.store_address import parse_store_url

store = open_sql_store(parse_store_url(sys.stdin.read()))
with store.together():
    store.add_team("half", 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path: Path, cluster: Cluster, database: PostgresDatabase) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data", cluster.url(database.options["dbname"]))
    opened.store.set_org_name("Acme")
    yield opened
    opened.store.close()


def end_connections(cluster: Cluster, database: PostgresDatabase) -> None:
    """Break every connection to a database off, as a failover does."""
    with cluster.administered() as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (database.options["dbname"],),
        )


def test_a_connection_that_breaks_within_a_write_leaves_nothing(
    cluster: Cluster, database: PostgresDatabase, folder: Folder
) -> None:
    store = folder.store
    with pytest.raises(OSError, match="cannot be reached") as raised, store.together():
        store.add_team("half", NOW)
        end_connections(cluster, database)
        store.add_team("whole", NOW)
    assert str(database) in str(raised.value)
    assert cluster.password not in str(raised.value)
    assert store.teams() == []
    with pytest.raises(OSError, match="cannot be reached"), store.together():
        store.add_team("half", NOW)
        end_connections(cluster, database)  # and nothing more until the end
    assert store.teams() == []
    assert store.add_team("whole", NOW)


def test_a_process_that_is_killed_within_a_write_leaves_nothing(
    cluster: Cluster, database: PostgresDatabase, folder: Folder
) -> None:
    url = cluster.url(database.options["dbname"])
    killed = subprocess.run(
        [sys.executable, "-c", _HALF], input=url, text=True, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert folder.store.teams() == []
    folder.store.add_team("whole", NOW)


def test_a_writer_that_waits_too_long_is_told_why(
    database: PostgresDatabase, folder: Folder
) -> None:
    second = open_sql_store(database)
    with folder.store.together():
        folder.store.add_team("core", NOW)
        with pytest.raises(OSError, match="busy: another process has been writing"):
            second.add_team("search", NOW)
        assert second.teams() == []
    second.add_team("search", NOW)
    second.close()


def test_after_a_restart_everything_goes_on(
    cluster: Cluster, database: PostgresDatabase, folder: Folder
) -> None:
    authority = server_authority(database, [cap := budget()])
    directory = stores.key_directory(folder.data)
    issued = stores.issue_key(folder, team=people.ensure_team(folder.store, "core", NOW).name)
    key_id = issued.record.key.key_id
    authority.hold("e1", "g1", [charge(cap, CENT)], NOW)

    async def work() -> None:
        await directory.refresh()
        assert await directory.fetch(key_id)
        cluster.restart()
        assert [team.name for team in folder.store.teams()] == ["core"]
        folder.store.revoke_key(key_id, NOW)
        assert await directory.refresh()  # after a break nothing remembered counts
        key = await directory.fetch(key_id)
        assert key is not None
        assert not key.active
        assert authority.hold("e2", "g1", [charge(cap, CENT)], NOW) is None

    asyncio.run(work())
    assert only(authority.balances()).held == 2 * CENT
    authority.close()
    directory.close()


def test_while_the_server_is_away_what_is_known_stays_and_the_rest_is_told(
    cluster: Cluster, database: PostgresDatabase, folder: Folder
) -> None:
    authority = server_authority(database, [cap := budget()])
    directory = stores.key_directory(folder.data)
    issued = stores.issue_key(folder, team=people.ensure_team(folder.store, "core", NOW).name)
    key_id = issued.record.key.key_id

    async def away() -> None:
        await directory.refresh()
        assert await directory.fetch(key_id)
        cluster.stop()
        try:
            with pytest.raises(OSError, match="cannot be reached"):
                await directory.refresh()
            assert directory.known(key_id) is not None
            unknown = [directory.fetch(f"{number:08d}") for number in range(50)]
            ended = await asyncio.gather(*unknown, return_exceptions=True)
            assert all(isinstance(each, OSError) for each in ended)
            for attempt in (
                folder.store.revision,
                folder.store.probe,
                lambda: folder.store.add_team("search", NOW),
                lambda: authority.hold("e1", "g1", [charge(cap, CENT)], NOW),
                authority.balances,
                lambda: organisation_name(database),
                lambda: PostgresBudgetAuthority(database),
            ):
                with pytest.raises(OSError, match="cannot be reached") as raised:
                    attempt()  # type: ignore[no-untyped-call]
                assert cluster.password not in str(raised.value)
        finally:
            cluster.start()
        await asyncio.sleep(postgres_server.PAUSE_S)
        await directory.refresh()
        assert await directory.fetch(key_id)
        assert await directory.fetch("00000000") is None
        assert authority.hold("e1", "g1", [charge(cap, CENT)], NOW) is None

    asyncio.run(away())
    folder.store.add_team("search", NOW)
    folder.store.probe()
    authority.close()
    directory.close()


def test_a_server_that_stops_answering_counts_as_gone(
    cluster: Cluster, database: PostgresDatabase, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections stay open, as when its disk hangs; nobody may wait for ever."""
    monkeypatch.setattr(postgres_server, "ANSWER_MARGIN_S", -3)
    authority = server_authority(database, [cap := budget()])
    directory = stores.key_directory(folder.data)

    async def frozen() -> None:
        await directory.refresh()
        cluster.freeze()
        try:
            refused = asyncio.to_thread(authority.hold, "e1", "g1", [charge(cap, CENT)], NOW)
            ended = await asyncio.gather(directory.refresh(), refused, return_exceptions=True)
            assert [str(each) for each in ended if "cannot be reached" not in str(each)] == []
        finally:
            cluster.thaw()
        await asyncio.sleep(postgres_server.PAUSE_S)
        await directory.refresh()
        assert authority.hold("e2", "g1", [charge(cap, CENT)], NOW) is None

    asyncio.run(frozen())
    authority.close()
    directory.close()


def test_a_hold_that_breaks_off_is_made_once(cluster: Cluster, database: PostgresDatabase) -> None:
    """The connection breaks between two holds, and within one."""
    authority = server_authority(database, [cap := budget()])
    begin = authority._transaction
    assert authority.hold("e1", "g1", [charge(cap, CENT)], NOW) is None
    end_connections(cluster, database)
    assert authority.hold("e2", "g1", [charge(cap, CENT)], NOW) is None
    with pytest.raises(Exception, match="connection"), begin() as db:
        db.execute("UPDATE budget_balances SET held = 0", {})
        end_connections(cluster, database)
        db.execute("SELECT 1", {})
    assert authority.hold("e3", "g1", [charge(cap, CENT)], NOW) is None
    assert only(authority.balances()).held == 3 * CENT
    authority.close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"password": "wrong"}, "does not let this user in"),
        ({"user": "nobody-there"}, "does not let this user in"),
        ({"dbname": "not-there"}, "make the database first, with createdb"),
        ({"port": "1"}, "cannot be reached"),
        ({"sslmode": "verify-full"}, "cannot be reached"),
    ],
)
def test_why_a_store_cannot_be_opened_is_told_without_the_password(
    cluster: Cluster, database: PostgresDatabase, changed: dict[str, str], says: str
) -> None:
    other = PostgresDatabase({**database.options, **changed}, "postgresql://there/it")
    with pytest.raises(OSError, match="store postgresql://there/it") as raised:
        open_sql_store(other)
    assert says in str(raised.value)
    assert cluster.password not in str(raised.value)


def test_the_gateway_on_a_file_loads_no_driver(tmp_path: Path) -> None:
    stores.open_folder(tmp_path / "data").store.close()
    script = """
import sys
from pathlib import Path
from tollkeeper import bootstrap
from tollkeeper.ports import DataFolder
data = DataFolder(Path(sys.argv[1]))
bootstrap.open_vault(data)
bootstrap.open_key_directory(data).close()
bootstrap.open_budget_authority(data)
assert not {"psycopg", "sqlalchemy", "alembic"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "data")], check=True, timeout=60)


def test_the_gateway_on_a_server_loads_the_driver_alone(
    cluster: Cluster, database: PostgresDatabase, tmp_path: Path
) -> None:
    script = """
import os, sys
from pathlib import Path
from tollkeeper import bootstrap
from tollkeeper.ports import DataFolder
data = DataFolder(Path(sys.argv[1]), sys.stdin.read())
bootstrap.open_vault(data)
bootstrap.open_key_directory(data).close()
bootstrap.open_budget_authority(data)
assert "psycopg" in sys.modules
assert not {"sqlalchemy", "alembic"} & sys.modules.keys()
"""
    url = cluster.url(database.options["dbname"])
    data = stores.open_folder(tmp_path / "data", url)
    data.store.close()
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    subprocess.run(command, input=url, text=True, check=True, timeout=60)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]
