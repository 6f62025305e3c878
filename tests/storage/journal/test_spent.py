"""What an instance spent of budgets follows from its journal, whatever failed before it died."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from failing_calls import CALLS, failing
from ledger_entries import held_call, settled_call
from loopback import run
from tollkeeper.domain.budgets import BalanceKey
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.leases import Account
from tollkeeper.domain.ledger import Outcome
from tollkeeper.storage.journal import frames
from tollkeeper.storage.journal.recovery import recover
from tollkeeper.storage.journal.spent_files import SpentFiles
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter

CALLS_MADE = 14
SEGMENT_BYTES = 7_000  # so that it turns over a few times
ROW = BalanceKey("b1", "", 0)
OTHER = BalanceKey("b2", "x", 5)


def interrupted(held: Held) -> Settled:
    return settled_call(held)._replace(outcome=Outcome.INTERRUPTED)


def charges(held: Held, settled: Settled) -> Mapping[BalanceKey, int]:
    return {ROW: 3, OTHER: 2}


class Calls:
    """Makes calls as the gateway does: the outcome is recorded, then its row is charged."""

    def __init__(self, folder: Path, *, in_all: bool) -> None:
        self.folder = folder
        self.spent = {ROW: 0, OTHER: 0}
        self.in_all = in_all
        self.writer: JournalWriter

    def accounts(self) -> list[Account]:
        return [Account(ROW, self.spent[ROW], True), Account(OTHER, self.spent[OTHER], self.in_all)]

    async def one(self, held: Held) -> None:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[OSError | None] = loop.create_future()
        self.writer.hold(held._replace(sent=True), written.set_result)
        if await written is not None:
            return
        posted: asyncio.Future[OSError | None] = loop.create_future()
        self.writer.post(settled_call(held), posted.set_result)
        for key, amount in charges(held, settled_call(held)).items():
            self.spent[key] += amount
        await posted

    async def make(self, *, close: bool) -> None:
        self.writer = JournalWriter(
            self.folder, now_us=1, on_fatal=lambda _: os._exit(74), segment_bytes=SEGMENT_BYTES
        )
        self.writer.accounts = self.accounts
        for number in range(CALLS_MADE // 2):
            await asyncio.gather(self.one(held_call()), self.one(held_call()))
            if number == 3:
                self.writer.account(self.accounts()[:1])
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)  # what found no room is tried again
        if close:
            self.writer.close()
        else:
            self.writer.hold(held_call()._replace(sent=True), lambda error: None)
            self.writer.hold(held_call()._replace(sent=False), lambda error: None)
            await asyncio.sleep(0.01)


def in_child(work: Calls, number: int, fault: int, *, close: bool) -> bool:
    """Make calls in a process that dies; tell whether the fault came, or it could not start."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with failing(CALLS, number, fault) as made:
                run(lambda: work.make(close=close))
            code = int(made.failed)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def booked(folder: Path) -> int:
    tail = FolderTail(folder)
    return sum(len(tail.read(info.name, 0, 1_000).entries) for info in tail.segments())


@pytest.mark.parametrize(
    ("fault", "close", "in_all"),
    [(errno.ENOSPC, False, True), (errno.ENOSPC, True, False), (errno.EIO, False, False)],
)
def test_what_was_spent_is_what_is_booked_whatever_fails(
    fault: int, close: bool, in_all: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.storage.journal.writer.RETRY_S", 0.01)
    for number in range(1, 400, 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        failed = in_child(Calls(folder, in_all=in_all), number, fault, close=close)
        recover(folder, interrupted, charges_of=charges)
        ended = SpentFiles(folder).ended()
        entries = booked(folder)
        for accounts in ended.values():
            sums = {account.key: account.spent for account in accounts}
            assert sums.get(ROW, 0) == 3 * entries
            assert sums.get(OTHER, 0) == 2 * entries
        if entries:
            assert len(ended) == 1
        if not failed:
            assert entries > CALLS_MADE - 2
            break


def test_an_older_loader_passes_over_what_it_does_not_know(tmp_path: Path) -> None:
    (spent,) = [
        found.frame
        for found in frames.scan(frames.spent_frames([Account(ROW, 5, True)], ["e1"]), 0)
    ]
    assert spent is not None
    assert spent.spent() == frames.Spent([Account(ROW, 5, True)], ["e1"])
    assert spent.kind == frames.KIND_SPENT
