"""Live updates: what the loader has just stored, on its way to the pages that are open.

A page that reads slowly loses rows, never memory: each connection keeps the newest rows
only, and says how many it left out. Nobody gets more than their scope allows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from tollkeeper import clock
from tollkeeper.console.alert_marks import SharedMark
from tollkeeper.domain.access import Scope
from tollkeeper.domain.errors import Overloaded
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.live import LiveFigures, allows, call_rows

CONNECTIONS_MAX: Final = 500
PER_SESSION_MAX: Final = 16
ROWS_KEPT: Final = 500
"""For pages that come back after a short break and say where they were."""
_ROWS_WAITING_MAX: Final = 50
_BATCH_ENTRIES_MAX: Final = 500
_FIGURES_EVERY_S: Final = 0.5
_FIGURES_SHARE: Final = 10
"""Figures are summed up again after at least this many times what that takes ..."""

_FIGURES_LATE_S: Final = 1.0
"""... unless that is so much longer: a call is to be in them within two seconds."""


class Numbered(NamedTuple):
    """A call, and its place in the order in which calls were loaded."""

    number: int
    row: CallRow


class Fresh(NamedTuple):
    """What a connection has not sent yet. ``omitted`` counts calls that were left out."""

    rows: list[CallRow]
    omitted: int
    last: int


class Listener:
    """One open page. ``changed`` is set when there is something for it, or it must end."""

    def __init__(self, scope: Scope, zone: str, session_hash: bytes) -> None:
        self.scope = scope
        self.zone = zone
        self.session_hash = session_hash
        self.changed = asyncio.Event()
        self._ended = False
        self._waiting: deque[CallRow] = deque(maxlen=_ROWS_WAITING_MAX)
        self._omitted = 0
        self._last = 0

    def add(self, rows: Sequence[Numbered], omitted: int = 0) -> None:
        """Keep rows for sending; older ones give way."""
        over = len(self._waiting) + len(rows) - _ROWS_WAITING_MAX
        self._omitted += omitted + max(0, over)
        self._waiting.extend(each.row for each in rows)
        if rows:
            self._last = rows[-1].number
        self.changed.set()

    def take(self) -> Fresh:
        """Give what is waiting, and forget it."""
        fresh = Fresh(list(self._waiting), self._omitted, self._last)
        self._waiting.clear()
        self._omitted = 0
        self.changed.clear()
        return fresh

    def end(self) -> None:
        """Tell the connection to close."""
        self._ended = True
        self.changed.set()

    def has_ended(self) -> bool:
        """Tell whether the connection is to close."""
        return self._ended


class _Shared:
    """The figures of one scope in one zone, for all pages that show them."""

    def __init__(self) -> None:
        self.pages = 0
        self.lock = asyncio.Lock()
        self.version = 0  # of what was loaded
        self.summed_version = -1
        self.figures: LiveFigures | None = None
        self.not_before_s = 0.0


class LiveHub:
    """Knows the open pages. All but ``on_loaded`` belongs to the loop's own thread.

    ``started`` is a text that no other start has: numbers count from each start anew.
    ``changes`` counts how often something was loaded, for whoever asks whether anything was.
    """

    def __init__(self, org: str, started: str) -> None:
        self._org = org
        self._started = started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[Listener] = set()
        self._shared: dict[tuple[Scope, str], _Shared] = {}
        self._kept: deque[Numbered] = deque(maxlen=ROWS_KEPT)
        self._number = 0
        self.changes = 0
        self.alerts = SharedMark()
        self.closed = False

    @property
    def connections(self) -> int:
        """Count the open pages."""
        return len(self._listeners)

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to pass on what is loaded."""
        self._loop = loop

    def close(self) -> None:
        """End every connection: the console is being stopped."""
        self.closed = True
        for listener in self._listeners:
            listener.end()

    # ------------------------------------------------------------------ what was loaded

    def on_loaded(self, entries: Sequence[LedgerEntry]) -> None:
        """Take a batch; called on the loader's thread, and soon done."""
        calls = [each for each in entries if not each.corrects]
        newest = [each for each in calls[-_BATCH_ENTRIES_MAX:] if each.org == self._org]
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        omitted = max(0, len(calls) - _BATCH_ENTRIES_MAX)
        corrected = len(calls) < len(entries)
        loop.call_soon_threadsafe(self.publish, call_rows(newest), omitted, corrected)

    def publish(self, rows: Sequence[CallRow], omitted: int = 0, corrected: bool = False) -> None:
        """Give rows to all who may see them. ``omitted`` counts older ones that nobody gets,
        ``corrected`` tells that sums have changed besides."""
        numbered = [Numbered(self._number + place, row) for place, row in enumerate(rows, 1)]
        self._number += len(rows)
        self.changes += 1
        self._kept.extend(numbered)
        allowed: dict[Scope, list[Numbered]] = {}
        for scope in {listener.scope for listener in self._listeners}:
            allowed[scope] = [each for each in numbered if allows(scope, each.row)]
        for (scope, _), shared in self._shared.items():
            if allowed.get(scope) or omitted or corrected:
                shared.version += 1
        for listener in self._listeners:
            mine = allowed[listener.scope]
            if mine or omitted or corrected:
                listener.add(mine, omitted if _sees_all(listener.scope) else 0)

    # ------------------------------------------------------------------ pages

    def listen(self, scope: Scope, zone: str, session_hash: bytes) -> Listener:
        """Begin to listen. Raises Overloaded when too many pages are open."""
        if self.closed or len(self._listeners) >= CONNECTIONS_MAX:
            raise Overloaded("too many pages are open", code="live_limit", retry_after_s=30)
        same = sum(each.session_hash == session_hash for each in self._listeners)
        if same >= PER_SESSION_MAX:
            raise Overloaded(
                "too many pages of this session are open", code="live_limit", retry_after_s=30
            )
        listener = Listener(scope, zone, session_hash)
        self._listeners.add(listener)
        self._shared.setdefault((scope, zone), _Shared()).pages += 1
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop listening."""
        if listener not in self._listeners:
            return
        self._listeners.discard(listener)
        place = (listener.scope, listener.zone)
        self._shared[place].pages -= 1
        if not self._shared[place].pages:
            del self._shared[place]

    def end_session(self, session_hash: bytes) -> None:
        """Close the pages of a session that has ended."""
        for listener in self._listeners:
            if listener.session_hash == session_hash:
                listener.end()

    def event_id(self, number: int) -> str:
        """Write a place in the order, for ``Last-Event-ID``."""
        return f"{self._started}-{number}"

    def resume(self, listener: Listener, last_event_id: str) -> bool:
        """Give a page that comes back what it missed. False when that is not known any more."""
        started, _, number = last_event_id.rpartition("-")
        if started != self._started or not (number.isascii() and number.isdigit()):
            return False
        last = int(number[:18])
        missed = [each for each in self._kept if each.number > last]
        complete = self._number - last <= len(self._kept)
        mine = [each for each in missed if allows(listener.scope, each.row)]
        if mine:
            listener.add(mine)
        return complete

    def figures_due_s(self, listener: Listener) -> float:
        """Say in how many seconds the figures of a page may be summed up again."""
        shared = self._shared.get((listener.scope, listener.zone))
        return 0.0 if shared is None else max(0.0, shared.not_before_s - clock.monotonic_s())

    async def figures(
        self, listener: Listener, ask: Callable[[], Awaitable[LiveFigures]], now_us: int
    ) -> LiveFigures | None:
        """Give the figures as of now, summed up once for all pages that show the same.

        None when this page's connection ended meanwhile, and while it is too early to sum up
        again (``figures_due_s``): calls do not wait for figures.
        """
        shared = self._shared.get((listener.scope, listener.zone))
        if shared is None:
            return None
        async with shared.lock:
            known = shared.figures
            over = known is None or known.today_period.end_us <= now_us
            if over or shared.summed_version != shared.version:
                if not over and clock.monotonic_s() < shared.not_before_s:
                    return None
                version, began_s = shared.version, clock.monotonic_s()
                shared.figures = await ask()
                ended_s = clock.monotonic_s()
                took_s = ended_s - began_s
                pause_s = min(_FIGURES_SHARE * took_s, _FIGURES_LATE_S + took_s)
                pause_s = max(_FIGURES_EVERY_S, pause_s)
                shared.summed_version, shared.not_before_s = version, ended_s + pause_s
        return shared.figures


def _sees_all(scope: Scope) -> bool:
    return scope.teams is None and scope.user_id is None
