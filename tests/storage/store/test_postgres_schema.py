"""A schema on PostgreSQL: from nothing, as declared, made by one of many, never a newer one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep

from postgres_cluster import Cluster
from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store.migrate import migrate, migration_scripts
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.postgres_engine import open_engine
from tollkeeper.storage.store.postgres_keys import PostgresKeyDirectory
from tollkeeper.storage.store.schema import metadata
from tollkeeper.storage.store.schema_check import (
    organisation_name,
    schema_is_current,
    store_exists,
)
from tollkeeper.storage.store.store import open_sql_store
from tollkeeper.storage.store.store_address import PostgresDatabase

_MIGRATE = """
import sys
from tollkeeper.storage.store.migrate import migrate
from tollkeeper.storage.store.store_address import parse_store_url

migrate(parse_store_url(sys.stdin.read()))
"""
OPENERS: list[Callable[[PostgresDatabase], object]] = [
    open_sql_store,
    PostgresKeyDirectory,
    PostgresBudgetAuthority,
]


def test_a_store_is_made_from_nothing_and_then_left_alone(cluster: Cluster) -> None:
    database = cluster.empty_database()
    assert not store_exists(database)
    assert not schema_is_current(database)
    assert organisation_name(database) == ""
    migrate(database)
    assert store_exists(database)
    assert schema_is_current(database)
    migrate(database)
    store = open_sql_store(database)
    store.set_org_name("Acme")
    store.close()
    assert organisation_name(database) == "Acme"


def test_the_migrations_lead_to_the_declared_schema(database: PostgresDatabase) -> None:
    engine = open_engine(database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_migration_can_be_undone_and_done_again(cluster: Cluster) -> None:
    database = cluster.new_database()
    scripts = migration_scripts()

    def undo(current: str, _: object) -> list[RevisionStep]:
        return scripts._downgrade_revs("base", current)

    engine = open_engine(database, for_migration=True)
    with engine.begin() as connection, EnvironmentContext(Config(), scripts, fn=undo) as undoing:
        undoing.configure(connection=connection, transactional_ddl=True)
        undoing.run_migrations()
    engine.dispose()
    assert not schema_is_current(database)
    migrate(database)
    assert schema_is_current(database)


def test_of_processes_that_start_at_once_all_find_one_whole_store(cluster: Cluster) -> None:
    database = cluster.empty_database()
    url = cluster.url(database.options["dbname"])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _MIGRATE],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(url)
        child.stdin.close()
        child.stdin = None
    for child in children:
        _, complaint = child.communicate(timeout=120)
        assert (child.returncode, complaint) == (0, "")
    assert schema_is_current(database)
    with cluster.administered(database.options["dbname"]) as server:
        assert server.execute("SELECT count(*) FROM revisions").fetchone() == (1,)


@pytest.mark.parametrize("opener", [schema_is_current, migrate, *OPENERS])
def test_a_store_of_a_newer_version_is_refused(
    cluster: Cluster, database: PostgresDatabase, opener: Callable[[PostgresDatabase], object]
) -> None:
    with cluster.administered(database.options["dbname"]) as server:
        server.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(ConfigError, match="newer Tollkeeper") as raised:
        opener(database)
    assert str(database) in str(raised.value)
    assert "install the newer version" in str(raised.value)


@pytest.mark.parametrize("opener", OPENERS)
def test_a_store_without_schema_is_not_opened(
    cluster: Cluster, opener: Callable[[PostgresDatabase], object]
) -> None:
    with pytest.raises(ConfigError, match="schema"):
        opener(cluster.empty_database())


def test_a_database_that_cannot_hold_every_language_is_refused(cluster: Cluster) -> None:
    with cluster.administered() as server:
        server.execute(
            "CREATE DATABASE old_text ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc"
            " TEMPLATE template0"
        )
        server.execute("ALTER DATABASE old_text OWNER TO tollkeeper")
    with pytest.raises(ConfigError, match=r"LATIN1.*createdb --encoding UTF8"):
        migrate(cluster.database("old_text"))


def test_a_user_who_may_make_no_tables_is_told_so(cluster: Cluster) -> None:
    with cluster.administered() as server:
        server.execute("CREATE DATABASE of_another TEMPLATE template0")
    with pytest.raises(PermissionError, match=r"permission denied.*its own database"):
        migrate(cluster.database("of_another"))
    assert not store_exists(cluster.database("of_another"))
