"""Starts the processes of one deployment and keeps them running.

Each child tells through a pipe when its work has begun. A child that dies is started
again, with growing pauses; one that says that starting again would not help ends all of
them. Stopping goes in the order of the children: the gateway drains first, and the console
ends last, when nothing more is to be loaded.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tollkeeper import clock
from tollkeeper.telemetry import logger

UNUSABLE: Final = 78
"""A child's exit code that says: starting again would not help."""

_PAUSE_S: Final = 0.2
_PAUSE_MAX_S: Final = 10.0
_CALM_S: Final = 30.0  # a child that ran this long is not in a loop of crashes
_KILL_AFTER_S: Final = 10.0


class Child(NamedTuple):
    """One process to run: its module and arguments, and how long it may take to stop.

    ``after`` names another child that gets the machine for itself until it is ready, or has
    ended.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    stop_s: float
    after: str = ""


class Supervisor:
    """Runs children until told to stop. ``on_ready`` is called with the name of each."""

    def __init__(self, children: Sequence[Child], on_ready: Callable[[str], None]) -> None:
        self._children = children
        self._on_ready = on_ready
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._begun = {child.name: asyncio.Event() for child in children}
        self._stopping = asyncio.Event()
        self._failed = 0

    async def run(self) -> int:
        """Run everything; give the exit code. No process leaves its memory behind in a file."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        keepers = [loop.create_task(self._keep(child)) for child in self._children]
        await self._stopping.wait()
        for child in self._children:
            await self._stop(child)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        return self._failed

    # ------------------------------------------------------------------ running

    async def _keep(self, child: Child) -> None:
        """Start a child, and again whenever it dies."""
        pause_s = _PAUSE_S
        if child.after in self._begun:
            await self._begun[child.after].wait()
        while not self._stopping.is_set():
            started_s = clock.monotonic_s()
            code = await self._run_once(child)
            if self._stopping.is_set():
                return
            if code == UNUSABLE:
                self._failed = 1
                self._stopping.set()
                return
            ran_s = clock.monotonic_s() - started_s
            pause_s = _PAUSE_S if ran_s > _CALM_S else min(pause_s * 2, _PAUSE_MAX_S)
            logger.error(
                "process died, it is started again",
                extra={"child": child.name, "exit_code": code, "pause_s": pause_s},
            )
            await asyncio.sleep(pause_s)

    async def _run_once(self, child: Child) -> int:
        read_fd, write_fd = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", child.module, *child.arguments),
                *("--ready-fd", str(write_fd)),
                pass_fds=(write_fd,),
                start_new_session=True,  # a Ctrl-C is ours to pass on, in our order
            )
        finally:
            os.close(write_fd)
        self._begun[child.name].clear()
        self._processes[child.name] = process
        await self._report_when_ready(child, read_fd)
        return await process.wait()

    async def _report_when_ready(self, child: Child, read_fd: int) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(read_fd, readable.set)
        try:
            await readable.wait()
            self._begun[child.name].set()
            if os.read(read_fd, 16).startswith(b"ready"):
                self._on_ready(child.name)
        finally:
            loop.remove_reader(read_fd)
            os.close(read_fd)

    # ------------------------------------------------------------------ stopping

    def _asked_to_stop(self) -> None:
        if self._stopping.is_set():
            self._signal_all(signal.SIGTERM)  # twice: do not wait for calls any longer
        self._stopping.set()

    def _reload(self) -> None:
        """Pass a SIGHUP on to whoever is ready for it; it would end a process that starts."""
        for name, process in self._processes.items():
            if process.returncode is None and self._begun[name].is_set():
                process.send_signal(signal.SIGHUP)

    def _signal_all(self, number: int) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.send_signal(number)

    async def _stop(self, child: Child) -> None:
        process = self._processes.get(child.name)
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), child.stop_s + _KILL_AFTER_S)
        except TimeoutError:
            logger.error("process does not stop, it is killed", extra={"child": child.name})
            process.kill()
            await process.wait()
