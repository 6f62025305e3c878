"""In which order the journal writes, syncs, names and acknowledges: the promise of a power cut."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ledger_entries import held_call, settled_call
from loopback import run
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.ledger import Outcome
from tollkeeper.storage.journal.recovery import recover
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import SYNC_INTERVAL_S, JournalWriter


class Recorder:
    """Writes down every call that concerns a file, in order, while it is made for real.

    A power cut is a point in this list: what was synced before it is on the disk, anything
    else may be or not.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        for name in ("pwrite", "fdatasync", "fsync", "ftruncate", "rename"):
            patch.setattr(os, name, self._recording(name, getattr(os, name)))

    def say(self, what: str, where: str = "") -> None:
        with self._lock:
            self.events.append((what, where))

    def _recording(self, name: str, real: Any) -> Any:
        def call(first: Any, *more: Any) -> Any:
            file = first if name == "rename" else Path(f"/proc/self/fd/{first}").readlink()
            given = real(first, *more)
            self.say(name, Path(more[0] if name == "rename" else file).name)
            return given

        return call

    def names(self) -> list[str]:
        return [what for what, _ in self.events]

    def after(self, *wanted: tuple[str, str]) -> int:
        """Give the place behind some events, which must come in this order."""
        at = 0
        for event in wanted:
            assert event in self.events[at:], f"no {event} behind {self.events[:at]}"
            at = self.events.index(event, at) + 1
        return at


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    if not Path("/proc/self/fd").exists():
        pytest.skip("which file a descriptor names can be read on Linux only")
    return Recorder(monkeypatch)


def fail(error: OSError) -> None:
    raise AssertionError(error)


def journal(folder: Path, **options: Any) -> JournalWriter:
    return JournalWriter(folder, now_us=1, on_fatal=fail, **options)


def first_of(writer: JournalWriter, number: int = 1) -> str:
    return f"{writer.instance}.{number:08d}.journal"


async def one_call(writer: JournalWriter, recorder: Recorder) -> None:
    held = held_call()
    done = asyncio.Event()
    writer.hold(held, lambda error: (recorder.say("held"), done.set())[0])
    await done.wait()
    done.clear()
    writer.post(settled_call(held), lambda error: (recorder.say("posted"), done.set())[0])
    await done.wait()


def test_a_segment_has_its_bytes_before_its_name_and_is_durable_before_a_call(
    tmp_path: Path, recorder: Recorder
) -> None:
    async def work() -> None:
        writer = journal(tmp_path)
        name = first_of(writer)
        await one_call(writer, recorder)
        recorder.after(
            ("pwrite", f"{name}.new"), ("rename", name), ("fsync", tmp_path.name), ("held", "")
        )
        writer.close()

    run(work)


def test_by_group_a_call_waits_for_the_write_and_the_sync_follows_within_the_interval(
    tmp_path: Path, recorder: Recorder
) -> None:
    async def work() -> None:
        writer = journal(tmp_path)
        name = first_of(writer)
        await asyncio.sleep(2 * SYNC_INTERVAL_S)
        recorder.events.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() < began + 10 * SYNC_INTERVAL_S:
            await one_call(writer, recorder)
            await asyncio.sleep(SYNC_INTERVAL_S / 20)
        kinds = recorder.names()
        # Never an acknowledgement without its write, and one write for each of the two.
        for place, kind in enumerate(kinds):
            if kind in {"held", "posted"}:
                before = [each for each in kinds[:place] if each != "fdatasync"]
                assert before[-1] == "pwrite"
        assert kinds.count("pwrite") == kinds.count("held") + kinds.count("posted")
        # Many calls share a sync.
        assert 1 <= kinds.count("fdatasync") < kinds.count("held")
        assert {where for what, where in recorder.events if what == "fdatasync"} == {name}
        await asyncio.sleep(3 * SYNC_INTERVAL_S)
        assert recorder.names()[-1] == "fdatasync", "at rest everything is synced"
        writer.close()

    run(work)


def test_always_each_acknowledgement_comes_after_the_sync_of_its_write(
    tmp_path: Path, recorder: Recorder
) -> None:
    async def work() -> None:
        writer = journal(tmp_path, sync_always=True, segment_bytes=5_000)
        recorder.events.clear()
        for _ in range(24):
            await one_call(writer, recorder)
        writer.close()
        synced: set[str] = set()
        written = ""
        acknowledged = 0
        for what, where in recorder.events:
            if what == "pwrite" and not where.endswith(".new"):
                written = where
                synced.discard(written)
            elif what in {"fdatasync", "fsync"}:
                synced.add(where)
            elif what in {"held", "posted"}:
                assert written in synced, f"{what} before the sync of {written}"
                acknowledged += 1
        assert acknowledged == 48
        assert len(FolderTail(tmp_path).segments()) > 1, "also where segments turn over"

    run(work)


def test_a_full_segment_is_durable_before_anything_behind_it_is(
    tmp_path: Path, recorder: Recorder
) -> None:
    """Syncs are made in order, so a power cut never takes an earlier record and leaves a later."""

    async def work() -> None:
        writer = journal(tmp_path, segment_bytes=5_000)
        for _ in range(24):
            await one_call(writer, recorder)
        await asyncio.sleep(3 * SYNC_INTERVAL_S)
        first, second = first_of(writer), first_of(writer, 2)
        recorder.after(
            ("pwrite", f"{second}.new"),
            ("rename", second),
            ("ftruncate", first),
            ("fsync", first),
            ("fsync", tmp_path.name),
            ("fdatasync", first_of(writer, len(FolderTail(tmp_path).segments()))),
        )
        writer.close()

    run(work)


def test_recovery_is_durable_before_the_gateway_goes_on(tmp_path: Path, recorder: Recorder) -> None:
    held = held_call()

    async def die() -> None:
        writer = journal(tmp_path)
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
    dead = FolderTail(tmp_path).segments()[0].name
    closing = dead.replace(".00000001.", ".00000002.")

    def interrupted(call: Held) -> Settled:
        return settled_call(call)._replace(outcome=Outcome.INTERRUPTED)

    assert recover(tmp_path, interrupted).posted == 1
    end = recorder.after(
        ("pwrite", f"{closing}.new"),
        ("rename", closing),
        ("fsync", closing),
        ("fsync", tmp_path.name),
    )
    assert end == len(recorder.events)
