"""Checks of the data folder: rights, space, key file, store."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from tollkeeper import bootstrap
from tollkeeper.bootstrap.checks import Check, Place, fail, ok, size_text, warn
from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.schema_check import organisation_name, schema_is_current

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
    if not path.exists() and not place.data.store.exists():
        yield ok(name, "not there yet; the first start makes it")
        return
    try:
        bootstrap.open_vault(place.data)
    except ConfigError as error:
        yield fail(name, _without_hint(error), error.hint)
        return
    owner = path.stat().st_uid
    if owner != os.geteuid():
        finding = f"{path} belongs to user {owner}, and this is user {os.geteuid()}"
        yield warn(name, finding, "run this command as the user that runs the server")
    else:
        yield ok(name, f"{path} is whole and can be read by its owner alone")


def store(place: Place) -> Iterator[Check]:
    """Look whether the store can be read, is whole, and is of this version."""
    name, path = "store", place.data.store
    if not path.exists():
        yield warn(name, "not there yet", "start it once with: tollkeeper serve")
        return
    try:
        current = schema_is_current(path)
        damage = _damage(path)
        org = organisation_name(path) if current else ""
    except ConfigError as error:
        yield fail(name, _without_hint(error), error.hint)
    except sqlite3.Error as error:
        found = sqlite_file.as_os_error(error, path)
        yield fail(name, str(found.strerror), "restore it from a backup if it is damaged")
    except OSError as error:
        yield fail(name, error.strerror or str(error), "restore it from a backup if it is damaged")
    else:
        if damage:
            yield fail(name, f"{path} is damaged: {damage}", "restore it from a backup")
        elif not current:
            remedy = "start Tollkeeper, which brings it up to date"
            yield warn(name, f"{path} has the schema of an older version", remedy)
        elif not org:
            remedy = "start it once with: tollkeeper serve"
            yield warn(name, f"{path} has no organisation yet", remedy)
        else:
            yield ok(name, f"{path} is whole and up to date; organisation: {org}")


def _damage(path: Path) -> str:
    with closing(sqlite_file.connect_read_only(path)) as connection:
        answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if answer == "ok" else answer


def _without_hint(error: ConfigError) -> str:
    return error.message.removesuffix(f" ({error.hint})") if error.hint else error.message
