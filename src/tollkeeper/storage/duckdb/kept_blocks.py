"""Blocks of a DuckDB file that a checkpoint writes over, kept until it is done.

DuckDB writes what is new into blocks that nothing refers to, and then a header that refers to
them: a process may die at any moment. But the blocks with its own bookkeeping are written over
where they are, and one that was written in part fits no header (seen with DuckDB 2.0 after one
of some two thousand kills). So they are copied before a checkpoint begins, together with
the headers. Who opens the file next, and finds the headers as they were, puts the copies back:
the checkpoint did not end, all that it was to move is still in the write-ahead log.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

SUFFIX: Final = ".kept"
_MAGIC: Final = b"TKKEPT01"
_COUNTS: Final = struct.Struct("<QQ")  # bytes of a block, how many blocks
_CHECKSUM: Final = struct.Struct("<I")
_HEADERS_BYTES: Final = 12_288
"""The file's own header, with a number that no other file has, and two that take turns."""


class Kept(NamedTuple):
    """The headers, and blocks by where they begin in the file."""

    headers: bytes
    blocks: dict[int, bytes]


class BlockGuard:
    """Holds the database's file open beside DuckDB.

    A lock on a file goes when *any* descriptor of it is closed in a process, DuckDB's lock too: so
    this one is opened first and closed last. Raises OSError where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = path.with_name(f"{path.name}{SUFFIX}")
        self._file = os.open(path, os.O_RDWR) if path.exists() else -1

    def begin(self) -> None:
        """Open a file that was not there before. Called as soon as DuckDB has made it."""
        if self._file < 0 and self._path.exists():
            self._file = os.open(self._path, os.O_RDWR)

    def give_back(self) -> bool:
        """Put blocks back that a checkpoint which did not end may have written in part.

        Not where another process has the file: it may be in the middle of one. Says whether
        there was something to put back.
        """
        if self._file < 0 or not self._kept.exists():
            return False
        with suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            kept = _read(self._kept)
            if kept is None or kept.headers != self._headers():
                return False
            torn = {
                place: block
                for place, block in kept.blocks.items()
                if os.pread(self._file, len(block), place) != block
            }
            for place, block in torn.items():
                os.pwrite(self._file, block, place)
            os.fdatasync(self._file)
            return bool(torn)
        return False

    def keep(self, numbers: Sequence[int], block_bytes: int) -> None:
        """Copy some blocks and the headers, and do not return before both are on the disk."""
        if self._file < 0:
            return  # in memory
        blocks = {}
        for number in numbers:
            place = _HEADERS_BYTES + number * block_bytes
            block = os.pread(self._file, block_bytes, place)
            if len(block) == block_bytes:  # it is no new one, which is not in the file yet
                blocks[place] = block
        written = _written(Kept(self._headers(), blocks), block_bytes)
        beside = self._kept.with_name(f"{self._kept.name}.new")
        with beside.open("wb") as file:
            file.write(written)
            file.flush()
            os.fdatasync(file.fileno())
        beside.replace(self._kept)
        _sync_folder(self._kept.parent)

    def close(self) -> None:
        """Let go of the file, after DuckDB has."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def forget(self) -> None:
        """Remove what was kept, after a checkpoint that ended."""
        with suppress(OSError):  # it does no harm
            self._kept.unlink(missing_ok=True)

    def _headers(self) -> bytes:
        return os.pread(self._file, _HEADERS_BYTES, 0)


def _written(kept: Kept, block_bytes: int) -> bytes:
    parts = [_MAGIC, _COUNTS.pack(block_bytes, len(kept.blocks)), kept.headers]
    for place, block in kept.blocks.items():
        parts += [struct.pack("<Q", place), block]
    body = b"".join(parts)
    return body + _CHECKSUM.pack(zlib.crc32(body))


def _read(path: Path) -> Kept | None:
    """Read what was kept; None for anything but a whole file of ours."""
    data = path.read_bytes()
    body, checksum = data[: -_CHECKSUM.size], data[-_CHECKSUM.size :]
    if not body.startswith(_MAGIC) or checksum != _CHECKSUM.pack(zlib.crc32(body)):
        return None
    block_bytes, count = _COUNTS.unpack_from(body, len(_MAGIC))
    begin = len(_MAGIC) + _COUNTS.size
    headers = body[begin : begin + _HEADERS_BYTES]
    begin += _HEADERS_BYTES
    blocks = {}
    for _ in range(count):
        (place,) = struct.unpack_from("<Q", body, begin)
        blocks[place] = body[begin + 8 : begin + 8 + block_bytes]
        begin += 8 + block_bytes
    return Kept(headers, blocks)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
