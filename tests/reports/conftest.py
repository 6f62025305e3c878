"""What tests of reports share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledgers import EVERY_ENGINE, SMALL, open_sqlite
from tollkeeper.ports import Ledger
from tollkeeper.storage.duckdb.ledger import DuckDbLedger


@pytest.fixture(scope="module", params=EVERY_ENGINE)
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """Give an empty ledger for all tests of a file: each keeps to its organisation."""
    opened: Ledger
    if request.param == "duckdb":
        opened = DuckDbLedger(Path(":memory:"), SMALL)
    else:
        opened = open_sqlite(tmp_path_factory.mktemp("reports"))
    yield opened
    opened.close()
