"""Budgets, calls and authorities for tests: on a file, or on the same tables in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stores import make_store
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budget_words import ALERT_AT_BP
from tollkeeper.domain.budgets import Balance, BalanceKey, Budget, BudgetScope, Unit
from tollkeeper.domain.calls import Profile
from tollkeeper.domain.leases import Charge
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.budget_authority import SqlBudgetAuthority
from tollkeeper.storage.store.budget_steps import Database
from tollkeeper.storage.store.migrate import migrate
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.sqlite_budgets import SqliteBudgetAuthority, open_sqlite_budgets
from tollkeeper.storage.store.store import open_sql_store
from tollkeeper.storage.store.store_address import PostgresDatabase, StoreAddress

NOW = 1_790_000_000_000_000
SECOND = 1_000_000
CENT = 10_000_000
DOLLAR = 100 * CENT
LIFETIME = WindowRule(WindowKind.LIFETIME)
DAILY = WindowRule(WindowKind.DAY)


def profile(**fields: Any) -> Profile:
    """Give a call of Alice's, in team core, with whatever is different."""
    usual = {
        "org": "Acme",
        "team": "core",
        "user_id": "u-alice",
        "user_name": "Alice",
        "key_id": "k1",
        "key_name": "laptop",
        "end_customer": "",
        "session_id": "s1",
        "tool": "claude-code",
        "tool_version": "2.1",
        "provider": "anthropic",
        "price_provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "model_requested": "claude-sonnet-4-5",
        "endpoint": "messages",
        "wire": "anthropic_messages",
        "streamed": True,
        "flat_rate": False,
    }
    return Profile(**usual | fields)  # type: ignore[arg-type]


def budget(budget_id: str = "b1", limit: int = 5 * DOLLAR, **fields: Any) -> Budget:
    """Give a budget of the organisation in USD, for ever, with whatever is different."""
    usual: dict[str, Any] = {
        "name": f"budget {budget_id}",
        "scope": BudgetScope.ORG,
        "unit": Unit.USD,
        "window": LIFETIME,
        "thresholds_bp": ALERT_AT_BP,
    }
    return Budget(budget_id=budget_id, limit=limit, **usual | fields)


def file_authority(path: Path, budgets: Iterable[Budget]) -> SqliteBudgetAuthority:
    """Open an authority on a store of its own in a folder."""
    at = path / "store.sqlite3"
    make_store(at)
    _add_budgets(at, budgets)
    return open_sqlite_budgets(at)


def server_authority(
    database: PostgresDatabase, budgets: Iterable[Budget]
) -> PostgresBudgetAuthority:
    """Open an authority on a store of its own on a server."""
    _add_budgets(database, budgets)
    return PostgresBudgetAuthority(database)


def _add_budgets(at: StoreAddress, budgets: Iterable[Budget]) -> None:
    with closing(open_sql_store(at)) as store:
        for each in budgets:
            store.add_budget(each, NOW, "test")


def memory_authority(budgets: Iterable[Budget]) -> SqliteBudgetAuthority:
    """Open an authority on the same tables in memory, which is much faster."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.deserialize(_empty_store())
    connection.execute("PRAGMA foreign_keys = ON")
    authority = SqliteBudgetAuthority(
        connection, partial(sqlite_file.as_os_error, path=Path(":memory:"))
    )
    write_budgets(connection, budgets)
    return authority


def write_budgets(connection: Database, budgets: Iterable[Budget]) -> None:
    """Write budgets, in place of what is there under their ids."""
    from tollkeeper.storage.store.budget_rows import write_budget

    for each in budgets:
        values = {
            **write_budget(each),
            "changed_revision": 1,
            "created_at_us": NOW,
            "created_by": "test",
        }
        columns = ", ".join(values)
        slots = ", ".join(f":{name}" for name in values)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        connection.execute(
            f"INSERT INTO budgets ({columns}) VALUES ({slots})"  # noqa: S608
            f" ON CONFLICT (budget_id) DO UPDATE SET {updates}",
            values,
        )


@cache
def _empty_store() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite3"
        migrate(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            return connection.serialize()


def charge(each: Budget, amount: int, entity: str = "", at_us: int = NOW) -> Charge:
    """Give what a call holds of a budget's row at a time."""
    window = each.window.around(at_us)
    return Charge(BalanceKey(each.budget_id, entity, window.start_us), window.end_us, amount)


def only(balances: list[Balance]) -> Balance:
    """Give the one row that there is."""
    (found,) = balances
    return found


Opener = Callable[[Iterable[Budget]], SqlBudgetAuthority]
