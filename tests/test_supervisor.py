"""The supervisor with small children: in which order they begin and end, and what ends all."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tollkeeper import supervisor
from tollkeeper.supervisor import UNUSABLE, Child, Supervisor

CHILD = """
import os, resource, signal, sys, time

name, behaviour, log, ready_fd = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[5])

def say(what):
    with open(log, "a") as file:
        file.write(f"{name} {what}\\n")

def asked_to_stop(number, frame):
    say("asked to stop")
    time.sleep(0.2)
    say("ended")
    sys.exit(0)

signal.signal(signal.SIGHUP, lambda number, frame: say("reads again"))
signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else asked_to_stop)
say("started")
if behaviour == "slow":
    time.sleep(0.5)
if behaviour.startswith("exit"):
    sys.exit(int(behaviour[4:]))
if behaviour == "limits":
    say(f"core dumps {resource.getrlimit(resource.RLIMIT_CORE)[0]}")
say("ready")
os.write(ready_fd, b"ready")
os.close(ready_fd)
while True:
    time.sleep(0.05)
"""


class Family:
    """Children that note what happens to them in one file."""

    def __init__(self, folder: Path) -> None:
        (folder / "small_child.py").write_text(CHILD)
        self.log = folder / "log"
        self.log.touch()
        self.ready: list[str] = []

    def child(self, name: str, behaviour: str = "usual", after: str = "") -> Child:
        return Child(name, "small_child", (name, behaviour, str(self.log)), 0.5, after)

    def said(self) -> list[str]:
        return self.log.read_text().splitlines()

    async def until(self, line: str, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while self.said().count(line) < times:  # noqa: ASYNC110 - it stands in a file
                await asyncio.sleep(0.02)

    def run(self, *children: Child, meanwhile: Callable[[], Awaitable[None]]) -> int:
        """Supervise children, and do something meanwhile; give the exit code."""

        async def work() -> int:
            keeper = asyncio.ensure_future(Supervisor(children, self.ready.append).run())
            await meanwhile()
            return await asyncio.wait_for(keeper, 30)

        return asyncio.run(work())


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family:
    known = [str(tmp_path), os.environ.get("PYTHONPATH", "")]  # noqa: TID251 - for children
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, known)))
    monkeypatch.setattr(supervisor, "_KILL_AFTER_S", 0.5)
    return Family(tmp_path)


def stop_all() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_one_that_comes_after_another_waits_until_it_is_ready(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("late ready")
        stop_all()

    children = (family.child("late", after="slow"), family.child("slow", "slow"))
    assert family.run(*children, meanwhile=meanwhile) == 0
    said = family.said()
    assert said.index("slow ready") < said.index("late started")
    assert family.ready == ["slow", "late"]


def test_one_that_comes_after_nobody_here_begins_at_once(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("alone ready")
        stop_all()

    assert family.run(family.child("alone", after="missing"), meanwhile=meanwhile) == 0


def test_no_child_leaves_its_memory_in_a_core_dump(family: Family) -> None:
    """Keys, sessions and prompts would be in it."""

    async def meanwhile() -> None:
        await family.until("one ready")
        stop_all()

    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        assert family.run(family.child("one", "limits"), meanwhile=meanwhile) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert "one core dumps 0" in family.said()


def test_one_that_waits_begins_also_when_the_other_has_died(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("late ready")
        stop_all()

    children = (family.child("broken", "exit3"), family.child("late", after="broken"))
    assert family.run(*children, meanwhile=meanwhile) == 0


def test_they_end_one_after_the_other(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("first ready")
        await family.until("second ready")
        stop_all()

    children = (family.child("first"), family.child("second"))
    assert family.run(*children, meanwhile=meanwhile) == 0
    assert [line for line in family.said() if "ready" not in line and "started" not in line] == [
        *("first asked to stop", "first ended"),
        *("second asked to stop", "second ended"),
    ]


def test_one_that_dies_is_started_again(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("steady ready")
        await family.until("broken started", times=3)
        stop_all()

    children = (family.child("steady"), family.child("broken", "exit3"))
    assert family.run(*children, meanwhile=meanwhile) == 0
    assert family.said().count("steady started") == 1


def test_one_that_cannot_be_helped_ends_all(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("steady ready")

    children = (family.child("steady"), family.child("unusable", f"exit{UNUSABLE}", "steady"))
    assert family.run(*children, meanwhile=meanwhile) == 1
    assert family.said().count("unusable started") == 1
    assert "steady ended" in family.said()


def test_one_that_does_not_stop_is_killed(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("stubborn ready")
        stop_all()

    assert family.run(family.child("stubborn", "stubborn"), meanwhile=meanwhile) == 0


def test_reading_again_reaches_those_that_are_ready_alone(family: Family) -> None:
    async def meanwhile() -> None:
        await family.until("ready ready")
        await family.until("slow started")
        os.kill(os.getpid(), signal.SIGHUP)
        await family.until("ready reads again")
        await family.until("slow ready")
        stop_all()

    children = (family.child("ready"), family.child("slow", "slow", after="ready"))
    assert family.run(*children, meanwhile=meanwhile) == 0
    assert "slow reads again" not in family.said()


def test_stopping_while_they_start_leaves_nobody_behind(family: Family) -> None:
    async def meanwhile() -> None:
        await asyncio.sleep(0.05)
        stop_all()

    children = (family.child("slow", "slow"), family.child("late", after="slow"))
    assert family.run(*children, meanwhile=meanwhile) == 0
    assert "late ready" not in family.said()
