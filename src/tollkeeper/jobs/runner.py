"""Runs the table of jobs on a thread of their own, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.jobs.table import Job
from tollkeeper.telemetry import logger, spawn


class JobRunner:
    """Runs jobs until stopped. One that fails is logged, and runs again when it is due."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._timers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; each job runs for the first time after its interval."""
        self._timers = [spawn(self._repeat(job), name=f"job {job.name}") for job in self._jobs]

    async def stop(self) -> None:
        """Start no more jobs, and let the one that runs end."""
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: self._thread.shutdown(cancel_futures=True))

    async def _repeat(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(job.every_s)
            await loop.run_in_executor(self._thread, _run, job)


def _run(job: Job) -> None:
    try:
        job.work()
    except (LedgerUnavailable, OSError) as error:
        logger.warning("job not done", extra={"job": job.name, "reason": str(error)})
    except Exception:  # noqa: BLE001 - a job must not end the others
        logger.exception("job failed", extra={"job": job.name})
