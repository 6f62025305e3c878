"""The store's note of the key file that it was made with."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from tollkeeper.storage.store.once import insert_once
from tollkeeper.storage.store.schema import key_file

_ROW: Final = 1


def fingerprint(db: Connection) -> bytes | None:
    """Give the fingerprint that is noted, None before there is one."""
    found = db.scalar(select(key_file.c.fingerprint))
    return None if found is None else bytes(found)


def note(db: Connection, own: bytes) -> None:
    """Note a fingerprint, unless there is one."""
    insert_once(db, key_file, {"row_number": _ROW, "fingerprint": own})
