"""A person moves, a team gets another name, an account is switched off: past reports stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger_entries import ledger_entry
from ledgers import ENGINES, EVERY_ENGINE
from stores import DAY, NOW, Folder, open_folder
from tollkeeper.domain.access import Scope
from tollkeeper.domain.adoption import WEEKS, WEEKS_BEFORE
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports.source import LedgerReports
from tollkeeper.services import people

QUESTIONS = (
    {"group_by": "team"},
    {"group_by": "user"},
    {"group_by": "week,team", "metrics": "cost_usd,requests"},
    {"filter": "team:core", "group_by": "user"},
    {"filter": "team:apps"},
)
LONG_AGO = NOW - (WEEKS + WEEKS_BEFORE + 4) * 7 * DAY


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = open_folder(tmp_path)
    yield opened
    opened.store.close()


@pytest.fixture(params=EVERY_ENGINE)
def ledger(request: pytest.FixtureRequest, tmp_path: Path, folder: Folder) -> Iterator[Ledger]:
    opened = ENGINES[request.param](tmp_path)
    for team in ("core", "apps"):
        people.add_team(folder.store, team, LONG_AGO)
        for number in range(14):
            people.add_user(folder.store, f"{team}{number}@acme.com", LONG_AGO, team=team)
    opened.append(
        [
            ledger_entry(
                started_at_us=NOW - back * DAY,
                org="acme",
                team=user.team,
                user_id=user.user_id,
                user_name=user.name,
                session_id=f"{user.name}{back}",
            )
            for number, user in enumerate(folder.store.users())
            if number % 3  # some do not call
            for back in range(9 + number % 5, 40, 7)
        ],
        Position("s", 1),
    )
    yield opened
    opened.close()


def answers(folder: Folder, ledger: Ledger) -> list[dict[str, Any]]:
    reports = LedgerReports(
        ledger, Scope("acme"), lambda: NOW, memberships=folder.store.memberships, group_min=2
    )
    period = {"from": "2026-06-01", "to": "2026-09-20"}
    return [*(reports.usage(period | asked) for asked in QUESTIONS), reports.adoption({})]


def test_reports_of_the_past_are_the_same_before_and_after(folder: Folder, ledger: Ledger) -> None:
    store = folder.store
    before = answers(folder, ledger)
    assert any(week["company"]["active"] for week in before[-1]["weeks"])
    assert all(answer["rows"] for answer in before[:-1])
    people.move_user(store, "core3@acme.com", "apps", NOW)
    people.move_user(store, "core4@acme.com", "", NOW)
    people.rename_team(store, "core", "kernel", NOW)
    people.rename_user(store, "apps1@acme.com", "Somebody Else")
    people.deactivate_user(store, "apps2@acme.com", NOW)
    people.add_user(store, "newest@acme.com", NOW, team="kernel")
    people.nest_team(store, "apps", "kernel")
    assert answers(folder, ledger) == before
