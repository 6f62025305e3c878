"""Plays a script on a connection: writes and waits, until the end or until the caller leaves."""

from __future__ import annotations

import asyncio
from typing import Final

from tollkeeper.http1.exchange import Exchange
from tollkeeper.sandbox.call_book import Call, Outcome
from tollkeeper.sandbox.script import Ending, Script

_RESET_WAIT_S: Final = 0.03
"""What was written needs a moment to arrive, for a reset overtakes it."""


class Player:
    """Gives one reply. Takes no part of the request: that must be complete."""

    def __init__(self, exchange: Exchange, script: Script, call: Call) -> None:
        self._exchange = exchange
        self._script = script
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._in_play = False

    def start(self, *, writable: bool) -> None:
        """Begin. The exchange may be over when this returns."""
        self._writable = writable
        self._wait_for_next()

    # ------------------------------------------------------------------ what the caller does

    def client_gone(self) -> None:
        """Stop: a provider that is left stops working."""
        if self._timer is not None:
            self._timer.cancel()
        if self._call.outcome is Outcome.ANSWERING:
            silent = self._script.ending is Ending.SILENCE and self._is_over()
            self._call.ended(Outcome.BROKEN if silent else Outcome.LEFT)

    def client_writable(self, *, writable: bool) -> None:
        """Hold back while the caller does not read."""
        self._writable = writable
        if writable and self._timer is None and not self._in_play:
            self._play()

    # ------------------------------------------------------------------ playing

    def _is_over(self) -> bool:
        return self._call.writes_done == len(self._script.writes)

    def _wait_for_next(self) -> None:
        """Play on now, or after the wait in front of the next write."""
        waits_s = self._script.waits_s
        wait_s = waits_s[self._call.writes_done] if waits_s else 0.0
        if wait_s:
            self._timer = self._loop.call_later(wait_s, self._waited)
        else:
            self._play()

    def _waited(self) -> None:
        self._timer = None
        self._play()

    def _play(self) -> None:
        """Write until there is something to wait for."""
        script, call, exchange = self._script, self._call, self._exchange
        self._in_play = True
        while not self._is_over():
            if not self._writable or not exchange.connected:
                break
            data = script.writes[call.writes_done]
            call.writes_done += 1
            if self._is_over() and script.ending in {Ending.NEXT, Ending.CLOSE}:
                self._finish(data)
                break
            exchange.started = True
            exchange.write(b"", before=data)
            if not self._is_over() and script.waits_s[call.writes_done]:
                self._wait_for_next()
                break
        self._in_play = False
        if self._is_over() and script.ending is Ending.RESET and self._timer is None:
            self._timer = self._loop.call_later(_RESET_WAIT_S, self._reset)

    def _finish(self, data: bytes) -> None:
        script = self._script
        self._call.ended(Outcome.ANSWERED if script.complete else Outcome.BROKEN)
        if script.ending is Ending.CLOSE:
            self._exchange.close_after = True
        self._exchange.end(b"", before=data)

    def _reset(self) -> None:
        self._call.ended(Outcome.BROKEN)
        self._exchange.reset()
