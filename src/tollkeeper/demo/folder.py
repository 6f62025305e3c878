"""The demo's own data folder: told from others by its mark, and never mixed up with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from tollkeeper.domain.errors import ConfigError

MARK: Final = "demo.json"
CONFIGURATION: Final = "tollkeeper.yaml"
WRITING: Final = "writing"
READY: Final = "ready"
_OURS: Final = (
    *("ledger.duckdb", "ledger.duckdb.wal", "habits.json", "replies.json", "secret.key"),
    *("store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm", CONFIGURATION),
)
_OUR_FOLDERS: Final = ("journal", "prices")


class Mark(NamedTuple):
    """What lies in a folder: how many entries, from which seed, and up to when.

    ``state`` is ``WRITING`` until the history is whole.
    """

    entries: int
    seed: int
    now_us: int
    provider_port: int
    state: str = WRITING


def mark_of(root: Path) -> Mark | None:
    """Read a folder's mark; None for a folder that is not there, or empty.

    Raises ConfigError for one that holds something else.
    """
    hint = "name another folder with --data"
    try:
        text = (root / MARK).read_text("utf-8")
    except FileNotFoundError:
        if root.is_dir() and any(root.iterdir()):
            raise ConfigError(
                "this folder holds something that is no demo", file=str(root), hint=hint
            ) from None
        return None
    except NotADirectoryError:
        raise ConfigError("this is no folder", file=str(root), hint=hint) from None
    try:
        return Mark(**json.loads(text))
    except (ValueError, TypeError):
        raise ConfigError("this mark cannot be read", file=str(root / MARK), hint=hint) from None


def keep_mark(root: Path, mark: Mark) -> None:
    """Write a folder's mark, all of it or nothing, making the folder where it is missing."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = root / f"{MARK}.new"
    fresh.write_text(json.dumps(mark._asdict()) + "\n", "utf-8")
    fresh.replace(root / MARK)


def clear(root: Path) -> None:
    """Remove what an interrupted start has left in a folder of ours. Nothing else is touched."""
    for name in _OURS:
        (root / name).unlink(missing_ok=True)
    for name in _OUR_FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)
