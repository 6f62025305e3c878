"""What a gateway remembers of the store: keys by id, until they change.

The directories of the engines are made of this. Nothing here is heavy to import: SQLAlchemy
would cost the gateway a quarter of a second at its start and a third of its memory.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from tollkeeper.domain.access import VirtualKey
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.price_rules import PriceRule
from tollkeeper.domain.rate_limits import RateRule
from tollkeeper.storage.store.budget_rows import read_budget
from tollkeeper.storage.store.budget_sql import BUDGETS
from tollkeeper.storage.store.rows import virtual_key
from tollkeeper.storage.store.stored_rate_rules import RATE_RULES, rate_rule
from tollkeeper.storage.store.stored_rules import RULES, rules_of

KEYS_REMEMBERED_MAX: Final = 100_000
MISSING_REMEMBERED_MAX: Final = 10_000
_CHANGES_LISTED_MAX: Final = 1_000
"""With more changed keys than this, everything is forgotten at once."""

REVISIONS: Final = "SELECT revision, people_revision, secrets_revision FROM revisions"
_KEY: Final = """
    SELECT k.key_id, k.name, k.kind, k.secret_hmac, k.expires_at_us,
           k.models, k.providers, k.tags,
           k.revoked_at_us IS NULL AND COALESCE(u.active, TRUE) AND COALESCE(t.active, TRUE),
           COALESCE(t.name, ''), COALESCE(u.user_id, ''), COALESCE(u.name, ''),
           n.networks, r.earlier_hmac, r.earlier_until_us,
           COALESCE((SELECT name FROM orgs), '')
    FROM virtual_keys AS k
    LEFT JOIN users AS u ON u.user_id = k.user_id
    LEFT JOIN teams AS t ON t.team_id = COALESCE(k.team_id, u.team_id)
    LEFT JOIN key_networks AS n ON n.key_id = k.key_id
    LEFT JOIN key_rotations AS r ON r.key_id = k.key_id
    WHERE k.key_id = ?
