"""Checks of the data folder: rights, space, key file."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tollkeeper import bootstrap
from tollkeeper.bootstrap.checks import Check, Place, fail, ok, size_text, warn
from tollkeeper.bootstrap.checks.store import without_hint
from tollkeeper.domain.errors import ConfigError

SPACE_FAIL_BYTES: Final = 200 << 20
SPACE_WARN_BYTES: Final = 2 << 30
_PROBE: Final = ".doctor-probe"


def data_folder(place: Place) -> Iterator[Check]:
    """Look whether the folder can be written, and by whom it can be read."""
    name, root = "data folder", place.data.root
    if not root.exists():
        parent = next(folder for folder in root.absolute().parents if folder.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok(name, f"{root} is not there yet; the first start makes it")
        else:
            yield fail(name, f"{root} cannot be made: {parent} is not writable", _RIGHTS)
        return
    try:
        _write_something(root)
    except OSError as error:
        yield fail(name, f"{root} cannot be written: {error.strerror}", _RIGHTS)
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o077:
        finding = f"{root} can be entered by other users (mode {mode:04o})"
        yield warn(name, finding, f"run: chmod 700 {root}")
    else:
        yield ok(name, f"{root} can be written, and by nobody else")


_RIGHTS: Final = "give this user write access, or name another folder with --data"


def _write_something(folder: Path) -> None:
    probe = folder / f"{_PROBE}-{os.getpid()}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"tollkeeper doctor\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        probe.unlink(missing_ok=True)


def disk_space(place: Place) -> Iterator[Check]:
    """Look whether the disk has room for the journal."""
    name, folder = "disk space", place.data.root.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    finding = f"{size_text(free)} free under {folder}"
    remedy = "free some space: calls are refused while the journal cannot be written"
    if free < SPACE_FAIL_BYTES:
        yield fail(name, finding, remedy)
    elif free < SPACE_WARN_BYTES:
        yield warn(name, finding, remedy)
    else:
        yield ok(name, finding)


def key_file(place: Place) -> Iterator[Check]:
    """Look whether the key file is there, and for nobody else to read."""
    name, path = "key file", place.data.secret_key
    try:
        has_store = _has_store(place)
        if not path.exists() and not has_store:
            yield ok(name, "not there yet; the first start makes it")
            return
        bootstrap.open_vault(place.data)
        if has_store:
            with suppress(OSError):
                bootstrap.require_own_key_file(place.data)
    except ConfigError as error:
        yield fail(name, without_hint(error), error.hint)
        return
    owner = path.stat().st_uid
    if owner != os.geteuid():
        finding = f"{path} belongs to user {owner}, and this is user {os.geteuid()}"
        yield warn(name, finding, "run this command as the user that runs the server")
    else:
        yield ok(name, f"{path} is whole and can be read by its owner alone")


def _has_store(place: Place) -> bool:
    with suppress(OSError):  # the check of the store says what is wrong with it
        return bootstrap.has_store(place.data)
    return False
