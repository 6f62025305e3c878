"""The gateway's view of a store on PostgreSQL."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import psycopg

from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store import postgres_server
from tollkeeper.storage.store.postgres_server import Connection, Way
from tollkeeper.storage.store.remembered_keys import (
    KEYS_REMEMBERED_MAX,
    MISSING_REMEMBERED_MAX,
    REVISIONS,
    Mark,
    RememberedKeys,
)
from tollkeeper.storage.store.schema_check import require_current
from tollkeeper.storage.store.store_address import PostgresDatabase

_Answer = TypeVar("_Answer")


class PostgresKeyDirectory(RememberedKeys):
    """Keys of one database, looked at again by its revision: one small question each time.

    A notification could get lost with the connection; a question cannot. After a connection
    was lost, the next one starts with an empty memory. While the server is away, asking
    again pauses, so that calls with unknown keys are refused at once and do not queue up.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        keys_max: int = KEYS_REMEMBERED_MAX,
        missing_max: int = MISSING_REMEMBERED_MAX,
    ) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._connected_times = 0
        self._way = Way(database, partial(postgres_server.connect_to_read, database))
        super().__init__(keys_max, missing_max)

    def _look(self) -> Mark:
        (revisions,) = self._rows(REVISIONS)
        return Mark(self._connected_times, tuple(revisions))

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Sequence[Any]]:
        asked = query.replace("?", "%s").encode()
        had_one = self._connection is not None
        try:
            return list(self._connected().execute(asked, values).fetchall())
        except psycopg.Error as error:
            if not postgres_server.is_lost(error):
                raise
            self._disconnect()
            if not had_one:
                raise
        return list(self._connected().execute(asked, values).fetchall())

    def _explained(self, work: Callable[[], _Answer]) -> _Answer:
        try:
            return work()
        except psycopg.Error as error:
            raise postgres_server.as_os_error(error, self._database) from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is not None:
            return self._connection
        connection = self._way.connect()
        try:
            require_current(postgres_server.schema_version(connection), self._database)
        except ConfigError as error:
            connection.close()
            if not self._connected_times:
                raise
            # Another version came while this one runs: its callers expect what ends by itself.
            raise OSError(errno.EIO, error.message) from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._connected_times += 1
        return connection
