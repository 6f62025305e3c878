"""The gateway's life: listening, upkeep, reloading, draining, stopping."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tollkeeper import clock
from tollkeeper.domain.errors import ConfigError, Overloaded, TollkeeperError, UpstreamFailed
from tollkeeper.gateway.application import GatewayApplication
from tollkeeper.gateway.local import LocalAnswers
from tollkeeper.gateway.shared import Gateway
from tollkeeper.http1.listener import ConnectionSet, ServerLimits
from tollkeeper.ports import KeyDirectory
from tollkeeper.runtime import FileMark, file_mark
from tollkeeper.telemetry import logger, spawn

REFRESH_S: Final = 0.25
SWEEP_S: Final = 1.0

_BACKLOG: Final = 1024


class Listening(NamedTuple):
    """Where and how the one port listens."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    limits: ServerLimits


class GatewayProcess:
    """Runs one gateway until it is told to stop.

    ``reload`` reads the configuration anew and puts it to use; it raises ConfigError, and
    has changed nothing then. ``watched`` are the files whose change leads to a reload.
    """

    def __init__(
        self,
        gateway: Gateway,
        directory: KeyDirectory,
        listening: Listening,
        *,
        reload: Callable[[], None],
        watched: Sequence[Path],
    ) -> None:
        self._gateway = gateway
        self._directory = directory
        self._listening = listening
        self._reload = reload
        self._watched = watched
        self._seen = self._changing = self._file_mark()
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        application = GatewayApplication(gateway, LocalAnswers(gateway))
        self._connections = ConnectionSet(application, listening.limits)

    async def run(self, report_ready: Callable[[], None]) -> None:
        """Carry calls until SIGTERM or SIGINT; a second one stops at once."""
        loop = asyncio.get_running_loop()
        server = await self._listen(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        upkeep = [
            spawn(self._sweep(), name="sweep"),
            spawn(self._refresh(), name="refresh-keys"),
            spawn(self._follow(), name="follow-files"),
        ]
        if self._gateway.desk is not None:
            self._gateway.desk.open()
        gc.collect()
        gc.freeze()
        report_ready()
        logger.info("gateway ready", extra={"port": server.sockets[0].getsockname()[1]})
        await self._stop.wait()
        server.close()
        await self._drain()
        for task in upkeep:
            task.cancel()
        self._connections.abort()
        self._gateway.pool.close()
        await asyncio.sleep(0)
        await self._end()
        self._directory.close()
        logger.info("gateway stopped")

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        where = self._listening
        try:
            return await loop.create_server(
                self._connections.connection,
                where.host,
                where.port,
                ssl=where.tls,
                ssl_handshake_timeout=None if where.tls is None else where.limits.head_s,
                backlog=_BACKLOG,
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {where.host}:{where.port}: {error.strerror or error}",
                hint="is something else using the port? choose another with --port",
            ) from None

    # ------------------------------------------------------------------ upkeep

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._connections.sweep()
            self._gateway.pool.sweep()
            self._gateway.write_repeats()

    async def _follow(self) -> None:
        """Learn of files that have changed, and are not being written any more."""
        while True:
            await asyncio.sleep(REFRESH_S)
            mark = self._file_mark()
            if mark != self._seen and mark == self._changing:
                self._seen = mark
                self.reload()
            self._changing = mark

    async def _refresh(self) -> None:
        """Learn of revoked keys and changed secrets, four times a second."""
        good_at_s = clock.monotonic_s()
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                secrets_changed = await self._directory.refresh()
            except (OSError, TollkeeperError) as error:
                if clock.monotonic_s() - good_at_s > self._gateway.settings.store_away_s:
                    self._lock(str(error))
                continue
            good_at_s = clock.monotonic_s()
            self._unlock()
            if self._gateway.desk is not None:
                self._gateway.desk.follow(self._directory.budgets())
            if secrets_changed and self._file_mark() == self._seen:
                self.reload()  # a file being written right now leads to a reload once it is whole

    def _lock(self, reason: str) -> None:
        if self._gateway.locked is None:
            logger.error("calls are refused: the store cannot be read", extra={"reason": reason})
            self._gateway.locked = Overloaded(
                "the gateway cannot read its store, and so cannot tell whether keys are still good",
                code="store_unreadable",
            )

    def _unlock(self) -> None:
        if self._gateway.locked is not None:
            logger.warning("the store can be read again")
            self._gateway.locked = None

    def reload(self) -> None:
        """Read the configuration again; when it has a fault, the old one stays."""
        try:
            self._reload()
        except (TollkeeperError, OSError) as error:
            self._gateway.config_fault = str(error)
            logger.error("configuration not taken over", extra={"reason": str(error)})
            return
        self._gateway.config_fault = ""
        self._connections.heads.forget()
        logger.info("configuration taken over")

    def _file_mark(self) -> tuple[FileMark, ...]:
        return tuple(file_mark(path) for path in self._watched)

    # ------------------------------------------------------------------ the end

    async def _end(self) -> None:
        """End the journal, and say what was spent of budgets: only where all is settled."""
        desk = self._gateway.desk
        if desk is not None:
            desk.close()
        self._gateway.write_repeats(at_end=True)
        self._gateway.journal.close()
        if desk is not None:
            await desk.finish()

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    async def _drain(self) -> None:
        """Let calls finish, as long as they may; then end them, each with its outcome."""
        gateway = self._gateway
        gateway.draining = True
        self._connections.drain()
        for stream in list(gateway.page_streams):  # open pages; nobody waits for their end
            stream.cut()
        deadline_s = clock.monotonic_s() + gateway.settings.drain_s
        logger.info("draining", extra={"calls": len(gateway.relays)})
        while (gateway.relays or self._connections.busy) and clock.monotonic_s() < deadline_s:
            if self._stop_now.is_set():
                break
            await asyncio.sleep(0.02)
        if gateway.desk is not None:
            gateway.desk.close()
        left = list(gateway.relays)
        if left:
            logger.warning("calls cut at the end of draining", extra={"calls": len(left)})
        stopping = UpstreamFailed("the gateway is being stopped", code="gateway_stopped")
        for relay in left:
            relay.cut(stopping)
        for _ in range(50):  # their outcomes are being written
            if not gateway.relays:
                break
            await asyncio.sleep(0.02)
