"""What tests of reports share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledgers import SMALL
from tollkeeper.ports import Ledger
from tollkeeper.storage.duckdb.ledger import DuckDbLedger


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    """Give an empty ledger in memory, for all tests of a file: each keeps to its organisation."""
    opened = DuckDbLedger(Path(":memory:"), SMALL)
    yield opened
    opened.close()
