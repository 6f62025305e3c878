"""The loader's own thread, and how it ends: with nothing left in the journal, if it can."""

from __future__ import annotations

import threading
from typing import Final

from tollkeeper import clock
from tollkeeper.services.loading import Loader
from tollkeeper.telemetry import logger

_FINISH_S: Final = 8.0
"""How long the rest of the journal may take to load at the end; it is kept in any case."""


class LoaderThread:
    """Runs a loader beside everything else."""

    def __init__(self, loader: Loader, *, finish_s: float = _FINISH_S) -> None:
        self.loader = loader
        self._finish_s = finish_s
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=loader.run, args=(self._stop,), name="loader", daemon=True
        )

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def finish(self) -> None:
        """End the thread, then load what is left, unless that fails or takes too long."""
        self._stop.set()
        self._thread.join()
        deadline_s = clock.monotonic_s() + self._finish_s
        more = True
        while more and clock.monotonic_s() < deadline_s:
            more = self.loader.advance(clock.now_us(), clock.monotonic_s()) == 0.0
        status = self.loader.status
        if more or status.fault:
            logger.warning(
                "the journal is not loaded to its end; it is kept for the next start",
                extra={"reason": status.fault or "there was too much of it"},
            )
