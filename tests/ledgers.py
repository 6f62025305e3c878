"""Opens real ledgers for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tollkeeper.ports import Ledger
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

SMALL = Settings(memory_limit="256MB", threads=1)


def open_duckdb(folder: Path) -> DuckDbLedger:
    """Open the DuckDB ledger in a folder; it is made if it is not there."""
    return DuckDbLedger(folder / "ledger.duckdb", SMALL)


ENGINES: dict[str, Callable[[Path], Ledger]] = {"duckdb": open_duckdb}
