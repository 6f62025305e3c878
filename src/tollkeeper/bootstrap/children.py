"""What the processes that the supervisor starts have in common."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import uvloop

from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.lifeline import end_with
from tollkeeper.telemetry import LogSink, logger, spawn

EXIT_UNUSABLE = 78  # EX_CONFIG: starting again would not help
EXIT_LATER = 75  # EX_TEMPFAIL: it may help, when a server that is away has come back


class ChildOptions(NamedTuple):
    """How a child was started. ``alone`` tells that no other process serves this folder."""

    config: Path | None
    data: Path
    alone: bool
    ready_fd: int

    def report_ready(self) -> None:
        """Tell the supervisor that the work has begun."""
        if self.ready_fd >= 0:
            os.write(self.ready_fd, b"ready\n")
            os.close(self.ready_fd)


def run_child(
    name: str, arguments: Sequence[str], serve: Callable[[ChildOptions], Awaitable[None]]
) -> None:
    """Run one child process; a reason to stop is one line on standard error."""
    parser = argparse.ArgumentParser(prog=f"tollkeeper {name}")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--ready-fd", type=int, default=-1)
    parser.add_argument("--log-level", default="info")
    given = parser.parse_args(arguments)
    options = ChildOptions(given.config, given.data, given.alone, given.ready_fd)
    log = LogSink(name, level=given.log_level.upper())
    code = 0
    try:
        _run(serve(options), supervised=options.ready_fd >= 0)
    except TollkeeperError as error:
        logger.error("cannot start", extra={"reason": error.message})
        code = EXIT_UNUSABLE
    except ConnectionError as error:
        logger.error("cannot start yet", extra={"reason": str(error)})
        code = EXIT_LATER
    except OSError as error:
        logger.error("cannot start", extra={"reason": str(error)})
        code = EXIT_UNUSABLE
    except KeyboardInterrupt:
        pass
    finally:
        log.close()
    sys.exit(code)


def _run(work: Awaitable[None], *, supervised: bool) -> None:
    async def bounded() -> None:
        if supervised:
            spawn(end_with(os.getppid()), name="watch-parent")
        # What was made at the start stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        try:
            await work
        finally:
            # Else DuckDB's library finds its objects alive at the end, and says so at length.
            gc.unfreeze()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())
