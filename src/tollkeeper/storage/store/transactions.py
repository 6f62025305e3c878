"""Reads and writes on the store: one writer at a time, and every write raises the revision."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tollkeeper.storage.store.schema import revisions


class Touches(enum.Enum):
    """What a write changes that gateways remember under one revision."""

    PEOPLE = "people_revision"
    SECRETS = "secrets_revision"


class Writing(NamedTuple):
    """An open write: its connection, and the revision that it makes."""

    connection: Connection
    revision: int


class Transactions:
    """Transactions on one engine, safe to use from several threads.

    ``explain`` puts a driver's error into an OSError that says what to do. The writer's
    lock lets the threads of this process queue up; the row in ``revisions``, updated before
    anything else, makes the writers of all processes wait for each other and makes
    revisions visible in the order of their numbers. So whatever a write looks at stays as it
    is until it ends, on PostgreSQL too, where each statement sees what was committed before.
    """

    def __init__(self, engine: Engine, explain: Callable[[BaseException], OSError]) -> None:
        self._engine = engine
        self._reading = engine
        if engine.dialect.name == "postgresql":
            one_state = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            self._reading = engine.execution_options(**one_state)
        self._explain = explain
        self._writer = threading.RLock()
        self._thread = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the store."""
        together = self._together()
        if together is not None:
            yield together
            return
        with self._explained(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self, touches: Touches | None = None) -> Iterator[Writing]:
        """Give a connection whose changes all happen, or none."""
        together = self._together()
        if together is not None:
            with self._explained(), together.begin_nested():
                yield Writing(together, self._revision_of_all(together, touches))
            return
        with self._writer, self._explained(), self._engine.begin() as connection:
            yield Writing(connection, raise_revision(connection, touches))

    @contextmanager
    def quiet_write(self) -> Iterator[Connection]:
        """Give a connection for a write that changes nothing anybody watches."""
        with self._writer, self._explained(), self._engine.begin() as connection:
            # Its turn among writers, taken by writing: a look could not become one in SQLite.
            connection.execute(update(revisions).values(revision=revisions.c.revision))
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of everything that this thread does inside."""
        if self._together() is not None:
            yield
            return
        with self.write() as writing:
            self._thread.connection = writing.connection
            self._thread.revision = writing.revision
            try:
                yield
            finally:
                self._thread.connection = None

    def _revision_of_all(self, connection: Connection, touches: Touches | None) -> int:
        """Give the revision that all of this thread's open transaction makes."""
        revision: int = self._thread.revision
        if touches is not None:
            connection.execute(update(revisions).values({touches.value: revision}))
        return revision

    def _together(self) -> Connection | None:
        connection: Connection | None = getattr(self._thread, "connection", None)
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError) as error:
            first_line = str(error.orig).partition("\n")[0]  # further ones quote the whole row
            raise ValueError(f"the store refuses this value: {first_line}") from error
        except DBAPIError as error:
            raise self._explain(error.orig or error) from error
        except PoolTimeoutError as error:
            raise OSError("the store is busy: too many requests at once") from error


def raise_revision(connection: Connection, touches: Touches | None) -> int:
    """Raise the store's revision, and give the new one."""
    changed = {"revision": revisions.c.revision + 1}
    if touches is not None:
        changed[touches.value] = revisions.c.revision + 1
    connection.execute(update(revisions).values(changed))
    return int(connection.scalars(select(revisions.c.revision)).one())
