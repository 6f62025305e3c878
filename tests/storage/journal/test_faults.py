"""Each system call of the journal fails once, for every call there is: nothing is lost."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import traceback
from pathlib import Path

import pytest

from failing_calls import CALLS, failing
from ledger_entries import held_call, settled_call
from loopback import run
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.ledger import LedgerEntry, Outcome
from tollkeeper.storage.journal.recovery import recover
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter

CALLS_MADE = 14
SEGMENT_BYTES = 7_000  # so that it turns over a few times
_STOPPED = 74


def interrupted(held: Held) -> Settled:
    return settled_call(held)._replace(outcome=Outcome.INTERRUPTED)


async def make_calls(folder: Path, told: int) -> None:
    """Make calls, two at a time, and say on a pipe what was acknowledged: H, P or R, and the id."""
    loop = asyncio.get_running_loop()

    def say(kind: bytes, held: Held) -> None:
        os.write(told, kind + held.entry_id.encode() + b"\n")

    async def one(held: Held) -> None:
        written: asyncio.Future[OSError | None] = loop.create_future()
        writer.hold(held, written.set_result)
        if await written is not None:
            say(b"R", held)
            await asyncio.sleep(0.02)
            return
        say(b"H", held)
        posted: asyncio.Future[OSError | None] = loop.create_future()
        writer.post(settled_call(held), posted.set_result)
        await posted
        say(b"P", held)

    writer = JournalWriter(
        folder, now_us=1, on_fatal=lambda _: os._exit(_STOPPED), segment_bytes=SEGMENT_BYTES
    )
    for _ in range(CALLS_MADE // 2):
        await asyncio.gather(one(held_call()), one(held_call()))
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.12)  # a sync comes by
    writer.close()


def calls_with_fault(folder: Path, number: int, error: int) -> tuple[bool, dict[str, set[str]]]:
    """Make calls in a child whose n-th call fails. Tells whether it came to that, and what was
    acknowledged."""
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            with failing(CALLS, number, error) as fault:
                run(lambda: make_calls(folder, told))
            code = 3 if fault.failed else 0
        except OSError:
            code = 2  # it could not start, or not end well
        except BaseException:  # noqa: BLE001 - shown, and then the child ends
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(told)
    said: dict[str, set[str]] = {"H": set(), "P": set(), "R": set()}
    with os.fdopen(reading) as pipe:
        for line in pipe:
            said[line[0]].add(line[1:].strip())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 2, 3, _STOPPED}
    return code != 0, said


def load(folder: Path) -> dict[str, LedgerEntry]:
    """Read everything; no id may come twice, and nothing is damaged."""
    tail = FolderTail(folder)
    found: dict[str, LedgerEntry] = {}
    for segment in tail.segments():
        assert segment.closed
        offset, at_end = 0, False
        while not at_end:
            chunk = tail.read(segment.name, offset, 10_000)
            assert chunk.damaged == 0
            offset, at_end = chunk.offset, chunk.at_end
            for entry in chunk.entries:
                assert entry.entry_id not in found
                found[entry.entry_id] = entry
    return found


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_every_call_of_a_gateways_life_fails_once(
    tmp_path: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.storage.journal.writer.RETRY_S", 0.01)
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        failed, said = calls_with_fault(folder, number, error)
        recover(folder, interrupted)
        entries = load(folder)
        posted = {name for name, entry in entries.items() if entry.outcome == Outcome.OK}
        assert said["P"] <= posted, f"call {number}: an outcome is lost"
        assert said["H"] <= entries.keys(), f"call {number}: a call in flight is not accounted for"
        assert not said["R"] & entries.keys(), f"call {number}: a refused call was booked"
        if not failed:
            assert len(said["P"]) == CALLS_MADE
            break
    assert number > 30, "there are more calls than that in a gateway's life"


def test_every_call_of_a_recovery_fails_once(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    dead.mkdir()
    open_calls = [held_call() for _ in range(5)]

    async def die() -> None:
        writer = JournalWriter(dead, now_us=1, on_fatal=lambda _: None, segment_bytes=50_000)
        for held in open_calls:
            writer.hold(held, lambda error: None)
        await asyncio.sleep(0.01)
        os._exit(0)

    child = os.fork()
    if child == 0:
        try:
            run(die)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        shutil.copytree(dead, folder)
        with failing(CALLS, number, errno.EIO) as fault:
            try:
                recover(folder, interrupted)
            except OSError:
                assert fault.failed
        recover(folder, interrupted)
        entries = load(folder)
        assert entries.keys() == {held.entry_id for held in open_calls}
        assert not list(folder.glob("*.new"))
        if not fault.failed:
            break
    assert number > 4
