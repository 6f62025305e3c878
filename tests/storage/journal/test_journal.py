"""The journal as a whole: what was acknowledged is read back, whatever happens to the disk."""

from __future__ import annotations

import asyncio
import os
import resource
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger_entries import held_call, ledger_entry, settled_call
from loopback import run
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.ledger import LedgerEntry, Outcome, entries_of
from tollkeeper.storage.journal.recovery import recover
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter


def fail(error: OSError) -> None:
    raise AssertionError(error)


@asynccontextmanager
async def journal(folder: Path, **options: Any) -> AsyncIterator[JournalWriter]:
    options.setdefault("on_fatal", fail)
    writer = JournalWriter(folder, now_us=options.pop("now_us", 1), **options)
    yield writer
    writer.close()


async def call(writer: JournalWriter, held: Held) -> OSError | None:
    """Hold a call and wait for its record to be written."""
    written: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
    writer.hold(held, written.set_result)
    return await written


async def end(writer: JournalWriter, held: Held, **changes: Any) -> LedgerEntry:
    """Post a call's outcome, wait for it to be written, and give the entry to expect."""
    settled = settled_call(held, **changes)
    written: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
    writer.post(settled, written.set_result)
    assert await written is None
    (entry,) = entries_of(held, settled)
    return entry


def load(folder: Path, batch: int = 3) -> list[LedgerEntry]:
    """Read everything that the loader would."""
    tail = FolderTail(folder)
    entries: list[LedgerEntry] = []
    for segment in tail.segments():
        offset = 0
        while True:
            chunk = tail.read(segment.name, offset, batch)
            entries += chunk.entries
            offset = chunk.offset
            assert chunk.damaged == 0
            if chunk.at_end:
                break
    return entries


def test_posted_calls_are_read_while_the_gateway_lives(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path) as writer:
            entries = []
            for _ in range(10):
                held = held_call()
                assert await call(writer, held) is None
                entries.append(await end(writer, held))
            assert load(tmp_path) == entries
            assert [segment.closed for segment in FolderTail(tmp_path).segments()] == [False]
        assert load(tmp_path) == entries
        assert [segment.closed for segment in FolderTail(tmp_path).segments()] == [True]

    run(work)


def test_many_calls_of_one_turn_share_one_write(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path) as writer:
            writes = 0
            pwrite = os.pwrite

            def counting(*args: Any) -> int:
                nonlocal writes
                writes += 1
                return pwrite(*args)

            os.pwrite = counting  # type: ignore[assignment]
            try:
                await asyncio.gather(*(call(writer, held_call()) for _ in range(100)))
            finally:
                os.pwrite = pwrite
            assert writes == 1
            assert writer.open_calls == 100

    run(work)


def test_open_calls_are_carried_into_new_segments(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path, segment_bytes=20_000) as writer:
            long_calls = [held_call(sent=False) for _ in range(3)]
            for held in long_calls:
                await call(writer, held)
            writer.sent(long_calls[0], lambda error: None)
            entries: list[LedgerEntry] = []
            for _ in range(100):
                held = held_call()
                await call(writer, held)
                entries.append(await end(writer, held))
            segments = FolderTail(tmp_path).segments()
            assert len(segments) > 3
            assert [segment.closed for segment in segments] == [True] * (len(segments) - 1) + [
                False
            ]
            entries += [await end(writer, held) for held in long_calls]
            assert load(tmp_path) == entries

    run(work)


def crash(folder: Path, work: Callable[[JournalWriter], Any], **options: Any) -> None:
    """Run some work on a journal in a child process that then dies without closing it."""
    child = os.fork()
    if child == 0:
        try:

            async def doing() -> None:
                writer = JournalWriter(folder, now_us=1, on_fatal=fail, **options)
                await work(writer)
                os._exit(0)

            run(doing)
        except BaseException:  # noqa: BLE001 - shown, and then the child ends
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def interrupted(held: Held) -> Settled:
    return settled_call(held)._replace(outcome=Outcome.INTERRUPTED)


