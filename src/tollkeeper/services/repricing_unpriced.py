"""Calls without a price get one by themselves when one arrives: once for each price version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tollkeeper import clock
from tollkeeper.domain.repricing import PricingRun, PricingRuns, RepricingQuestion
from tollkeeper.services.repricing import Repricer, following
from tollkeeper.telemetry import logger

SETTLE_US: Final = 60_000_000
"""So long after a new version was seen first, no gateway prices by an older one any more."""
TURN_S: Final = 2.0
"""How long one turn may take, so that other jobs have theirs."""
_BY: Final = "new prices"


class UnpricedCalls:
    """Tries a new price version on all calls that have no price, and never touches another.

    It does so twice: at once, and a minute later for calls that were just being priced by the
    version before. What is done is kept, so that a restart neither repeats nor forgets it.
    """

    def __init__(
        self,
        repricer: Repricer,
        runs: PricingRuns,
        version: Callable[[], str],
        now_us: Callable[[], int],
        waiting: Callable[[], int],
        *,
        now_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self._repricer = repricer
        self._runs = runs
        self._version = version
        self._now_us = now_us
        self._waiting = waiting
        self._now_s = now_s
        self._rest: RepricingQuestion | None = None
        self._last_pass = False
        self._still_unpriced = 0

    def take_turn(self) -> None:
        """Do what there is to do, for a short time. A job calls this every few seconds.

        ``waiting`` tells how many calls the loader has not loaded yet: they come first.
        """
        now_us, version = self._now_us(), self._version()
        run = self._runs.last_pricing_run()
        if run is None or run.price_version != version:
            began_us = now_us if run is None else max(now_us, run.began_at_us + 1)
            run = PricingRun(began_us, None, version)
            self._runs.keep_pricing_run(run)
            self._begin(now_us, last=False)
        elif run.ended_at_us is not None:
            return
        elif self._rest is None:
            if now_us - run.began_at_us < SETTLE_US or self._waiting():
                return
            self._begin(now_us, last=True)
        self._work(run)

    def _begin(self, now_us: int, *, last: bool) -> None:
        self._rest = RepricingQuestion(0, now_us + 1, unpriced_only=True)
        self._last_pass = last
        self._still_unpriced = 0

    def _work(self, run: PricingRun) -> None:
        until_s = self._now_s() + TURN_S
        while self._rest is not None and self._now_s() < until_s:
            step = self._repricer.step(self._rest, write=True, by=_BY)
            self._still_unpriced += step.unpriced
            self._rest = following(self._rest, step)
            run = run._replace(priced=run.priced + step.corrected, unpriced=self._still_unpriced)
            if self._rest is None and self._last_pass:
                run = run._replace(ended_at_us=self._now_us())
            self._runs.keep_pricing_run(run)
        if self._rest is None:
            logger.info(
                "new prices tried on calls without a price",
                extra={
                    "price_version": run.price_version,
                    "priced": run.priced,
                    "unpriced": run.unpriced,
                },
            )