"""
_CHANGED: Final = "SELECT key_id FROM virtual_keys WHERE changed_revision > ? LIMIT ?"
_BUDGETS_CHANGED: Final = "SELECT 1 FROM budgets WHERE changed_revision > ? LIMIT 1"
_SECRETS: Final = "SELECT provider, sealed FROM provider_secrets"

_Answer = TypeVar("_Answer")


class Mark(NamedTuple):
    """What tells cheaply whether something may have changed.

    ``store`` is another one when the store itself is: then nothing remembered counts any
    more. ``state`` is another one after each write.
    """

    store: object
    state: object


class _Revisions(NamedTuple):
    revision: int
    people: int
    secrets: int


class RememberedKeys(ABC):
    """Keys of one store, read through one connection in one thread of its own.

    That thread alone changes what is remembered, so an old answer can never overwrite a
    newer one: a ``fetch`` that began before a ``refresh`` also ends before it. The event
    loop only looks up, which needs no lock.
    """

    def __init__(
        self,
        keys_max: int = KEYS_REMEMBERED_MAX,
        missing_max: int = MISSING_REMEMBERED_MAX,
    ) -> None:
        """Open the store. Raises ConfigError or OSError when it cannot be used."""
        self._keys_max = keys_max
        self._missing_max = missing_max
        self._known: dict[str, VirtualKey] = {}
        self._missing: dict[str, None] = {}
        self._secrets: Mapping[str, bytes] = MappingProxyType({})
        self._rules: Sequence[PriceRule] = ()
        self._rate_rules: Sequence[RateRule] = ()
        self._budgets: Sequence[Budget] = ()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="key-directory")
        self._explained(lambda: self._take(self._look()))

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
        """Forget what has changed. Returns whether secrets or rules changed."""
        return await self._in_thread(self._refresh)

    def provider_secrets(self) -> Mapping[str, bytes]:
        """Give the sealed secrets as of the last refresh."""
        return self._secrets

    def price_rules(self) -> Sequence[PriceRule]:
        """Give the price rules of the store as of the last refresh, in order."""
        return self._rules

    def rate_rules(self) -> Sequence[RateRule]:
        """Give the rate limits of the store as of the last refresh."""
        return self._rate_rules

    def budgets(self) -> Sequence[Budget]:
        """Give all budgets as of the last refresh; another object whenever one has changed."""
        return self._budgets

    def close(self) -> None:
        """End the thread and close the store."""
        self._thread.shutdown(wait=True)
        self._disconnect()

    # ------------------------------------------------------------- of each engine

    @abstractmethod
    def _look(self) -> Mark:
        """Give the store's mark, connecting where there is no connection."""

    @abstractmethod
    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Sequence[Any]]:
        """Ask for rows; values stand in the query as question marks."""

    @abstractmethod
    def _explained(self, work: Callable[[], _Answer]) -> _Answer:
        """Do something, with the driver's errors as OSError."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connection."""

    # ------------------------------------------------------------- in the thread

    async def _in_thread(self, work: Callable[[], _Answer]) -> _Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._explained, work)

    def _take(self, mark: Mark) -> None:
        """Start with an empty memory. The mark was read before: a write since is seen next time."""
        revisions = self._read_revisions()
        secrets, rules = self._read_secrets(), rules_of(self._rows(RULES))
        rate_rules = self._read_rate_rules()
        self._mark, self._revisions = mark, revisions
        self._secrets, self._rules, self._rate_rules = secrets, rules, rate_rules
        self._budgets = self._read_budgets()
        self._forget_all()

    def _fetch(self, key_id: str) -> VirtualKey | None:
        key = self._known.get(key_id)
        if key is not None or key_id in self._missing:
            return key
        rows = self._rows(_KEY, (key_id,))
        if not rows:
            _remember(self._missing, key_id, None, self._missing_max)
            return None
        (*values, org) = rows[0]
        key = virtual_key(values, org)
        _remember(self._known, key_id, key, self._keys_max)
        return key

    def _refresh(self) -> bool:
        mark = self._look()
        if mark == self._mark:
            return False
        if mark.store != self._mark.store:
            self._take(mark)
            return True
        before, now = self._revisions, self._read_revisions()
        if now.people != before.people or now.revision < before.revision:
            self._forget_all()
        else:
            self._forget_changed(before.revision)
        if now.secrets != before.secrets:
            self._secrets, self._rules = self._read_secrets(), rules_of(self._rows(RULES))
            self._rate_rules = self._read_rate_rules()
        if now.revision != before.revision and self._have_budgets_changed(before.revision):
            self._budgets = self._read_budgets()
        self._mark, self._revisions = mark, now
        return now.secrets != before.secrets

    def _read_revisions(self) -> _Revisions:
        (row,) = self._rows(REVISIONS)
        return _Revisions(*row)

    def _read_budgets(self) -> Sequence[Budget]:
        return tuple(read_budget(row) for row in self._rows(BUDGETS))

    def _have_budgets_changed(self, since_revision: int) -> bool:
        return bool(self._rows(_BUDGETS_CHANGED, (since_revision,)))

    def _read_secrets(self) -> Mapping[str, bytes]:
        rows = self._rows(_SECRETS)
        return MappingProxyType({provider: bytes(sealed) for provider, sealed in rows})

    def _read_rate_rules(self) -> Sequence[RateRule]:
        return tuple(rate_rule(row) for row in self._rows(RATE_RULES))

    def _forget_changed(self, since_revision: int) -> None:
        changed = self._rows(_CHANGED, (since_revision, _CHANGES_LISTED_MAX + 1))
        if len(changed) > _CHANGES_LISTED_MAX:
            self._forget_all()
            return
        for (key_id,) in changed:
            self._known.pop(key_id, None)
            self._missing.pop(key_id, None)

    def _forget_all(self) -> None:
        self._known = {}
        self._missing = {}


def _remember(memory: dict[str, _Answer], key_id: str, answer: _Answer, entries_max: int) -> None:
    """Add to a memory; when it is full, the oldest entry goes."""
    if len(memory) >= entries_max:
        del memory[next(iter(memory))]
    memory[key_id] = answer
