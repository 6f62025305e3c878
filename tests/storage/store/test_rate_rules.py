"""Rate limits in the store: set, listed, removed, and known to a gateway's directory."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.rate_limits import RATE_MAX, RateRule, StoredRateRule
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
from tollkeeper.storage.store.postgres_keys import PostgresKeyDirectory
from tollkeeper.storage.store.remembered_keys import RememberedKeys
from tollkeeper.storage.store.store import SqlStore, open_sql_store
from tollkeeper.storage.store.store_address import PostgresDatabase

EACH_KEY = RateRule("1", "each key", BudgetScope.KEY, "*", True, 60, None, 5)
GPT = RateRule("2", "a model", BudgetScope.MODEL, "gpt-*", False, None, RATE_MAX)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    yield opened
    opened.store.close()


def stored(rule: RateRule, at_us: int = NOW) -> StoredRateRule:
    return StoredRateRule(rule, at_us, "alice@acme.com")


def test_rules_are_listed_by_name_as_they_were_set_last(folder: Folder) -> None:
    store = folder.store
    store.set_rate_rule(stored(EACH_KEY))
    store.set_rate_rule(stored(GPT))
    changed = stored(EACH_KEY._replace(parallel=None, tokens_per_minute=9), NOW + 1)
    store.set_rate_rule(changed)
    assert store.rate_rules() == [stored(GPT), changed]
    store.remove_rate_rule("1")
    assert store.rate_rules() == [stored(GPT)]
    with pytest.raises(LookupError):
        store.remove_rate_rule("1")


def test_no_two_rules_share_a_name(folder: Folder) -> None:
    folder.store.set_rate_rule(stored(EACH_KEY))
    with pytest.raises(ValueError, match="refuses this value"):
        folder.store.set_rate_rule(stored(GPT._replace(name="each key")))
    assert folder.store.rate_rules() == [stored(EACH_KEY)]


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "org"},
        {"requests": None},
        {"requests": 0},
        {"requests": RATE_MAX + 1},
        {"requests": "many"},
        {"parallel": -1},
        {"match": ""},
        {"name": ""},
        {"each": 2},
    ],
)
def test_the_database_itself_refuses_what_no_rule_can_be(
    folder: Folder, changes: dict[str, object]
) -> None:
    values = {
        "id": "1",
        "name": "a",
        "scope": "key",
        "match": "*",
        "each": 0,
        "requests": 1,
        "tokens": None,
        "parallel": None,
        "at": 1,
        "by": "x",
    }
    insert = "INSERT INTO rate_rules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    with closing(sqlite3.connect(folder.data.store)) as connection:
        connection.execute(insert, tuple(values.values()))
        connection.rollback()
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(insert, tuple((values | changes).values()))


def test_a_directory_knows_rules_after_its_next_look(folder: Folder) -> None:
    require_known(folder.store, lambda: SqliteKeyDirectory(folder.data.store))


def test_on_postgresql_all_is_the_same(database: PostgresDatabase) -> None:
    store = open_sql_store(database)
    try:
        store.set_rate_rule(stored(GPT))
        with pytest.raises(ValueError, match="refuses this value"):
            store.set_rate_rule(stored(EACH_KEY._replace(name="a model")))
        with pytest.raises(LookupError):
            store.remove_rate_rule("1")
        store.remove_rate_rule("2")
        require_known(store, lambda: PostgresKeyDirectory(database))
    finally:
        store.close()


def require_known(store: SqlStore, open_directory: Callable[[], RememberedKeys]) -> None:
    """A directory has the rules when it is opened, and what changed after each look."""
    store.set_rate_rule(stored(EACH_KEY))
    directory = open_directory()

    async def look() -> bool:
        return await directory.refresh()

    try:
        assert directory.rate_rules() == (EACH_KEY,)
        assert not asyncio.run(look())
        store.set_rate_rule(stored(GPT))
        assert asyncio.run(look())
        assert directory.rate_rules() == (GPT, EACH_KEY)
        store.remove_rate_rule("1")
        assert asyncio.run(look())
        assert directory.rate_rules() == (GPT,)
        assert not asyncio.run(look())
    finally:
        directory.close()
