"""Lets the gateways of one store divide each rate limit among themselves, where that is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tollkeeper import clock
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.gateway_company import BEAT_S, WHOLE, Company, Share
from tollkeeper.gateway.authority_line import AuthorityLine
from tollkeeper.telemetry import logger


class RateShares:
    """Says again and again that this gateway is there, and tells what its share is.

    While the store is away the share stays what it was. ``use`` is given each new one.
    """

    def __init__(self, gateway: str, line: AuthorityLine, use: Callable[[Share], None]) -> None:
        self._gateway = gateway
        self._line = line
        self._use = use
        self._share = WHOLE
        self._company = Company(gateway)
        self._has_complained = False

    async def meet(self) -> None:
        """Say that this gateway is there, and learn who else is."""
        try:
            beats = await self._line.meet(self._gateway, clock.now_us())
        except (OSError, TollkeeperError) as error:
            if not self._has_complained:  # it is tried again soon
                self._has_complained = True
                logger.error("rate limits stay divided as they are", extra={"why": str(error)})
            return
        self._has_complained = False
        share = self._company.heard(beats, clock.now_us(), clock.monotonic_s())
        if share != self._share:
            self._share = share
            logger.info("share of rate limits", extra=share._asdict())
            self._use(share)

    async def keep(self) -> None:
        """Go on until this is cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self.meet()

    async def leave(self) -> None:
        """Say that this gateway is there no more, so that others need not find out."""
        try:
            await self._line.leave(self._gateway, clock.now_us())
        except (OSError, TollkeeperError) as error:
            logger.warning("others will find out that this is gone", extra={"why": str(error)})
        await asyncio.get_running_loop().run_in_executor(None, self._line.close)
