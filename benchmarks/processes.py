"""Child processes of the benchmarks: pinned to a core, measured, always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PROXY_CORE = 0
LOAD_CORE = 1
START_S = 30.0
STOP_S = 20.0
_SHOWN_BYTES = 2_000


class CouldNotRun(Exception):
    """Something that is measured, or measured with, does not run. The text says why."""


class Child:
    """One process in a session of its own. Leaving the context ends it and its children."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        core: int | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*pinned, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def wait_until(self, ready: Callable[[], bool], limit_s: float = START_S) -> None:
        """Wait until it is ready. Raises CouldNotRun with the end of its log."""
        deadline_s = time.monotonic() + limit_s
        while not ready():
            if self.process.poll() is not None:
                raise CouldNotRun(f"it ended at once: {self.said()}")
            if time.monotonic() > deadline_s:
                raise CouldNotRun(f"it was not ready after {limit_s:.0f} s: {self.said()}")
            time.sleep(0.01)

    def said(self) -> str:
        """Give the end of its log."""
        return self.log.read_text("utf-8", "replace")[-_SHOWN_BYTES:].strip()

    def end(self) -> None:
        """Stop it, gently first; then whatever of its family is left."""
        family = tree(self.pid)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_S)
        for pid in family:
            if pid != self.pid and _session(pid) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def tree(root: int) -> list[int]:
    """List a process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def find(root: int, words: str) -> int:
    """Find the process below another whose command line has these words.

    Raises CouldNotRun when there is none.
    """
    for pid in tree(root):
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in line and pid != root:
                return pid
    raise CouldNotRun(f"no process with {words!r} is running")


def pin(pid: int, core: int) -> None:
    """Keep all threads of a process on one core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            os.sched_setaffinity(int(thread.name), {core})


def cpu_s(pids: Sequence[int]) -> float:
    """Sum the processor time of processes, all threads that live, in seconds."""
    total_ns = 0
    for pid in pids:
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError, IndexError):
                    total_ns += int((thread / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def core_busy_s(core: int) -> float:
    """Give how long a core has been busy with anything since the machine started."""
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            ticks = [int(word) for word in line.split()[1:]]
            return (sum(ticks[:8]) - ticks[3] - ticks[4]) / ticks_per_s
    return 0.0


def rss_mb(pids: Sequence[int]) -> float:
    """Sum the resident memory of processes in MB."""
    total_kb = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total_kb += int(line.split()[1])
    return total_kb / 1024
