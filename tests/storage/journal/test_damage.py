"""Damaged segments: every intact call is read, every loss is counted, and nothing is made up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_entries import held_call, ledger_entry, settled_call
from ledgers import open_duckdb
from loopback import run
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import LedgerEntry, Outcome, entries_of
from tollkeeper.services.loading import PAUSE_MAX_S, Loader
from tollkeeper.storage.journal import frames
from tollkeeper.storage.journal.recovery import recover
from tollkeeper.storage.journal.segments import instance_name, list_segments
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter

NAME = "0000000000000001-1.00000001.journal"
OTHER_VERSION = b"TOLLKEEPER JOURNAL 2\n"
_COUNTED = frames.frame(frames.KIND_CARRIED, 0)
_END = frames.frame(frames.KIND_END, None)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Written(NamedTuple):
    """A whole segment, and the entries that are in it."""

    data: bytes
    entries: list[LedgerEntry]


class Read(NamedTuple):
    """What the loader got out of a folder."""

    entries: list[LedgerEntry]
    damaged: int


def segment(calls: int, *, ended: bool = True) -> Written:
    parts, entries = [frames.HEADER, _COUNTED], []
    for number in range(calls):
        held = held_call()
        settled = settled_call(held, cost_nanos=number)
        parts += [
            frames.frame(frames.KIND_HELD, held),
            frames.frame(frames.KIND_POSTED, settled),
        ]
        entries += entries_of(held, settled)
    refused = ledger_entry(outcome=Outcome.REFUSED)
    parts.append(frames.frame(frames.KIND_ENTRY, refused))
    return Written(b"".join([*parts, *([_END] if ended else [])]), [*entries, refused])


def interrupted(held: Held) -> Settled:
    return settled_call(held)._replace(outcome=Outcome.INTERRUPTED)


def read_all(folder: Path, batch: int = 2) -> Read:
    """Close what died, as a gateway's start does, then read as the loader does."""
    recover(folder, interrupted)
    clock = Clock()
    tail = FolderTail(folder, now_s=clock)
    entries: list[LedgerEntry] = []
    offsets: dict[str, int] = {}
    damaged = 0
    for _ in range(8):  # turns of the loader; damage is believed after a while
        for info in tail.segments():
            assert info.closed
            more = True
            while more:
                chunk = tail.read(info.name, offsets.get(info.name, 0), batch)
                entries += chunk.entries
                damaged += chunk.damaged
                offsets[info.name] = chunk.offset
                more = not chunk.at_end
        clock.now_s += 1.5
    return Read(entries, damaged)


def put(folder: Path, data: bytes) -> Path:
    """Make a folder whose only segment has these bytes."""
    for path in folder.iterdir():
        path.unlink()
    path = folder / NAME
    path.write_bytes(data)
    return path


def require_honest(read: Read, written: Written) -> None:
    """Nothing is made up, nothing comes twice, and what is missing is counted."""
    ids = [entry.entry_id for entry in read.entries]
    assert len(set(ids)) == len(ids)
    true = {entry.entry_id: entry for entry in written.entries}
    for entry in read.entries:
        assert entry == true[entry.entry_id] or entry.outcome == Outcome.INTERRUPTED


def test_a_damaged_byte_anywhere_is_counted_and_costs_one_call(tmp_path: Path) -> None:
    written = segment(2)
    for place in range(len(written.data)):
        broken = bytearray(written.data)
        broken[place] ^= (0x01, 0x80, 0xFF)[place % 3]
        path = put(tmp_path, bytes(broken))
        read = read_all(tmp_path)
        if frames.other_version(bytes(broken[: len(frames.HEADER)])):
            assert path.read_bytes() == broken, "of another version, it seems: left alone"
            continue
        require_honest(read, written)
        assert len(read.entries) >= len(written.entries) - 1, place
        assert read.damaged >= 1, f"the damage at {place} went unnoticed"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damage_is_survived_and_counted(tmp_path: Path, data: st.DataObject) -> None:
    written = segment(data.draw(st.integers(0, 12)), ended=data.draw(st.booleans()))
    broken = bytearray(written.data)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(len(frames.HEADER), len(broken) - 1))
        end = min(len(broken), start + data.draw(st.integers(1, 900)))
        kind = data.draw(st.sampled_from(["noise", "zeros", "marker"]))
        size = end - start
        if kind == "noise":
            broken[start:end] = data.draw(st.binary(min_size=size, max_size=size))
        elif kind == "zeros":
            broken[start:end] = bytes(size)
        else:
            broken[start:end] = (frames.MARKER * size)[:size]
    put(tmp_path, bytes(broken))
    read = read_all(tmp_path, data.draw(st.integers(1, 20)))
    require_honest(read, written)
    whole = {entry.entry_id for entry in read.entries if entry.outcome != Outcome.INTERRUPTED}
    missing = {entry.entry_id for entry in written.entries} - whole
    # Zeros up to the very end are an end that is too early: its open calls are accounted for.
    zeros_at_end = not broken[-frames.FRAME_BYTES_MIN :].strip(b"\0")
    assert not missing or read.damaged or zeros_at_end


@pytest.mark.parametrize("batch", [1, 100])
def test_a_hole_of_zeros_in_a_closed_segment_is_damage_and_not_the_end(
    tmp_path: Path, batch: int
) -> None:
    written = segment(6)
    place = written.data.index(written.entries[2].entry_id.encode())
    broken = written.data[:place] + bytes(300) + written.data[place + 300 :]
    put(tmp_path, broken)
    read = read_all(tmp_path, batch)
    require_honest(read, written)
    assert read.damaged
    assert written.entries[-1] in read.entries


