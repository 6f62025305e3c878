"""Runs a program for a bounded time, and leaves nothing of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_GRACE_S: Final = 3.0


class Finished(NamedTuple):
    """How a program ended. ``exit_code`` is None when it had to be ended."""

    exit_code: int | None
    output: str
    duration_s: float


def run_program(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    output: Path,
) -> Finished:
    """Run a program with nothing on its standard input; what it prints goes into a file.

    It is the leader of a process group, and the whole group is ended with it.
    """
    started_s = time.monotonic()
    with output.open("wb") as printed:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        exit_code: int | None
        try:
            exit_code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:
            _end_group(process)
    duration_s = time.monotonic() - started_s
    return Finished(exit_code, output.read_text("utf-8", "replace"), duration_s)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started, gently first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
