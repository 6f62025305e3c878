"""Writes the history into a journal, as a gateway does: ``python -m tollkeeper.demo.writing``.

A process of its own, so that the loader works beside it. It waits while much is not loaded
yet, so a history of any length needs little room.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tollkeeper import clock
from tollkeeper.demo.history import Call, History
from tollkeeper.lifeline import end_with
from tollkeeper.storage.journal.segments import list_segments
from tollkeeper.storage.journal.writer import JournalWriter
from tollkeeper.telemetry import spawn

_AT_ONCE: Final = 256
_SEGMENTS_MAX: Final = 12
_PAUSE_S: Final = 0.05
_GC_OBJECTS: Final = 50_000


async def write(folder: Path, history: History) -> None:
    """Journal a whole history in a folder that is there. Raises OSError where it finds no room."""
    faults: list[OSError] = []

    def written(error: OSError | None) -> None:
        if error is not None:
            faults.append(error)

    journal = JournalWriter(folder, now_us=clock.now_us(), on_fatal=faults.append)
    try:
        for number, record in enumerate(history.records()):
            if faults:
                raise faults[0]
            if isinstance(record, Call):
                journal.hold(record.held, written)
                journal.post(record.settled, None)
            else:
                journal.note(record)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
                while len(list_segments(folder)) > _SEGMENTS_MAX:  # noqa: ASYNC110 - files
                    await asyncio.sleep(_PAUSE_S)
    finally:
        journal.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what the arguments ask for; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tollkeeper.demo.writing")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--now-us", type=int, required=True)
    parser.add_argument("--entries", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True, help="ends when that process does")
    given = parser.parse_args(arguments)
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for who started this
    gc.freeze()
    gc.set_threshold(_GC_OBJECTS, 20, 20)
    try:
        history = History(given.now_us, given.entries, given.seed)
        asyncio.run(_run(given.journal, history, given.parent))
    except OSError as error:
        sys.stderr.write(f"the history cannot be written: {error}\n")
        return 1
    return 0


async def _run(folder: Path, history: History, parent: int) -> None:
    spawn(end_with(parent), name="watch-parent")
    await write(folder, history)


if __name__ == "__main__":
    sys.exit(main())