def test_a_torn_end_costs_what_was_not_written_and_is_counted(tmp_path: Path) -> None:
    """What was held is accounted for, wherever a power cut tore its outcome."""
    written = segment(1, ended=False)
    refusal = len(frames.frame(frames.KIND_ENTRY, written.entries[-1]))
    first = len(frames.HEADER) + len(_COUNTED)
    held_end = first + frames.frame_at(memoryview(written.data), first).end - first  # type: ignore[union-attr]
    refusal_at = len(written.data) - refusal
    cuts = {*range(held_end, len(written.data), 7), refusal_at - 1, refusal_at, refusal_at + 1}
    for cut in sorted(cuts):
        put(tmp_path, written.data[:cut])
        read = read_all(tmp_path)
        posted = cut >= refusal_at
        (entry,) = read.entries
        assert entry.entry_id == written.entries[0].entry_id
        assert (entry.outcome == Outcome.INTERRUPTED) != posted
        at_a_boundary = cut in {held_end, refusal_at}
        assert read.damaged == (not at_a_boundary)


@pytest.mark.parametrize("length", range(len(frames.HEADER)))
def test_a_segment_that_ends_in_its_header_is_closed_and_removed(
    tmp_path: Path, length: int
) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    put(journal, frames.HEADER[:length])
    recover(journal, interrupted)
    ledger, clock = open_duckdb(tmp_path), Clock()
    loader = Loader(FolderTail(journal, now_s=clock), ledger)
    for _ in range(4):
        loader.advance(0, clock.now_s)
        clock.now_s += PAUSE_MAX_S
    assert list_segments(journal) == []
    assert loader.status.fault == ""
    ledger.close()


def test_a_segment_of_another_version_waits_for_that_version(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    theirs = OTHER_VERSION + segment(3).data[len(frames.HEADER) :]
    path = put(journal, theirs)
    assert recover(journal, interrupted).instances == 0
    ledger, clock = open_duckdb(tmp_path), Clock()
    loader = Loader(FolderTail(journal, now_s=clock), ledger)
    for _ in range(4):
        loader.advance(0, clock.now_s)
        clock.now_s += PAUSE_MAX_S
    assert (loader.status.loaded, loader.status.fault) == (0, "")
    assert path.read_bytes() == theirs
    assert caplog.messages.count("journal segment is of another version and waits for it") == 1
    ledger.close()


def test_a_record_that_nobody_can_read_stops_nothing(tmp_path: Path) -> None:
    written = segment(2)
    strange = frames.frame(frames.KIND_POSTED, {"of": "another kind"})
    put(tmp_path, frames.HEADER + _COUNTED + strange + written.data[len(frames.HEADER) :])
    read = read_all(tmp_path)
    assert (read.entries, read.damaged) == (written.entries, 1)


# ---------------------------------------------------------------------- power cuts


def crash(folder: Path, work: Callable[[JournalWriter], None], **options: int) -> None:
    """Let a child write, and die without an end."""
    child = os.fork()
    if child == 0:
        try:

            async def writing() -> None:
                writer = JournalWriter(folder, now_us=1, on_fatal=lambda _: None, **options)
                work(writer)
                await asyncio.sleep(0.02)
                os._exit(0)

            run(writing)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("left", ["nothing", "zeros", "half"])
def test_a_power_cut_that_takes_the_newest_segment_leaves_its_open_calls(
    tmp_path: Path, left: str
) -> None:
    """A new segment may have its name before its bytes; the one before it has the calls."""
    long_calls = [held_call() for _ in range(3)]

    def work(writer: JournalWriter) -> None:
        for held in long_calls:
            writer.hold(held, lambda error: None)
        for _ in range(40):
            held = held_call()
            writer.hold(held, lambda error: None)
            writer.post(settled_call(held), None)

    crash(tmp_path, work, segment_bytes=15_000)
    last = list_segments(tmp_path)[-1]
    assert last.number >= 2
    path = tmp_path / last.file
    begin = path.read_bytes()[:600]
    path.write_bytes({"nothing": b"", "zeros": bytes(9_000), "half": begin}[left])
    recovered = recover(tmp_path, interrupted)
    assert recovered.posted == 3
    entries = {entry.entry_id: entry for entry in read_all(tmp_path).entries}
    for held in long_calls:
        assert entries[held.entry_id].outcome == Outcome.INTERRUPTED


# ---------------------------------------------------------------------- clocks


def test_a_clock_that_steps_back_onto_an_earlier_start_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / f"{instance_name(50, os.getpid())}.00000001.journal").write_bytes(segment(1).data)

    async def work() -> None:
        for now_us in (50, 50, 49):
            writer = JournalWriter(tmp_path, now_us=now_us, on_fatal=lambda _: None)
            held = held_call()
            writer.hold(held, lambda error: None)
            writer.post(settled_call(held), None)
            await asyncio.sleep(0.01)
            writer.close()

    run(work)
    assert len(list_segments(tmp_path)) == 4
    assert len(read_all(tmp_path).entries) == 5


@given(st.lists(st.integers(0, 1 << 42), max_size=200))
def test_ids_are_unique_and_in_order_whatever_the_clock_does(moments_ms: list[int]) -> None:
    mint = IdMint()
    ids = [mint.next(moment) for moment in moments_ms]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
