"""A company with a past of two weeks, and its digests, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from budget_desks import charge
from ledger_entries import ledger_entry
from ledgers import SMALL
from stores import open_folder
from tollkeeper.bootstrap import open_budget_authority
from tollkeeper.console.colours import ColourBook
from tollkeeper.console.digests.content import Digest, Sources
from tollkeeper.console.digests.making import make_digest
from tollkeeper.domain.access import Role
from tollkeeper.domain.budgets import Amounts, Budget
from tollkeeper.domain.digests import DigestSettings, Week
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.ports import Position
from tollkeeper.reports import zones
from tollkeeper.reports.adoption import publication
from tollkeeper.services import people
from tollkeeper.services.digests import Audience, audience_of
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

ORG = "acme"
ZONE = "Europe/Berlin"
ADDRESS = "https://tk.acme.com"
WEEK = Week(2026, 43)
"""The week from 19 to 25 October: its Sunday has 25 hours in Berlin."""

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MONDAY_US = zones.day_start(WEEK.first_day, zones.zone_info(ZONE))
END_US = zones.day_start(Week(2026, 44).first_day, zones.zone_info(ZONE))
NOW_US = END_US + 8 * HOUR_US
SETTINGS = DigestSettings(enabled=True, zone=ZONE)
HOSTILE = '<b onclick="x">R&D</b>\r\nBcc: evil@example.com'
RIGHT_TO_LEFT = "\u05e6\u05d5\u05d5\u05ea"
LONG = "very " * 60 + "long"


def entry(at_us: int, cost_nanos: int = 1_000_000_000, **fields: Any) -> LedgerEntry:
    """Give an entry that costs a dollar unless it is said otherwise."""
    return ledger_entry(org=ORG, started_at_us=at_us, **fields)._replace(
        cost_nanos=cost_nanos, list_cost_nanos=cost_nanos
    )


def past(team: str = "core", model: str = "gpt-4.1", each: int = 1) -> list[LedgerEntry]:
    """Give calls on each day of the week, more on later days, and half as many the week before."""
    found = []
    for day in range(7):
        at_us = MONDAY_US + day * DAY_US + 12 * HOUR_US
        for number in range((day + 1) * each):
            found.append(entry(at_us + number, team=team, model_served=model))
            if number % 2:
                found.append(entry(at_us - 7 * DAY_US + number, team=team, model_served=model))
    return found


class DigestDesk:
    """A store and a ledger in memory. ``now_us`` may be set."""

    def __init__(self, folder: Path, entries: list[LedgerEntry]) -> None:
        self.now_us = NOW_US
        self.folder = open_folder(folder)
        self.store = self.folder.store
        self.store.set_org_name(ORG)
        self.ledger = DuckDbLedger(Path(":memory:"), SMALL)
        self.ledger.append(entries, Position("past", 1))
        self.sources = Sources(
            *(ORG, ADDRESS, self.ledger, self.store, self._adoption, ZONE, ColourBook()),
            lambda: self.now_us,
        )

    def add(self, email: str, role: Role, team: str = "", parent: str = "") -> str:
        """Add a person and their team; give the person's id."""
        since_us = MONDAY_US - 60 * DAY_US
        if team and self.store.team_named(team) is None:
            people.add_team(self.store, team, since_us, parent=parent)
        return people.add_user(self.store, email, since_us, role=role, team=team).user_id

    def audience(self, team: str) -> Audience:
        found = audience_of(self.store.teams(), team)
        assert found is not None
        return found

    def digest(self, team: str = "", week: Week = WEEK) -> Digest:
        audience = self.audience(team) if team else Audience()
        return make_digest(self.sources, audience, week, ZONE)

    def close(self) -> None:
        self.ledger.close()
        self.store.close()

    def _adoption(self) -> Any:
        memberships = self.store.memberships()
        return publication(self.ledger, ORG, memberships, ZONE, 5, self.now_us)


def unpriced(at_us: int, **fields: Any) -> LedgerEntry:
    """Give an entry whose cost nobody knows."""
    return ledger_entry(org=ORG, started_at_us=at_us, basis=Basis.UNPRICED, **fields)._replace(
        cost_nanos=None, list_cost_nanos=None, saved_nanos=None, unpriced_reason="no_price"
    )


def spend(desk: DigestDesk, made: Budget, amount: int) -> None:
    """Spend of a budget, in its window of now."""
    authority = open_budget_authority(desk.folder.data)
    entry_id = f"e-{made.budget_id}"
    held = charge(made, amount, "", NOW_US)
    assert authority.hold(entry_id, "g1", [held], NOW_US) is None
    authority.settle(entry_id, Amounts(amount, 1, 1), NOW_US)
    authority.close()
