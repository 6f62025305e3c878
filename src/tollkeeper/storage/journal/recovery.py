"""After a crash: what was in flight when a gateway died is found and accounted for.

For each dead instance one closing segment is added, in one atomic step, that resolves
every call the instance had left open. Doing it twice, or dying in the middle, changes
nothing: a segment is there whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tollkeeper.domain.calls import Held, Settled
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.storage.journal import frames, segments, spent_files
from tollkeeper.storage.journal.spent_files import ChargesOf, Tally
from tollkeeper.telemetry import logger


class Recovered(NamedTuple):
    """How many dead instances were closed, and what became of their open calls."""

    instances: int
    posted: int
    voided: int


def recover(
    folder: Path,
    outcome_of: Callable[[Held], Settled],
    failpoint: FailPoint | None = None,
    charges_of: ChargesOf | None = None,
) -> Recovered:
    """Close the instances of gateways that died.

    ``outcome_of`` gives the outcome of a call that had been sent and never resolved. A
    call that was held but not sent is voided: the provider never heard of it.
    ``charges_of`` says what calls were charged to budgets, None where there are none: what an
    instance spent of them is kept (``spent_files``) before it is closed.
    """
    instances = posted = voided = 0
    passed = failpoint or nowhere
    names = segments.list_segments(folder)
    _remove_leftovers(folder, passed)
    for instance in sorted({name.instance for name in names}):
        lock = segments.InstanceLock.take(folder, instance)
        if lock is None:
            continue  # that gateway lives
        try:
            own = [name for name in names if name.instance == instance]
            if _is_foreign(folder / own[-1].file):
                continue  # of another Tollkeeper, which knows how to read it
            tally = None if charges_of is None else Tally(charges_of)
            open_calls = _open_calls(folder, own, tally)
            if open_calls is None:
                _cut_to_content(folder, own[-1], passed)
                continue
            resolved = [_resolution(held, outcome_of, tally) for held in open_calls]
            if tally is not None:
                spent_files.write(folder, instance, tally.accounts(), passed)
            closing = segments.SegmentName(instance, own[-1].number + 1)
            _add_closing_segment(folder, closing, resolved, passed)
            instances += 1
            posted += sum(1 for held in open_calls if held.sent)
            voided += sum(1 for held in open_calls if not held.sent)
        finally:
            lock.release()
    if instances:
        logger.warning(
            "recovered after a crash",
            extra={"instances": instances, "posted": posted, "voided": voided},
        )
    return Recovered(instances, posted, voided)


def _open_calls(
    folder: Path, names: Sequence[segments.SegmentName], tally: Tally | None
) -> list[Held] | None:
    """Give the unresolved calls of an instance; None if it ended well. All others are tallied.

    The last segment is enough where it starts with all calls that were open before it. A
    power cut may have taken its beginning; then the segment before it still has them.
    """
    contents: list[bytes] = []
    for name in reversed(names):
        data = (folder / name.file).read_bytes()
        contents.append(data)
        if _starts_whole(data):
            break
    open_calls: dict[str, Held] = {}
    ended = False
    for data in reversed(contents):
        for step in frames.scan(data, len(frames.HEADER)):
            if step.frame is not None:
                ended = step.frame.kind == frames.KIND_END
                with suppress(msgspec.DecodeError):  # the loader counts what nobody can read
                    _follow(step.frame, open_calls, tally)
    return None if ended else list(open_calls.values())


def _is_foreign(path: Path) -> bool:
    with path.open("rb") as file:
        return frames.other_version(file.read(len(frames.HEADER)))


def _cut_to_content(folder: Path, name: segments.SegmentName, failpoint: FailPoint) -> None:
    """Finish a segment whose instance had written its last record, and died then.

    The loader knows an end only as the last record of a file.
    """
    path = folder / name.file
    data = path.read_bytes()
    end = max(step.end for step in frames.scan(data, len(frames.HEADER)))
    if end < len(data):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        segments.finish(folder, fd, end, failpoint)


def _starts_whole(data: bytes) -> bool:
    """Tell whether a segment starts with everything that was carried over into it."""
    for carried, step in enumerate(frames.scan(data, len(frames.HEADER))):
        if step.frame is None or step.frame.kind not in {frames.KIND_HELD, frames.KIND_CARRIED}:
            return False
        if step.frame.kind == frames.KIND_CARRIED:
            return step.frame.number() == carried and data.startswith(frames.HEADER)
    return False


def _follow(found: frames.Frame, open_calls: dict[str, Held], tally: Tally | None) -> None:
    """Let one record change what is open."""
    if found.kind == frames.KIND_HELD:
        held = found.held()
        open_calls[held.entry_id] = held
    elif found.kind == frames.KIND_SENT:
        entry_id = found.entry_id()
        if entry_id in open_calls:
            open_calls[entry_id] = open_calls[entry_id]._replace(sent=True)
    elif found.kind == frames.KIND_POSTED:
        settled = found.settled()
        held_before = open_calls.pop(settled.entry_id, None)
        if tally is not None and held_before is not None:
            tally.add(held_before, settled)
    elif found.kind == frames.KIND_SPENT:
        if tally is not None:
            tally.take(found.spent())
    elif found.kind == frames.KIND_VOIDED:
        open_calls.pop(found.entry_id(), None)


def _resolution(held: Held, outcome_of: Callable[[Held], Settled], tally: Tally | None) -> bytes:
    if not held.sent:
        return frames.frame(frames.KIND_VOIDED, held.entry_id)
    # The closing segment stands alone, so it repeats what was held.
    held_frame = frames.frame(frames.KIND_HELD, held)
    settled = outcome_of(held)
    if tally is not None:
        tally.add(held, settled)
    return held_frame + frames.frame(frames.KIND_POSTED, settled)


def _add_closing_segment(
    folder: Path,
    name: segments.SegmentName,
    resolved: Sequence[bytes],
    failpoint: FailPoint,
) -> None:
    begin, end = frames.frame(frames.KIND_CARRIED, 0), frames.frame(frames.KIND_END, None)
    content = b"".join([begin, *resolved, end])
    failpoint("recovery.before")
    fd = segments.create(folder, name, content, 0, failpoint)
    failpoint("recovery.written")
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    failpoint("recovery.synced")
    segments.sync_folder(folder)
    failpoint("recovery.after")


def _remove_leftovers(folder: Path, failpoint: FailPoint) -> None:
    """Remove what a process left half-made; a living process keeps its own."""
    for path in folder.iterdir():
        instance, _, rest = path.name.partition(".")
        if not rest.endswith((".new", "probe", segments.LOCK_SUFFIX.strip("."))):
            continue
        lock = segments.InstanceLock.take(folder, instance)
        if lock is not None:
            failpoint("recovery.leftover.before")
            path.unlink(missing_ok=True)
            failpoint("recovery.leftover.after")
            lock.release()
