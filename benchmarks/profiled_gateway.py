"""The gateway under Python's own profiler, for ``benchmarks/hot_path.py``.

SIGUSR1 starts the profiler, the next one stops it and writes what it saw to the file that
the environment variable BENCH_PROFILE names.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import signal
import sys
from pathlib import Path

from tollkeeper.bootstrap.children import ChildOptions, run_child
from tollkeeper.bootstrap.gateway import serve

FILE_VARIABLE = "BENCH_PROFILE"


class Profiler:
    """Turns the profiler on and off."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._profile = cProfile.Profile()
        self._running = False

    def toggle(self) -> None:
        """Start, or stop and write."""
        if self._running:
            self._profile.disable()
            part = Path(f"{self._file}.part")
            self._profile.dump_stats(part)
            part.replace(self._file)
        else:
            self._profile.enable()
        self._running = not self._running


async def serve_profiled(options: ChildOptions) -> None:
    """Serve as the gateway does."""
    profiler = Profiler(os.environ[FILE_VARIABLE])
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, profiler.toggle)
    await serve(options)


def main() -> None:
    """Run until told to stop."""
    run_child("gateway", sys.argv[1:], serve_profiled)


if __name__ == "__main__":
    main()
