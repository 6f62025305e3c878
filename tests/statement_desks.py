"""A ledger, a store and the statements over both; each with nothing in it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from ledgers import SMALL
from stores import DAY, NOW, open_folder
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.months import month_bounds_us
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.sharing import Sharing
from tollkeeper.domain.statements import MonthStatement
from tollkeeper.ports import DataFolder, Ledger
from tollkeeper.reports.statement_facts import LedgerFacts
from tollkeeper.services.statements import StatementDesk
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.store.store import SqlStore, open_sql_store
from tollkeeper.storage.store.store_address import store_of

ORG = "acme"


def made_store(folder: Path) -> Path:
    """Make a store with nobody in it, of which ``copied_store`` makes others at once."""
    made = open_folder(folder)
    made.store.set_org_name(ORG)
    made.store.close()
    place = store_of(made.data)
    assert isinstance(place, Path)
    return place


def copied_store(empty: Path, folder: Path) -> SqlStore:
    """Copy a store into another folder, and open it."""
    folder.mkdir(parents=True, exist_ok=True)
    place = store_of(DataFolder(folder))
    assert isinstance(place, Path)
    shutil.copy(empty, place)
    return open_sql_store(place)


def memory_ledger() -> DuckDbLedger:
    """Open a ledger that is gone afterwards."""
    return DuckDbLedger(Path(":memory:"), SMALL)


class Books:
    """The statements of one organisation at a time that can be set."""

    def __init__(
        self,
        ledger: Ledger,
        store: SqlStore,
        zone: str = "UTC",
        sharing: Sharing = Sharing(),  # noqa: B008 - immutable
        plans: Sequence[SeatPlan] = (),
        org: str = ORG,
    ) -> None:
        self.ledger = ledger
        self.store = store
        self.zone = ZoneInfo(zone)
        self.org = org
        self.plans = tuple(plans)
        self.now_us = NOW + 200 * DAY
        self.desk = StatementDesk(
            *(LedgerFacts(ledger, org), store, org, self.zone, sharing),
            *(lambda: self.plans, lambda: self.now_us),
        )

    def load(self, *entries: LedgerEntry) -> None:
        """Add entries, as they come from no segment."""
        self.ledger.append([entry._replace(org=self.org) for entry in entries], None)

    def at(self, month: str, after_us: int = DAY) -> int:
        """Give a moment of a month, so long after its beginning."""
        return month_bounds_us(month, self.zone)[0] + after_us

    def statement(self, month: str) -> MonthStatement:
        """Give a month's statement."""
        return self.desk.month(month).statement

    def booked(self, month: str, team: str) -> int:
        """Give what is booked for a team, in nano-dollars."""
        return self.statement(month).of(frozenset({team})).totals().cost_nanos
