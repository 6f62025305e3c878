"""Opens real ledgers for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Ledger, Position
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.handle import Settings as SqliteSettings
from tollkeeper.storage.sqlite.ledger import SqliteLedger

SMALL = Settings(memory_limit="256MB", threads=1)
_numbers = count()


def open_duckdb(folder: Path, zone: str = "") -> DuckDbLedger:
    """Open the DuckDB ledger in a folder; it is made if it is not there."""
    return DuckDbLedger(folder / "ledger.duckdb", SMALL._replace(zone=zone))


def open_sqlite(folder: Path, zone: str = "") -> SqliteLedger:
    """Open the SQLite ledger in a folder; it is made if it is not there."""
    settings = SqliteSettings(synchronous="OFF", zone=zone)
    return SqliteLedger(folder / "ledger.sqlite3", settings)


EVERY_ENGINE: Final = ["duckdb", pytest.param("sqlite", marks=pytest.mark.long)]
"""For fixtures of reports: every engine is asked everything, SQLite in the long run. What matters
most it is asked in every run, by ``tests/reports/test_engines_agree.py``."""

ENGINES: dict[str, Callable[[Path], Ledger]] = {"duckdb": open_duckdb, "sqlite": open_sqlite}


def store(ledger: Ledger, entries: Sequence[LedgerEntry]) -> Scope:
    """Put entries into an organisation of their own, which nobody else sees; give its scope."""
    org = f"org-{next(_numbers)}"
    ledger.append([entry._replace(org=org) for entry in entries], Position(org, 1))
    return Scope(org)
