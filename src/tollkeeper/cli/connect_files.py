"""Writes a tool's settings file, and brings back what was there.

Beside a file that was written lies ``<name>.before-tollkeeper``: what was there, and a hash of
what was written. A file that was changed since is not overwritten by an undo.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final, NamedTuple

from tollkeeper.cli.connect_edits import CannotEdit
from tollkeeper.domain.errors import ConfigError

_SUFFIX: Final = ".before-tollkeeper"
_PRIVATE: Final = 0o600
_BYTES_MAX: Final = 1_000_000


class Edit(NamedTuple):
    """One file, and how its text changes. ``change`` raises CannotEdit when it cannot."""

    file: Path
    change: Callable[[str], str]


class Change(NamedTuple):
    """What one file held, and what it is to hold. ``before`` is None where there is no file."""

    file: Path
    before: bytes | None
    after: bytes
    mode: int | None

    @property
    def differs(self) -> bool:
        """Tell whether there is anything to write."""
        return self.before != self.after or self.mode != _PRIVATE

    def diff(self) -> str:
        """Show the change as a unified diff."""
        old = "" if self.before is None else self.before.decode()
        lines = unified_diff(
            old.splitlines(keepends=True),
            self.after.decode().splitlines(keepends=True),
            "/dev/null" if self.before is None else str(self.file),
            str(self.file),
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def planned(edit: Edit, home: Path) -> Change:
    """Read a file and work out its new text. Writes nothing. Raises ConfigError."""
    before, mode = _read(edit.file, home)
    try:
        text = "" if before is None else before.decode("utf-8")
        after = edit.change(text).encode("utf-8")
    except UnicodeDecodeError:
        raise _refused(edit.file, "it is not UTF-8 text") from None
    except CannotEdit as error:
        raise _refused(edit.file, str(error)) from None
    return Change(edit.file, before, after, mode)


def write(changes: Sequence[Change]) -> None:
    """Write all files or none, each with a record for ``undo``. Raises OSError."""
    done: list[Change] = []
    try:
        for change in changes:
            if change.differs:
                done.append(change)
                _write_one(change)
    except OSError:
        with suppress(OSError, ConfigError):
            undo([change.file for change in done])
        raise


def undo(files: Sequence[Path], *, force: bool = False) -> list[Path]:
    """Bring back what was there before the last ``write``, in all files that it wrote, or in none.

    Gives these files. Raises ConfigError when one was changed since, unless ``force``.
    """
    found = [(file, record) for file in reversed(files) if (record := _record(file)) is not None]
    for file, record in found:
        if not force and _hash(_now(file)) not in {record["wrote"], _hash(_was(record))}:
            raise ConfigError(
                "it was changed since it was written; undoing would lose that",
                file=str(file),
                hint="give --force as well, or take our lines out by hand",
            )
    for file, record in found:
        _undo_one(file, record)
    return [file for file, _ in reversed(found)]


def _undo_one(file: Path, record: Mapping[str, Any]) -> None:
    was, earlier = _was(record), record["earlier"]
    if was is None:
        file.unlink(missing_ok=True)
    else:
        _replace(file, was, record["mode"])
    if earlier is None:
        _record_file(file).unlink()
    else:
        _replace(_record_file(file), json.dumps(earlier).encode(), _PRIVATE)
    for folder in reversed(record["made"]):
        with suppress(OSError):  # something else stands in it by now
            Path(folder).rmdir()


def _was(record: Mapping[str, Any]) -> bytes | None:
    return None if record["was"] is None else base64.b64decode(record["was"])


def _now(file: Path) -> bytes | None:
    try:
        return f"a link to {file.readlink()}".encode() if file.is_symlink() else file.read_bytes()
    except FileNotFoundError:
        return None


def _write_one(change: Change) -> None:
    file = change.file
    made = [
        str(each) for each in reversed([file.parent, *file.parent.parents]) if not each.exists()
    ]
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    earlier = _record(file)
    if earlier is not None and earlier["wrote"] == _hash(change.before):
        record = {**earlier, "wrote": _hash(change.after)}  # what was there is what was there
    else:
        record = {
            "was": None if change.before is None else base64.b64encode(change.before).decode(),
            "mode": change.mode,
            "wrote": _hash(change.after),
            "made": made,
            "earlier": earlier,
        }
    _replace(_record_file(file), json.dumps(record).encode(), _PRIVATE)
    _replace(file, change.after, _PRIVATE)


def _read(file: Path, home: Path) -> tuple[bytes | None, int | None]:
    """Read a file as it stands there itself, not through a link to elsewhere."""
    for each in (file, *file.parents):
        if each == home:
            break
        if each.is_symlink():
            raise _refused(
                file,
                f"{each.name} is a symbolic link, and the key would be written where it points to",
            )
    try:
        found = file.lstat()
    except FileNotFoundError:
        return None, None
    if not stat.S_ISREG(found.st_mode):
        raise _refused(file, "it is no file")
    if found.st_size > _BYTES_MAX:
        raise _refused(file, "it is larger than 1 MB")
    return file.read_bytes(), stat.S_IMODE(found.st_mode)


def _refused(file: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{reason}; nothing was changed",
        file=str(file),
        hint="print the settings without --write, and paste them",
    )


def _record_file(file: Path) -> Path:
    return file.with_name(file.name + _SUFFIX)


def _record(file: Path) -> dict[str, Any] | None:
    path = _record_file(file)
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {"was", "mode", "wrote", "made", "earlier"} <= set(found):
        raise ConfigError("the record of what was there is damaged", file=str(path))
    return found


def _hash(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _replace(file: Path, content: bytes, mode: int) -> None:
    """Put a whole file in the place of another; a crash leaves one of the two."""
    temporary = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        temporary.chmod(mode)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
