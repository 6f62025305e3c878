"""Connections to upstreams: kept alive, capped per origin, opened when none is idle."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from tollkeeper import clock
from tollkeeper.domain.errors import (
    Overloaded,
    TollkeeperError,
    UpstreamFailed,
    UpstreamTimeout,
)
from tollkeeper.http1.origin import Origin, Proxies
from tollkeeper.http1.reply_heads import ReplyHeadMemory
from tollkeeper.http1.tunnel import authorization_line, open_tunnel
from tollkeeper.http1.upstream import UpstreamConnection
from tollkeeper.telemetry import spawn

OnConnected = Callable[[UpstreamConnection | None, TollkeeperError | None], None]


class PoolLimits(NamedTuple):
    """Limits per origin and times in seconds."""

    connections_max: int = 2_000
    waiting_max: int = 1_000
    connect_s: float = 10.0
    wait_s: float = 10.0
    idle_s: float = 50.0
    silence_s: float = 300.0


class _Waiting(NamedTuple):
    deadline_s: float
    on_connected: OnConnected


class _OriginPool:
    __slots__ = ("idle", "in_hand_over", "origin", "total", "waiting")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle: list[UpstreamConnection] = []
        self.total = 0
        self.in_hand_over = False
        self.waiting: deque[_Waiting] = deque()


class UpstreamPool:
    """Gives connections to origins.

    ``tls`` is used for every https origin; None stands for the system's authorities, which
    are read when they are first needed. All methods belong to the loop's thread.
    """

    def __init__(self, limits: PoolLimits, tls: ssl.SSLContext | None, proxies: Proxies) -> None:
        self._limits = limits
        self._tls = tls
        self._proxies = proxies
        self._origins: dict[Origin, _OriginPool] = {}
        self._busy: set[UpstreamConnection] = set()
        self._heads = ReplyHeadMemory()
        self.opened = 0

    # ------------------------------------------------------------------ taking

    def take_idle(self, origin: Origin) -> UpstreamConnection | None:
        """Give an idle connection, the one used last, or None."""
        pool = self._origins.get(origin)
        return None if pool is None else self._take_from(pool)

    def _take_from(self, pool: _OriginPool) -> UpstreamConnection | None:
        while pool.idle:
            connection = pool.idle.pop()
            if not connection.closed and not connection.transport.is_closing():
                self._busy.add(connection)
                return connection
        return None

    def connect(self, origin: Origin, on_connected: OnConnected) -> None:
        """Open a connection, or wait for one where the origin's limit is reached."""
        pool = self._origins.get(origin)
        if pool is None:
            pool = self._origins[origin] = _OriginPool(origin)
        if pool.total >= self._limits.connections_max:
            if len(pool.waiting) >= self._limits.waiting_max:
                on_connected(None, _busy("too many calls wait for this provider"))
                return
            deadline_s = clock.monotonic_s() + self._limits.wait_s
            pool.waiting.append(_Waiting(deadline_s, on_connected))
            return
        pool.total += 1
        spawn(self._open(pool, on_connected), name="upstream-connect")

    async def _open(self, pool: _OriginPool, on_connected: OnConnected) -> None:
        connection = UpstreamConnection(
            partial(self._became_idle, pool), partial(self._was_closed, pool), self._heads
        )
        connection.silence_max_s = self._limits.silence_s
        error: TollkeeperError
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await self._establish(pool.origin, connection)
        except UpstreamFailed as failure:
            error = failure
        except TimeoutError:
            error = UpstreamTimeout("the provider could not be reached in time")
        except ssl.SSLCertVerificationError as failure:
            error = UpstreamFailed(
                f"the provider's certificate is not valid: {failure.verify_message}",
                code="upstream_tls",
            )
        except (OSError, ssl.SSLError) as failure:
            error = UpstreamFailed(f"the provider could not be reached: {_reason(failure)}")
        else:
            self.opened += 1
            if connection.closed:  # and no longer counted
                on_connected(None, UpstreamFailed("the provider closed the connection at once"))
                return
            self._busy.add(connection)
            on_connected(connection, None)
            return
        pool.total -= 1
        on_connected(None, error)
        self._serve_waiting(pool)

    async def _establish(self, origin: Origin, connection: UpstreamConnection) -> None:
        loop = asyncio.get_running_loop()
        if origin.unix_path:
            await loop.create_unix_connection(lambda: connection, origin.unix_path)
            return
        tls = self._trusted() if origin.scheme == "https" else None
        name = origin.host if tls else None
        proxy = self._proxies.for_origin(origin)
        if not proxy:
            await loop.create_connection(
                lambda: connection, origin.host, origin.port, ssl=tls, server_hostname=name
            )
        elif tls:
            await open_tunnel(proxy, origin, tls, connection)
        else:
            parts = urlsplit(proxy)
            connection.target_prefix = b"http://" + origin.host_header
            connection.proxy_lines = authorization_line(proxy)
            await loop.create_connection(lambda: connection, parts.hostname or "", parts.port or 80)

    def _trusted(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    # ------------------------------------------------------------------ giving back

    def _became_idle(self, pool: _OriginPool, connection: UpstreamConnection) -> None:
        self._busy.discard(connection)
        pool.idle.append(connection)
        if pool.waiting and not pool.in_hand_over:
            self._hand_over(pool)

    def _hand_over(self, pool: _OriginPool) -> None:
        """Give idle connections to waiting calls. Those whose client left give them back."""
        pool.in_hand_over = True
        try:
            while pool.waiting and (connection := self._take_from(pool)) is not None:
                pool.waiting.popleft().on_connected(connection, None)
        finally:
            pool.in_hand_over = False

    def _was_closed(self, pool: _OriginPool, connection: UpstreamConnection) -> None:
        pool.total -= 1
        self._busy.discard(connection)
        if connection in pool.idle:
            pool.idle.remove(connection)
        self._serve_waiting(pool)

    def _serve_waiting(self, pool: _OriginPool) -> None:
        if pool.waiting and pool.total < self._limits.connections_max:
            waiting = pool.waiting.popleft()
            pool.total += 1
            spawn(self._open(pool, waiting.on_connected), name="upstream-connect")

    # ------------------------------------------------------------------ upkeep

    def sweep(self) -> None:
        """End what is too old: silent replies, idle connections, waiting calls."""
        now_s = clock.monotonic_s()
        for connection in list(self._busy):
            if connection.busy and not connection.paused and now_s > connection.deadline_s:
                connection.time_out()
        for pool in self._origins.values():
            while pool.idle and now_s - pool.idle[0].idle_since_s > self._limits.idle_s:
                pool.idle.pop(0).abort()
            while pool.waiting and now_s > pool.waiting[0].deadline_s:
                busy = _busy("no connection to the provider became free in time")
                pool.waiting.popleft().on_connected(None, busy)

    @property
    def busy(self) -> int:
        """Count the connections that serve a call."""
        return len(self._busy)

    def close(self) -> None:
        """Cut everything."""
        for pool in self._origins.values():
            for connection in list(pool.idle):
                connection.abort()
        for connection in list(self._busy):
            connection.abort()


def _busy(message: str) -> Overloaded:
    """The refusal of a call that found no connection: nothing of it reached the provider."""
    return Overloaded(message, code="provider_busy")


def _reason(failure: Exception) -> str:
    """Say why, without addresses or file names that belong to nobody else."""
    text = getattr(failure, "strerror", None)
    return str(text or type(failure).__name__).lower()