@pytest.mark.parametrize("segment_bytes", [8_000, 1 << 20])
def test_what_was_in_flight_at_a_crash_is_accounted_for(tmp_path: Path, segment_bytes: int) -> None:
    calls = [held_call(sent=index % 3 != 0) for index in range(30)]

    async def work(writer: JournalWriter) -> None:
        for held in calls:
            await call(writer, held)
        writer.sent(calls[0], lambda error: None)
        for held in calls[10:20]:
            await end(writer, held)
        writer.void(calls[20].entry_id)
        await asyncio.sleep(0.01)

    crash(tmp_path, work, segment_bytes=segment_bytes)
    recovered = recover(tmp_path, interrupted)
    open_calls = [*calls[:10], *calls[21:]]
    sent = [held.entry_id for held in open_calls if held.sent or held is calls[0]]
    assert recovered.instances == 1
    assert recovered.posted == len(sent)
    assert recovered.voided == len(open_calls) - len(sent)
    entries = load(tmp_path)
    assert sorted(entry.entry_id for entry in entries) == sorted(
        [held.entry_id for held in calls[10:20]] + sent
    )
    assert all(segment.closed for segment in FolderTail(tmp_path).segments())
    assert recover(tmp_path, interrupted).instances == 0, "doing it again changes nothing"


def test_a_loader_that_starts_again_in_the_middle_knows_the_open_calls(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path) as writer:
            calls = [held_call() for _ in range(5)]
            for held in calls:
                await call(writer, held)
            first = await end(writer, calls[0])
            chunk = FolderTail(tmp_path).read(FolderTail(tmp_path).segments()[0].name, 0, 10)
            assert chunk.entries == [first]
            rest = [await end(writer, held) for held in calls[1:]]
            again = FolderTail(tmp_path)
            assert again.read(again.segments()[0].name, chunk.offset, 10).entries == rest

    run(work)


def test_refusals_are_noted_without_being_held(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path) as writer:
            entry = ledger_entry(outcome=Outcome.REFUSED)
            writer.note(entry)
            await asyncio.sleep(0.01)
            assert load(tmp_path) == [entry]

    run(work)


def test_recovery_leaves_a_living_gateway_alone(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path) as writer:
            held = held_call()
            await call(writer, held)
            assert recover(tmp_path, interrupted).instances == 0
            entry = await end(writer, held)
            assert load(tmp_path) == [entry]

    run(work)


def test_damage_in_a_living_segment_is_skipped_only_after_a_while(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path) as writer:
            entries = []
            for _ in range(3):
                held = held_call()
                await call(writer, held)
                entries.append(await end(writer, held))
            name = FolderTail(tmp_path).segments()[0].name
            path = tmp_path / name
            data = path.read_bytes()
            place = data.index(entries[1].entry_id.encode()) + 3
            with path.open("r+b") as file:
                file.seek(place)
                file.write(b"\xff")
            now = [0.0]
            tail = FolderTail(tmp_path, now_s=lambda: now[0])
            chunk = tail.read(name, 0, 100)
            assert (chunk.entries, chunk.damaged) == (entries[:1], 0)
            assert tail.read(name, chunk.offset, 100).at_end
            now[0] = 0.5
            assert tail.read(name, chunk.offset, 100).entries == []
            now[0] = 1.5
            chunk = tail.read(name, chunk.offset, 100)
            assert chunk.damaged >= 1
            assert chunk.entries[-1:] == entries[2:]

    run(work)


# ------------------------------------------------------------------------------ full disks


