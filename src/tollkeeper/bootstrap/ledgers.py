"""Opens the ledger of a data folder in the engine that is configured."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ports import DataFolder, Ledger

_CLASSES: Final = {"duckdb": "DuckDbLedger", "sqlite": "SqliteLedger"}
_WORDS: Final = {"duckdb": "DuckDB", "sqlite": "SQLite"}
_LOGS: Final = {"duckdb": ".wal", "sqlite": "-wal"}


def engine_of(data: DataFolder) -> str:
    """Name the engine that keeps the ledger."""
    return "sqlite" if data.has_sqlite_ledger else "duckdb"


def engine_word(data: DataFolder) -> str:
    """Name the engine for people."""
    return _WORDS[engine_of(data)]


def log_of(data: DataFolder) -> Path:
    """Give the file in which the engine keeps what it has not written into the ledger's yet."""
    return data.ledger.with_name(f"{data.ledger.name}{_LOGS[engine_of(data)]}")


def open_ledger(data: DataFolder, failpoint: FailPoint = nowhere, zone: str = "") -> Ledger:
    """Open the ledger to write; it is made where it is not there. Days of ``zone`` are summed up.

    Raises LedgerInUse when another process has it, LedgerUnavailable when it cannot be opened.
    """
    engine = engine_of(data)
    settings = import_module(f"tollkeeper.storage.{engine}.handle").Settings(zone=zone)
    ledger: Ledger = _class_of(engine)(data.ledger, settings, failpoint=failpoint)
    return ledger


def open_ledger_to_read(data: DataFolder) -> Ledger:
    """Open the ledger and leave it as it is; without a file it is empty. Raises as above."""
    engine = engine_of(data)
    if data.ledger.exists():
        handle = import_module(f"tollkeeper.storage.{engine}.handle")
        found: Ledger = _class_of(engine)(data.ledger, handle.Settings(read_only=True))
    else:  # of nothing, all engines know the same
        found = _class_of("duckdb")(Path(":memory:"))
    return found


def _class_of(engine: str) -> Any:
    return getattr(import_module(f"tollkeeper.storage.{engine}.ledger"), _CLASSES[engine])
