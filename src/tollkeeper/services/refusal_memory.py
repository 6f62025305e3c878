"""Refusals that repeat: one entry in the ledger stands for many, and every one is counted.

A tool that repeats a refused call a hundred times a second shall not fill the ledger. The first
refusal of a key for a reason is written at once; those that follow are counted, and the last of
them is written with their number every few seconds. Nothing of it is ever billed. Whoever dies
by force takes the last seconds' repeats with it, and no more.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.domain.ledger import LedgerEntry

TOGETHER_US: Final = 10_000_000
"""For so long repeats are counted before an entry is written for them."""
KINDS_MAX: Final = 10_000


class _Kind(NamedTuple):
    """Whose refusal, its code, and what it is about: a budget's id."""

    key_id: str
    code: str
    about: str


class _Repeats:
    __slots__ = ("count", "last", "since_us")

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self.count = 0
        self.last: LedgerEntry | None = None

    def take(self) -> tuple[LedgerEntry, ...]:
        """Give the entry for what was counted, if anything was, and count anew."""
        last, count = self.last, self.count
        self.last, self.count = None, 0
        return () if last is None else (last._replace(repeats=count - 1),)


class RefusalMemory:
    """Remembers whom a gateway refused lately, and for what. Only its own thread may use it.

    ``repeated`` counts the repeats by code, from the start on.
    """

    def __init__(
        self, repeated: dict[str, int] | None = None, *, kinds_max: int = KINDS_MAX
    ) -> None:
        self.repeated: dict[str, int] = {} if repeated is None else repeated
        self._kinds: dict[_Kind, _Repeats] = {}  # in the order of ``since_us``
        self._kinds_max = kinds_max

    def refused(self, entry: LedgerEntry, about: str) -> tuple[LedgerEntry, ...]:
        """Take in a refusal; give the entries to write now, none for most repeats.

        ``about`` tells reasons of one code apart, as the id of the budget that had no room.
        """
        kind = _Kind(entry.key_id, entry.error_code, about)
        known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = _Repeats(entry.started_at_us)
            return (*self._make_room(), entry)
        self.repeated[kind.code] = self.repeated.get(kind.code, 0) + 1
        known.last, known.count = entry, known.count + 1
        return ()

    def due(self, now_us: int) -> list[LedgerEntry]:
        """Give the entries for repeats that have been counted long enough. To be asked often.

        A kind of which nothing came meanwhile is forgotten: its next refusal is a first one.
        """
        entries: list[LedgerEntry] = []
        for kind, known in list(self._kinds.items()):
            if 0 <= now_us - known.since_us < TOGETHER_US:
                break  # so are all that follow
            del self._kinds[kind]
            taken = known.take()
            if taken:
                known.since_us = now_us
                self._kinds[kind] = known
                entries += taken
        return entries

    def all(self) -> list[LedgerEntry]:
        """Give the entries for all that was counted, and forget everything: at the end."""
        entries = [entry for known in self._kinds.values() for entry in known.take()]
        self._kinds.clear()
        return entries

    def _make_room(self) -> tuple[LedgerEntry, ...]:
        if len(self._kinds) <= self._kinds_max:
            return ()
        return self._kinds.pop(next(iter(self._kinds))).take()
