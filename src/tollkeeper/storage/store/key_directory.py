"""The gateway's view of a SQLite store, with the standard library alone."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.remembered_keys import (
    KEYS_REMEMBERED_MAX,
    MISSING_REMEMBERED_MAX,
    Mark,
    RememberedKeys,
)
from tollkeeper.storage.store.schema_check import require_current, schema_version

_Answer = TypeVar("_Answer")


class SqliteKeyDirectory(RememberedKeys):
    """Keys of one SQLite file. Whether something changed, SQLite tells nearly for free."""

    def __init__(
        self,
        path: Path,
        keys_max: int = KEYS_REMEMBERED_MAX,
        missing_max: int = MISSING_REMEMBERED_MAX,
    ) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        super().__init__(keys_max, missing_max)

    def _look(self) -> Mark:
        file = self._file_now()
        if self._connection is None or file != self._file:  # another one, as after a restore
            self._disconnect()
            self._connect(file)
        return Mark(self._file, sqlite_file.data_version(self._connected()))

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Sequence[Any]]:
        return self._connected().execute(query, values).fetchall()

    def _explained(self, work: Callable[[], _Answer]) -> _Answer:
        try:
            return work()
        except sqlite3.Error as error:
            raise sqlite_file.as_os_error(error, self._path) from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, file: tuple[int, int]) -> None:
        connection = sqlite_file.connect_read_only(self._path)
        try:
            require_current(schema_version(connection), self._path)
        except BaseException:
            connection.close()
            raise
        self._connection, self._file = connection, file

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise OSError(errno.ENOENT, f"the store {self._path} is not open")
        return self._connection

    def _file_now(self) -> tuple[int, int]:
        try:
            file = os.stat(self._path)  # noqa: PTH116 - the descriptor's counterpart, not a path question
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, f"the store {self._path} is gone") from error
        return (file.st_dev, file.st_ino)
