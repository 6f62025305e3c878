"""What queries of one thread see: one state of the ledger, which another thread may see as well.

SQLite runs a query on one core, and lets Python go on meanwhile: two connections that see the same
state answer two questions on two cores.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from tollkeeper.domain.beside import Beside
from tollkeeper.storage.sqlite.handle import Handle

T = TypeVar("T")

# Entries are numbered and only ever added, and so is what is summed up of them.
_STATE: Final = "SELECT *, (SELECT max(rowid) FROM entries) FROM summed_entries"


class _Moved:
    """Says that another thread saw a later state."""


class Snapshots:
    """The snapshots of all threads: for each the connection of its own that it reads with."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._of_thread = threading.local()

    @property
    def connection(self) -> sqlite3.Connection:
        """Give the connection of this thread, which is inside a snapshot."""
        connection: sqlite3.Connection = self._of_thread.connection
        return connection

    @property
    def wide(self) -> bool:
        """Tell whether something that was set aside needed more than 64 bits."""
        wide: bool = self._of_thread.wide
        return wide

    @wide.setter
    def wide(self, wide: bool) -> None:
        self._of_thread.wide = wide

    @property
    def ahead(self) -> dict[Any, Callable[[], Any]]:
        """Give what is being read ahead for this thread's snapshot."""
        ahead: dict[Any, Callable[[], Any]] = self._of_thread.ahead
        return ahead

    @property
    def slots(self) -> dict[str, Any]:
        """Give values of slots that are the same for all of this thread's snapshot."""
        slots: dict[str, Any] = self._of_thread.slots
        return slots

    def inside(self) -> bool:
        """Tell whether this thread is inside a snapshot."""
        return getattr(self._of_thread, "connection", None) is not None

    @contextmanager
    def one(self) -> Iterator[None]:
        """Let all queries that this thread runs inside see one state of the ledger."""
        if self.inside():
            yield
            return
        with self._handle.reader() as connection:
            connection.execute("BEGIN")
            self._of_thread.connection = connection
            self._of_thread.wide = False
            self._of_thread.ahead = {}
            self._of_thread.slots = {}
            try:
                connection.execute("SELECT entries FROM summed_entries").fetchone()
                yield
            finally:
                self._of_thread.connection = None
                self._of_thread.ahead = {}
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    def beside(self, lent: Beside, make: Callable[[], T]) -> Callable[[], T]:
        """Begin on a thread that is lent, if it sees what this thread's snapshot does."""
        if not self.inside():
            return lent(make)
        seen = self._state()

        def begun() -> T | _Moved:
            if self.inside():  # by oneself after all
                return make()
            with self.one():
                return make() if self._state() == seen else _Moved()

        get = lent(begun)

        def got() -> T:
            found = get()
            return make() if isinstance(found, _Moved) else found

        return got

    def _state(self) -> tuple[Any, ...]:
        state: tuple[Any, ...] = self.connection.execute(_STATE).fetchone()
        return state
