"""What happens within one turn of the loop: callbacks that write, and writes that tear."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ledger_entries import held_call, settled_call
from loopback import run
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter


def fail(error: OSError) -> None:
    raise AssertionError(error)


class Reader:
    """Reads on as the loader does, from where it stopped."""

    def __init__(self, folder: Path) -> None:
        self.entries: list[LedgerEntry] = []
        self.damaged = 0
        self._tail = FolderTail(folder)
        self._offsets: dict[str, int] = {}

    def read_on(self) -> list[str]:
        """Read what is there now; give the ids of all entries so far."""
        for info in self._tail.segments():
            chunk = self._tail.read(info.name, self._offsets.get(info.name, 0), 1_000)
            self._offsets[info.name] = chunk.offset
            self.entries += chunk.entries
            self.damaged += chunk.damaged
        return [entry.entry_id for entry in self.entries]


def test_an_outcome_that_is_posted_while_a_segment_turns_over_keeps_its_call(
    tmp_path: Path,
) -> None:
    """The hold is in the full segment, so the outcome must be, too, or the call in the next."""

    async def work() -> None:
        writer = JournalWriter(tmp_path, now_us=1, on_fatal=fail, segment_bytes=20_000)
        calls = [held_call() for _ in range(60)]
        for held in calls:  # in one turn, so that turning over is what writes them
            writer.hold(held, lambda error, held=held: writer.post(settled_call(held), None))  # type: ignore[misc]
        await asyncio.sleep(0.05)
        assert writer.open_calls == 0
        writer.close()
        assert len(FolderTail(tmp_path).segments()) > 1
        reader = Reader(tmp_path)
        assert sorted(reader.read_on()) == [held.entry_id for held in calls]
        assert reader.damaged == 0

    run(work)


def test_a_reader_that_saw_a_torn_write_is_not_misled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The torn part holds whole records of a call that is refused because of it."""
    monkeypatch.setattr("tollkeeper.storage.journal.writer.RETRY_S", 0.05)
    pwrite = os.pwrite

    async def work() -> None:
        writer = JournalWriter(tmp_path, now_us=1, on_fatal=fail)
        going, later = held_call(), held_call()
        writer.hold(going, lambda error: None)
        await asyncio.sleep(0.01)
        refused = held_call()
        told: list[OSError | None] = []

        def torn(fd: int, data: Any, offset: int) -> int:
            monkeypatch.setattr(os, "pwrite", pwrite)
            pwrite(fd, bytes(data)[:-20], offset)
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "pwrite", torn)
        writer.hold(refused, told.append)
        writer.post(settled_call(going), None)
        another = held_call()
        writer.hold(another, told.append)
        reader = Reader(tmp_path)
        await asyncio.sleep(0.01)
        assert [error.errno for error in told if error] == [errno.ENOSPC, errno.ENOSPC]
        assert reader.read_on() == [going.entry_id], "it was there before it was acknowledged"
        await asyncio.sleep(0.1)
        assert writer.open_calls == 0
        writer.hold(later, fail_on)
        writer.post(settled_call(later), None)
        await asyncio.sleep(0.02)
        assert reader.read_on() == [going.entry_id, later.entry_id]
        writer.close()
        assert Reader(tmp_path).read_on() == [going.entry_id, later.entry_id]
        assert reader.damaged == 0

    def fail_on(error: OSError | None) -> None:
        assert error is None

    run(work)


def test_after_a_failed_sync_nothing_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        fatal: list[OSError] = []
        stopped = asyncio.Event()

        def on_fatal(error: OSError) -> None:
            fatal.append(error)
            stopped.set()

        writer = JournalWriter(tmp_path, now_us=1, on_fatal=on_fatal)
        first = held_call()
        told: list[OSError | None] = []

        def broken(fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fdatasync", broken)
        writer.hold(first, told.append)
        await stopped.wait()
        monkeypatch.undo()
        posted: list[OSError | None] = []
        writer.post(settled_call(first), posted.append)
        writer.hold(held_call(), told.append)
        await asyncio.sleep(0.2)
        assert posted == []
        assert [error and error.errno for error in told] == [None, errno.EIO]
        assert len(fatal) == 1
        writer.close()

    run(work)
