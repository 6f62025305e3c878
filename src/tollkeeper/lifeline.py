"""Ends a process in good order when the one that started it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

from tollkeeper.telemetry import logger

_LOOK_EVERY_S: Final = 1.0


async def end_with(parent: int) -> None:
    """Send this process a SIGTERM once ``parent`` is not its parent any more.

    Nobody else would ever stop it, and it would keep the port or the ledger from the next
    start.
    """
    while os.getppid() == parent:  # noqa: ASYNC110 - the system tells nobody
        await asyncio.sleep(_LOOK_EVERY_S)
    logger.error("the supervisor is gone, this process ends as well")
    os.kill(os.getpid(), signal.SIGTERM)
