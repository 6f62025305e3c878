"""The lock that keeps a second server off a data folder.

The kernel holds it for as long as the process lives, so no crash leaves it behind. The
command line does not take it: its commands work beside a running server.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tollkeeper.domain.errors import ConfigError


class FolderLock:
    """A lock that is held until ``release``, or until the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Give the descriptor: a child that inherits it keeps the lock for as long as it lives."""
        return self._descriptor

    def release(self) -> None:
        """Let others have the folder. The file stays; only the lock on it counts."""
        os.close(self._descriptor)


def hold(path: Path) -> FolderLock:
    """Take the lock file at ``path``, making it and its folder where they are missing.

    Raises ConfigError when another process has it, and when it cannot be written.
    """
    try:
        for folder in reversed(path.parents):
            if not folder.exists():  # mkdir's own ``parents`` would let others look in
                folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the data folder cannot be written: {error.strerror or error}",
            file=str(path.parent),
            hint="give this user write access to the folder, or name another one with --data",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise
        raise ConfigError(
            f"another server uses this data folder{f' (process {holder})' if holder else ''}",
            file=str(path.parent),
            hint="stop it first, or start this one with another --data",
        ) from error
    return FolderLock(descriptor)


def holder(path: Path) -> int | None:
    """Give the process that has a lock file, 0 if it does not say so; None if nobody has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None
