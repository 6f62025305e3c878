"""Journal files on disk: names, allocation, and the lock that tells the living from the dead."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Final, NamedTuple

from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.storage.journal import frames

SUFFIX: Final = ".journal"
LOCK_SUFFIX: Final = ".lock"
_ZEROS: Final = bytes(1 << 16)


class SegmentName(NamedTuple):
    """``instance`` names one run of a gateway process and sorts by its start."""

    instance: str
    number: int

    @property
    def file(self) -> str:
        return f"{self.instance}.{self.number:08d}{SUFFIX}"


def parse_name(file_name: str) -> SegmentName | None:
    """Read a segment's file name; None for anything else that lies in the folder."""
    stem, dot, number = file_name.removesuffix(SUFFIX).rpartition(".")
    if not file_name.endswith(SUFFIX) or not dot or not number.isdigit():
        return None
    return SegmentName(stem, int(number))


def instance_name(now_us: int, pid: int) -> str:
    """Name a new run: sortable by time, unique on one machine."""
    return f"{now_us:016d}-{pid}"


def unused_instance(folder: Path, now_us: int) -> str:
    """Name this run as none before it, also when the clock stepped back to a moment of one."""
    pid = os.getpid()
    used = {name.instance for name in list_segments(folder)}
    while instance_name(now_us, pid) in used:
        now_us += 1
    return instance_name(now_us, pid)


def list_segments(folder: Path) -> list[SegmentName]:
    """List the segments of all instances, oldest first."""
    names = (parse_name(path.name) for path in folder.iterdir())
    return sorted(name for name in names if name is not None)


def allocate(fd: int, size_bytes: int) -> None:
    """Reserve the space of a segment, so that a full disk is noticed before a call starts.

    Raises OSError (ENOSPC) when the disk cannot hold it.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size_bytes)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                raise
        else:
            return
    for start in range(0, size_bytes, len(_ZEROS)):  # macOS, and file systems without it
        os.pwrite(fd, _ZEROS[: size_bytes - start], start)


def create(
    folder: Path,
    name: SegmentName,
    content: bytes,
    size_bytes: int,
    failpoint: FailPoint = nowhere,
) -> int:
    """Make a segment that starts with ``content`` and give its file descriptor.

    The file appears under its name only when the content is in it, so that nobody ever
    sees a segment without its carried-over records.
    """
    temporary = folder / f"{name.file}.new"
    failpoint("journal.create.before")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        head = frames.HEADER + content
        allocate(fd, max(size_bytes, len(head)))
        failpoint("journal.create.allocated")
        write_at(fd, head, 0)
        failpoint("journal.create.written")
        temporary.rename(folder / name.file)
    except OSError:
        os.close(fd)
        temporary.unlink(missing_ok=True)
        raise
    failpoint("journal.create.after")
    return fd


def finish(folder: Path, fd: int, end: int, failpoint: FailPoint = nowhere) -> None:
    """Cut a full segment to its content, make it and its name durable, and close it."""
    try:
        failpoint("journal.finish.before")
        os.ftruncate(fd, end)
        failpoint("journal.finish.cut")
        os.fsync(fd)
        failpoint("journal.finish.synced")
        sync_folder(folder)
        failpoint("journal.finish.after")
    finally:
        os.close(fd)


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all of ``data`` at an offset; a partial write goes on where it stopped."""
    written = os.pwrite(fd, data, offset)
    while written < len(data):
        written += os.pwrite(fd, memoryview(data)[written:], offset + written)


def sync(fd: int, failpoint: FailPoint) -> None:
    """Make what was written durable."""
    failpoint("journal.sync.before")
    os.fdatasync(fd)
    failpoint("journal.sync.after")


def probe(folder: Path, instance: str) -> None:
    """Prove that files can be made, read and removed. Raises OSError when they cannot."""
    path = folder / f"{instance}.probe"
    path.write_text(instance, "ascii")
    if path.read_text("ascii") != instance:
        raise OSError("the journal folder gave back other bytes than were written")
    path.unlink()


def sync_folder(folder: Path) -> None:
    """Make created and renamed names durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class InstanceLock:
    """Held by a gateway process for as long as it lives; the kernel lets go when it dies."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def take(cls, folder: Path, instance: str) -> InstanceLock | None:
        """Take the lock of an instance; None while that process lives."""
        path = folder / f"{instance}{LOCK_SUFFIX}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return cls(path, fd)

    def release(self) -> None:
        """Let go and remove the lock file."""
        self._path.unlink(missing_ok=True)
        os.close(self._fd)