def limited_files(size_bytes: int) -> None:
    """Make every file of this process end at a size, as a full disk does."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def test_when_the_disk_is_full_calls_are_refused_and_outcomes_are_kept(tmp_path: Path) -> None:
    async def work(writer: JournalWriter) -> None:
        limited_files(20_000)  # the first segment fits, a larger or second one does not
        accepted: list[Held] = []
        refused = 0
        for _ in range(60):
            held = held_call()
            if await call(writer, held) is None:
                accepted.append(held)
            else:
                refused += 1
        assert accepted
        assert refused
        assert writer.refused == refused
        for held in accepted:  # each outcome larger than the room that was kept for it
            await end(writer, held, usage_raw='{"x":"' + "y" * 3_000 + '"}')
        again = held_call()
        while await call(writer, again) is None:  # what the outcomes left free
            accepted.append(again)
            again = held_call()
        for held in accepted[-writer.open_calls :]:
            await end(writer, held)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert await call(writer, again) is None, "as soon as there is room, calls go on"
        await end(writer, again)
        (tmp_path / "accepted").write_text("\n".join(held.entry_id for held in [*accepted, again]))
        writer.close()

    def doubled(folder: Path, name: Any, content: bytes, size_bytes: int, *more: Any) -> int:
        return create(folder, name, content, 40_000 if name.number > 1 else size_bytes, *more)

    from tollkeeper.storage.journal import segments

    create = segments.create
    segments.create = doubled
    try:
        crash(tmp_path, work, segment_bytes=16_000)
    finally:
        segments.create = create
    expected = (tmp_path / "accepted").read_text().split()
    assert [entry.entry_id for entry in load(tmp_path)] == expected


@pytest.mark.parametrize("failing", range(1, 8))
def test_a_failed_write_refuses_the_call_and_keeps_the_outcome(
    tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th write fails, for every n: nothing acknowledged is lost, nothing is doubled."""
    monkeypatch.setattr("tollkeeper.storage.journal.writer.RETRY_S", 0.01)

    async def work() -> None:
        async with journal(tmp_path) as writer:
            count = 0
            pwrite = os.pwrite

            def faulty(fd: int, data: Any, offset: int) -> int:
                nonlocal count
                count += 1
                if count == failing:
                    pwrite(fd, bytes(data)[: len(data) // 2], offset)  # torn, as disks do
                    raise OSError(28, "No space left on device")
                return pwrite(fd, data, offset)

            monkeypatch.setattr(os, "pwrite", faulty)
            entries = []
            for _ in range(4):
                held = held_call()
                if await call(writer, held) is None:
                    entries.append(await end(writer, held))
                else:
                    await asyncio.sleep(0.05)
            monkeypatch.setattr(os, "pwrite", pwrite)
            assert len(entries) >= 3
            assert writer.open_calls == 0
            assert load(tmp_path) == entries

    run(work)


def test_a_failed_sync_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        fatal: list[OSError] = []
        async with journal(tmp_path, on_fatal=fatal.append) as writer:

            def broken(fd: int) -> None:
                raise OSError(5, "Input/output error")

            monkeypatch.setattr(os, "fdatasync", broken)
            await call(writer, held_call())
            await asyncio.sleep(0.2)
            monkeypatch.undo()
        assert fatal
        assert fatal[0].errno == 5

    run(work)


def test_sync_always_answers_only_after_the_disk_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        synced = 0
        fdatasync = os.fdatasync

        def counting(fd: int) -> None:
            nonlocal synced
            fdatasync(fd)
            synced += 1

        monkeypatch.setattr(os, "fdatasync", counting)
        async with journal(tmp_path, sync_always=True) as writer:
            for index in range(5):
                await call(writer, held_call())
                assert synced > index

    run(work)


def test_an_unwritable_folder_says_so(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(FileNotFoundError):
            JournalWriter(tmp_path / "missing", now_us=1, on_fatal=fail)

    run(work)


def test_the_probe_proves_that_writing_works(tmp_path: Path) -> None:
    async def work() -> None:
        async with journal(tmp_path) as writer:
            writer.probe()
            assert not list(tmp_path.glob("*.probe"))

    run(work)
