"""The budget authority on a SQLite store, with the standard library alone.

The gateway uses it, as it uses the key directory. A transaction takes the writer's lock before
it reads anything; processes wait for each other there.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.budget_authority import SqlBudgetAuthority
from tollkeeper.storage.store.schema_check import require_current, schema_version


class SqliteBudgetAuthority(SqlBudgetAuthority):
    """An authority on one connection, safe to use from several threads: one at a time."""

    def __init__(
        self, connection: sqlite3.Connection, explain: Callable[[BaseException], OSError]
    ) -> None:
        super().__init__(self._begin)
        self._connection = connection
        self._explain = explain
        self._turn = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._connection.close()

    @contextmanager
    def _begin(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.rollback()
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._is_in_transaction():
                    self._connection.rollback()
                raise self._explain(error) from error

    def _is_in_transaction(self) -> bool:
        return self._connection.in_transaction


def open_sqlite_budgets(path: Path) -> SqliteBudgetAuthority:
    """Open the authority of a store. Raises ConfigError or OSError when it cannot be used."""
    explain = partial(sqlite_file.as_os_error, path=path)
    try:
        connection = sqlite_file.connect(path)
    except sqlite3.Error as error:
        raise explain(error) from error
    try:
        require_current(schema_version(connection), path)
    except BaseException:
        connection.close()
        raise
    return SqliteBudgetAuthority(connection, explain)
