"""The budget authority on PostgreSQL, without SQLAlchemy.

Every statement sees what was committed before it (READ COMMITTED). That is enough: room is
taken by the statement that checks for it, and what else is decided on is read after the row
was locked. Rows are locked in the order of their keys. Should two transactions wait for each
other all the same, or the connection break, the transaction is tried again on a new one: each
changes nothing when it comes twice.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial, wraps
from queue import Empty, LifoQueue
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import psycopg

from tollkeeper.storage.store import postgres_server
from tollkeeper.storage.store.budget_authority import SqlBudgetAuthority
from tollkeeper.storage.store.budget_steps import Rows
from tollkeeper.storage.store.postgres_server import Connection, Way
from tollkeeper.storage.store.schema_check import require_current
from tollkeeper.storage.store.store_address import PostgresDatabase

CONNECTIONS_MAX: Final = 4
TRIES: Final = 3
_VALUE: Final = re.compile(r":([a-z_]+)")
_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


def _tried_again(
    method: Callable[Concatenate[SqlBudgetAuthority, _Asked], _Answer],
) -> Callable[Concatenate[PostgresBudgetAuthority, _Asked], _Answer]:
    """Make a transaction one that is tried again when it was undone."""

    @wraps(method)
    def tried(
        authority: PostgresBudgetAuthority, /, *asked: _Asked.args, **named: _Asked.kwargs
    ) -> _Answer:
        return authority._done(partial(method, authority, *asked, **named))

    return tried


class PostgresBudgetAuthority(SqlBudgetAuthority):
    """An authority on a few connections, safe to use from several threads.

    Each connection does one transaction at a time; whoever finds none free waits.
    """

    def __init__(self, database: PostgresDatabase, connections_max: int = CONNECTIONS_MAX) -> None:
        """Open the authority. Raises ConfigError or OSError when it cannot be used."""
        super().__init__(self._begin)
        self._database = database
        self._free: LifoQueue[Connection] = LifoQueue()
        self._places = threading.BoundedSemaphore(connections_max)
        self._way = Way(database, partial(postgres_server.connect, database))
        self._is_closed = False
        with postgres_server.reading(database) as connection:
            require_current(postgres_server.schema_version(connection), database)

    def close(self) -> None:
        """Close the connections that nobody uses; the others close when they are given back."""
        self._is_closed = True
        self._drop_free()

    budgets = _tried_again(SqlBudgetAuthority.budgets)
    follow_file = _tried_again(SqlBudgetAuthority.follow_file)
    exchange = _tried_again(SqlBudgetAuthority.exchange)
    finish = _tried_again(SqlBudgetAuthority.finish)
    expire = _tried_again(SqlBudgetAuthority.expire)
    open_gateways = _tried_again(SqlBudgetAuthority.open_gateways)
    abandon = _tried_again(SqlBudgetAuthority.abandon)
    abandoned = _tried_again(SqlBudgetAuthority.abandoned)
    write_off = _tried_again(SqlBudgetAuthority.write_off)
    hold = _tried_again(SqlBudgetAuthority.hold)
    settle = _tried_again(SqlBudgetAuthority.settle)
    book_late = _tried_again(SqlBudgetAuthority.book_late)
    void = _tried_again(SqlBudgetAuthority.void)
    meet = _tried_again(SqlBudgetAuthority.meet)
    leave = _tried_again(SqlBudgetAuthority.leave)
    balances = _tried_again(SqlBudgetAuthority.balances)
    correct = _tried_again(SqlBudgetAuthority.correct)
    prune = _tried_again(SqlBudgetAuthority.prune)

    # ------------------------------------------------------------- transactions

    def _done(self, transaction: Callable[[], _Answer]) -> _Answer:
        """Do a transaction, again if it was undone. Raises OSError when it cannot be done."""
        with self._places:
            left = TRIES
            while True:
                left -= 1
                try:
                    return transaction()
                except _Undone as undone:
                    if not left or not undone.is_worth_another:
                        error = undone.error
                        raise postgres_server.as_os_error(error, self._database) from error

    @contextmanager
    def _begin(self) -> Iterator[_Statements]:
        connection, is_used = self._connected()
        is_committing = False
        try:
            try:
                yield _Statements(connection)
                is_committing = True
                connection.commit()
            except BaseException:
                connection.rollback()  # does nothing where the connection is gone
                raise
        except psycopg.Error as error:
            is_lost = postgres_server.is_lost(error)
            if is_lost:
                self._drop_free()  # they broke at the same moment
            # Of a commit without an answer nobody knows: the caller says it again, if it must.
            again = is_lost and is_used and not is_committing
            raise _Undone(error, again or postgres_server.is_undone(error)) from error
        finally:
            self._give_back(connection)

    def _connected(self) -> tuple[Connection, bool]:
        """Give a connection, and whether it was used before and may have broken since."""
        try:
            return self._free.get_nowait(), True
        except Empty:
            pass
        try:
            return self._way.connect(), False
        except psycopg.Error as error:
            raise _Undone(error, is_worth_another=False) from error

    def _give_back(self, connection: Connection) -> None:
        if connection.closed or self._is_closed:
            connection.close()
        else:
            self._free.put(connection)

    def _drop_free(self) -> None:
        while True:
            try:
                self._free.get_nowait().close()
            except Empty:
                return


class _Undone(Exception):
    """A transaction that did not happen, or of which that is not known."""

    def __init__(self, error: psycopg.Error, is_worth_another: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_worth_another = is_worth_another


class _Statements:
    """An open transaction, for statements with values named by a colon."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Mapping[str, Any], /) -> Rows:
        return self._connection.execute(_with_driver_names(statement), values)


@cache
def _with_driver_names(statement: str) -> bytes:
    """Name values as the driver does: ``:name`` becomes ``%(name)s``."""
    return _VALUE.sub(r"%(\1)s", statement).encode()
