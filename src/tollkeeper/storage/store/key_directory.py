"""The gateway's view of the store: keys by id, remembered until they change.

Standard library only: SQLAlchemy would cost the gateway a quarter of a second at its start
and a third of its memory.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from tollkeeper.domain.access import VirtualKey
from tollkeeper.domain.price_rules import PriceRule
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.rows import virtual_key
from tollkeeper.storage.store.schema_check import require_current, schema_version
from tollkeeper.storage.store.stored_rules import rules_in

KEYS_REMEMBERED_MAX = 100_000
MISSING_REMEMBERED_MAX = 10_000
_CHANGES_LISTED_MAX = 1_000
"""With more changed keys than this, everything is forgotten at once."""

_KEY = """
    SELECT k.key_id, k.name, k.kind, k.secret_hmac, k.expires_at_us,
           k.models, k.providers, k.tags,
           k.revoked_at_us IS NULL AND COALESCE(u.active, 1) AND COALESCE(t.active, 1),
           COALESCE(t.name, ''), COALESCE(u.user_id, ''), COALESCE(u.name, ''),
           COALESCE((SELECT name FROM orgs), '')
    FROM virtual_keys AS k
    LEFT JOIN users AS u ON u.user_id = k.user_id
    LEFT JOIN teams AS t ON t.team_id = COALESCE(k.team_id, u.team_id)
    WHERE k.key_id = ?
"""
_CHANGED = "SELECT key_id FROM virtual_keys WHERE changed_revision > ? LIMIT ?"
_REVISIONS = "SELECT revision, people_revision, secrets_revision FROM revisions"
_SECRETS = "SELECT provider, sealed FROM provider_secrets"

_Answer = TypeVar("_Answer")


class _Revisions(NamedTuple):
    revision: int
    people: int
    secrets: int


class SqliteKeyDirectory:
    """Keys of one SQLite store, read through one connection in one thread of its own.

    That thread alone changes what is remembered, so an old answer can never overwrite a
    newer one: a ``fetch`` that began before a ``refresh`` also ends before it. The event
    loop only looks up, which needs no lock.
    """

    def __init__(
        self,
        path: Path,
        keys_max: int = KEYS_REMEMBERED_MAX,
        missing_max: int = MISSING_REMEMBERED_MAX,
    ) -> None:
        """Open the store. Raises ConfigError or OSError when it cannot be used."""
        self._path = path
        self._keys_max = keys_max
        self._missing_max = missing_max
        self._known: dict[str, VirtualKey] = {}
        self._missing: dict[str, None] = {}
        self._secrets: Mapping[str, bytes] = MappingProxyType({})
        self._rules: Sequence[PriceRule] = ()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="key-directory")
        self._explained(self._open)

    def known(self, key_id: str) -> VirtualKey | None:
        """Give a key that is remembered."""
        return self._known.get(key_id)

    def is_known_missing(self, key_id: str) -> bool:
        """Tell whether the store was asked for this id, and has no such key."""
        return key_id in self._missing

    async def fetch(self, key_id: str) -> VirtualKey | None:
        """Give a key, from the store unless it is remembered."""
        return await self._in_thread(lambda: self._fetch(key_id))

    async def refresh(self) -> bool:
        """Forget what has changed. Returns whether provider secrets or price rules changed."""
        return await self._in_thread(self._refresh)

    def provider_secrets(self) -> Mapping[str, bytes]:
        """Give the sealed secrets as of the last refresh."""
        return self._secrets

    def price_rules(self) -> Sequence[PriceRule]:
        """Give the price rules of the store as of the last refresh, in order."""
        return self._rules

    def close(self) -> None:
        """End the thread and close the store."""
        self._thread.shutdown(wait=True)
        self._connection.close()

    # ------------------------------------------------------------- in the thread

    async def _in_thread(self, work: Callable[[], _Answer]) -> _Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._explained, work)

    def _explained(self, work: Callable[[], _Answer]) -> _Answer:
        try:
            return work()
        except sqlite3.Error as error:
            raise sqlite_file.as_os_error(error, self._path) from error

    def _open(self) -> None:
        """Connect, and start with an empty memory."""
        file = os.stat(self._path)  # noqa: PTH116 - the descriptor's counterpart, not a path question
        connection = sqlite_file.connect_read_only(self._path)
        try:
            require_current(schema_version(connection), self._path)
            # First the version, then the content: a write in between is seen next time.
            data_version = sqlite_file.data_version(connection)
            revisions = _Revisions(*connection.execute(_REVISIONS).fetchone())
            secrets = dict(connection.execute(_SECRETS))
            rules = rules_in(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._file = (file.st_dev, file.st_ino)
        self._data_version = data_version
        self._revisions = revisions
        self._secrets = MappingProxyType(secrets)
        self._rules = rules
        self._forget_all()

    def _fetch(self, key_id: str) -> VirtualKey | None:
        key = self._known.get(key_id)
        if key is not None or key_id in self._missing:
            return key
        row = self._connection.execute(_KEY, (key_id,)).fetchone()
        if row is None:
            _remember(self._missing, key_id, None, self._missing_max)
            return None
        key = virtual_key(row[:-1], row[-1])
        _remember(self._known, key_id, key, self._keys_max)
        return key

    def _refresh(self) -> bool:
        if self._was_replaced():
            self._connection.close()
            self._open()
            return True
        data_version = sqlite_file.data_version(self._connection)
        if data_version == self._data_version:
            return False
        before = self._revisions
        now = _Revisions(*self._connection.execute(_REVISIONS).fetchone())
        if now.people != before.people or now.revision < before.revision:
            self._forget_all()
        else:
            self._forget_changed(before.revision)
        if now.secrets != before.secrets:
            self._secrets = MappingProxyType(dict(self._connection.execute(_SECRETS)))
            self._rules = rules_in(self._connection)
        self._revisions = now
        self._data_version = data_version
        return now.secrets != before.secrets

    def _forget_changed(self, since_revision: int) -> None:
        listed = (since_revision, _CHANGES_LISTED_MAX + 1)
        changed = self._connection.execute(_CHANGED, listed).fetchall()
        if len(changed) > _CHANGES_LISTED_MAX:
            self._forget_all()
            return
        for (key_id,) in changed:
            self._known.pop(key_id, None)
            self._missing.pop(key_id, None)

    def _forget_all(self) -> None:
        self._known = {}
        self._missing = {}

    def _was_replaced(self) -> bool:
        """Tell whether another file stands under the path, as after a restore."""
        try:
            file = os.stat(self._path)  # noqa: PTH116
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, f"the store {self._path} is gone") from error
        return (file.st_dev, file.st_ino) != self._file


def _remember(memory: dict[str, _Answer], key_id: str, answer: _Answer, entries_max: int) -> None:
    """Add to a memory; when it is full, the oldest entry goes."""
    if len(memory) >= entries_max:
        del memory[next(iter(memory))]
    memory[key_id] = answer
