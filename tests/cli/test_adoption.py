"""``tollkeeper adoption`` on a real store and ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import CommandLine
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from stores import add_person, open_folder
from tollkeeper import clock
from tollkeeper.domain.access import Role
from tollkeeper.ports import Position

WEEK_US = 7 * 86_400_000_000


@pytest.fixture
def company(tmp_path: Path) -> CommandLine:
    folder = open_folder(tmp_path)
    org = "acme"
    folder.store.set_org_name(org)
    entries = []
    for number in range(24):
        user = add_person(folder.store, f"p{number}@acme.com", "core", Role.MEMBER)
        if number % 2:
            at_us = clock.now_us() - WEEK_US
            usual = ledger_entry(org=org, team="core", started_at_us=at_us)
            entries.append(usual._replace(user_id=user.user_id))
    ledger = open_duckdb(folder.data.ledger.parent)
    ledger.append(entries, Position("a", 1))
    ledger.close()
    folder.store.close()
    return CommandLine(folder.data.root)


def test_it_shows_teams_and_everybody(company: CommandLine) -> None:
    shown = company("adoption")
    assert shown.code == 0, shown.err
    (everybody,) = (line for line in shown.out.splitlines() if "Everybody" in line)
    assert "12" in everybody
    assert "hidden" in everybody  # nobody came on two days
    assert "@acme.com" not in shown.out
    assert "fewer than 5 people" in shown.out


def test_one_team_week_by_week(company: CommandLine) -> None:
    answer = company("adoption", "--team", "core", "--json").json()
    assert [week["teams"][0]["active"] for week in answer["weeks"][-2:]] == [None, 12]
    assert answer["weeks"][-1]["company"] is None
    shown = company("adoption", "--team", "core")
    assert answer["weeks"][0]["week"] in shown.out


def test_a_team_that_there_is_not(company: CommandLine) -> None:
    ended = company("adoption", "--team", "nobody")
    assert ended.code == 2
    assert "there is no team 'nobody'" in " ".join(ended.err.split())
