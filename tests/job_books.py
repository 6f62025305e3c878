"""The ledger of a gateway that has bills of jobs, loaded again and again by the real loader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ledgers import SMALL
from running import Deployment
from tollkeeper import clock
from tollkeeper.domain.ledger import TOKEN_FIELDS, LedgerEntry
from tollkeeper.services.loading import Loader
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.journal.tail import FolderTail


class JobBooks:
    """``load`` moves what the journal holds; ``told`` counts what live pages were told."""

    def __init__(self, gateway: Deployment) -> None:
        self._gateway = gateway
        self.told: list[LedgerEntry] = []
        self._now_s = 0.0

    @contextmanager
    def _open(self) -> Iterator[DuckDbLedger]:
        ledger = DuckDbLedger(self._gateway.folder.ledger, SMALL)
        try:
            yield ledger
        finally:
            ledger.close()

    def load(self) -> int:
        """Load everything, with a loader that has just been started."""
        with self._open() as ledger:
            loader = Loader(FolderTail(self._gateway.folder.journal), ledger, on_loaded=self._tell)
            for _ in range(6):
                while loader.advance(clock.now_us(), self._now_s) == 0:
                    assert not loader.status.fault
                assert loader.status.fault == ""
                self._now_s += 0.1
            return loader.status.loaded

    def _tell(self, entries: Any) -> None:
        self.told += entries

    def rows(self) -> list[dict[str, Any]]:
        """Load, and give all entries."""
        self.load()
        with self._open() as ledger:
            return ledger.run(ledger.entries().order_by("started_at", "entry_id"))

    def sums(self) -> dict[str, Any]:
        """Load, and sum up what pages sum up."""
        rows = self.rows()
        fields = [field for field, _ in TOKEN_FIELDS]
        counts: Counter[str] = Counter()
        for row in rows:
            counts.update({name: row[name] for name in (*fields, "requests", "unpriced")})
        cost = sum((row["cost_usd"] for row in rows if row["cost_usd"] is not None), start=0)
        return {name: count for name, count in counts.items() if count} | {"cost": cost}
