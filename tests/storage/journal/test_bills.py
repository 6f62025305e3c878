"""Bills of jobs in the journal: written with what they are for, or refused as a whole."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from failing_calls import failing
from ledger_entries import held_call, ledger_entry, settled_call
from loopback import run
from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.jobs import JobMark, Role
from tollkeeper.ports import SegmentChunk
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter


def fail(error: OSError) -> None:
    raise AssertionError(error)


def billed(number: int) -> Billed:
    name = f"job-a.{number}"
    entries = [ledger_entry(entry_id=name), ledger_entry(entry_id=f"{name}.1", part=2)]
    return Billed(JobMark("job-a", Role.LINE, name), entries)


def all_chunks(folder: Path) -> list[SegmentChunk]:
    tail = FolderTail(folder)
    return [tail.read(info.name, 0, 1_000) for info in tail.segments()]


def test_bills_are_read_back_with_their_marks_and_before_what_follows(tmp_path: Path) -> None:
    bills, held = [billed(number) for number in range(5)], held_call()
    seen = settled_call(held)._replace(job=JobMark("job-a", Role.SEEN, ended=True))
    told: list[OSError | None] = []

    async def work() -> None:
        writer = JournalWriter(tmp_path, now_us=1, on_fatal=fail)
        writer.hold(held, told.append)
        writer.bill(bills, told.append)
        writer.post(seen, told.append)
        await asyncio.sleep(0.02)
        writer.close()

    run(work)
    assert told == [None, None, None]
    (chunk,) = all_chunks(tmp_path)
    expected = [entry for bill in bills for entry in bill.entries]
    assert chunk.entries[: len(expected)] == expected
    assert chunk.entries[len(expected)].entry_id == held.entry_id
    for bill in bills:
        assert {chunk.marks[entry.entry_id] for entry in bill.entries} == {bill.mark}
    assert chunk.marks[held.entry_id] == seen.job
    assert chunk.damaged == 0


def test_bills_turn_a_full_segment_over(tmp_path: Path) -> None:
    async def work() -> None:
        writer = JournalWriter(tmp_path, now_us=1, on_fatal=fail, segment_bytes=7_000)
        for number in range(40):
            writer.bill([billed(number)], lambda error: fail(error) if error else None)
        await asyncio.sleep(0.02)
        writer.close()

    run(work)
    chunks = all_chunks(tmp_path)
    assert len(chunks) > 1
    assert sum(len(chunk.entries) for chunk in chunks) == 80
    assert sum(chunk.damaged for chunk in chunks) == 0


def test_where_there_is_no_room_nothing_is_written_and_it_is_told_at_once(tmp_path: Path) -> None:
    told: list[OSError | None] = []

    async def work() -> None:
        writer = JournalWriter(tmp_path, now_us=1, on_fatal=fail, segment_bytes=7_000)
        with failing(("posix_fallocate",), 1, errno.ENOSPC) as fault:
            writer.bill([billed(number) for number in range(40)], told.append)
            assert fault.failed
        assert [error and error.errno for error in told] == [errno.ENOSPC]
        writer.bill([billed(99)], told.append)
        await asyncio.sleep(0.02)
        writer.close()

    run(work)
    assert told[1:] == [None]
    names = [entry.entry_id for chunk in all_chunks(tmp_path) for entry in chunk.entries]
    assert names == ["job-a.99", "job-a.99.1"]
