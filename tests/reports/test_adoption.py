"""Adoption is counted from the ledger: whole local weeks, use of all kinds, no refused calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from itertools import count
from pathlib import Path

import pytest

from ledger_entries import ledger_entry
from ledgers import ENGINES, EVERY_ENGINE
from tollkeeper.domain.access import Scope
from tollkeeper.domain.adoption import Figures, Publication
from tollkeeper.domain.errors import NotAllowed
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.ports import Ledger, Membership, Position
from tollkeeper.reports import zones
from tollkeeper.reports.adoption import publication, seen_by
from tollkeeper.reports.adoption_answers import COLUMNS, adoption_document, adoption_rows
from tollkeeper.reports.adoption_memory import FRESH_US, PublicationMemory
from tollkeeper.reports.questions import BadQuestion

AUCKLAND = "Pacific/Auckland"
_numbers = count()


def at(text: str, zone: str = "UTC") -> int:
    return zones.instant_of(datetime.fromisoformat(text), zones.zone_info(zone))


NOW = at("2026-11-18T12:00")  # a Wednesday: the last whole week is that of November 9
LONG_AGO = at("2026-01-01T12:00")


@pytest.fixture(params=EVERY_ENGINE)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened = ENGINES[request.param](tmp_path)
    yield opened
    opened.close()


def users(number: int, team: str = "core", start: int = 0) -> list[Membership]:
    return [Membership(f"u{each}", team, LONG_AGO, None) for each in range(start, start + number)]


def call(person: int, when: str, zone: str = "UTC", **changes: object) -> LedgerEntry:
    plain = ledger_entry(started_at_us=at(when, zone), org="acme", team="core")
    return plain._replace(user_id=f"u{person}", **changes)


def load(ledger: Ledger, *entries: LedgerEntry) -> None:
    ledger.append(entries, Position("s", next(_numbers) + 1))


def last_week(found: Publication) -> Figures:
    return found.weeks[-1].company


def test_use_is_what_was_let_through_whoever_pays(ledger: Ledger) -> None:
    load(
        ledger,
        *(call(each, "2026-11-10T09:00") for each in range(5)),
        *(call(each, "2026-11-11T09:00", basis=Basis.FLAT_RATE) for each in range(5, 10)),
        *(call(each, "2026-11-11T09:00", outcome=Outcome.REFUSED) for each in range(10, 15)),
        *(call(each, "2026-11-16T09:00") for each in range(15, 20)),  # of this week
        *(call(each, "2026-10-20T09:00") for each in range(15, 20)),
        call(0, "2026-11-10T10:00")._replace(user_id=""),
    )
    found = last_week(publication(ledger, "acme", users(30), "UTC", 5, NOW))
    assert (found.people, found.active, found.monthly) == (30, 10, 15)


def test_days_sessions_and_tools_of_a_week(ledger: Ledger) -> None:
    for each in range(20):
        for day, session in (("10", "a"), ("11", "a"), ("12", "b"))[: 3 if each < 10 else 1]:
            load(
                ledger,
                call(each, f"2026-11-{day}T09:00", session_id=f"{each}{session}", tool="codex"),
            )
    for each in range(7):
        load(ledger, call(each, "2026-11-12T10:00", session_id="", tool="gemini-cli"))
    week = publication(ledger, "acme", users(30), "UTC", 5, NOW).weeks[-1]
    found = week.company
    assert (found.active, found.repeated) == (20, 10)
    assert (found.person_days, found.sessions) == (10 * 3 + 10, 10 * 2 + 10)
    assert found.tools == {"1": 13, "2+": 7}
    assert week.main_tools == {}


def test_a_correction_takes_use_back_and_books_it_anew(ledger: Ledger) -> None:
    calls = [call(each, "2026-11-10T09:00") for each in range(12)]
    again = [
        each._replace(
            entry_id=f"{each.entry_id}-{sign}", corrects=each.entry_id, revision=1, sign=sign
        )
        for each in calls[:6]
        for sign in (-1, 1)
    ]
    gone = calls[11]
    back = gone._replace(entry_id="gone", corrects=gone.entry_id, revision=1, sign=-1)
    load(ledger, *calls, *again, back)
    assert last_week(publication(ledger, "acme", users(30), "UTC", 5, NOW)).active == 11


def test_weeks_begin_on_monday_in_any_zone(ledger: Ledger) -> None:
    late = "2026-11-09T00:30"  # Monday in Auckland, Sunday in Berlin
    load(ledger, *(call(each, late, AUCKLAND) for each in range(8)))
    here, there = (
        publication(ledger, "acme", users(30), zone, 5, NOW) for zone in ("Europe/Berlin", AUCKLAND)
    )
    assert [week.company.active for week in here.weeks[-2:]] == [8, None]
    assert [week.company.active for week in there.weeks[-2:]] == [None, 8]
    assert seen_by(Scope("acme"), there, AUCKLAND).weeks[-1].first_day == date(2026, 11, 9)


def two_teams(ledger: Ledger) -> Publication:
    load(ledger, *(call(each, "2026-11-10T09:00") for each in range(12)))
    load(ledger, *(call(each, "2026-11-10T09:00", team="apps") for each in range(40, 50)))
    people = [*users(30), *users(30, "apps", 40)]
    return publication(ledger, "acme", people, "UTC", 5, NOW)


def test_a_lead_sees_the_own_team_of_the_same_count(ledger: Ledger) -> None:
    counted = two_teams(ledger)
    everything = seen_by(Scope("acme"), counted, "UTC")
    own = seen_by(Scope("acme", teams=frozenset({"apps"})), counted, "UTC")
    week = own.weeks[-1]
    assert (week.company, dict(week.main_tools), own.cohorts) == (None, {}, ())
    assert week.teams == {"apps": everything.weeks[-1].teams["apps"]}
    assert own == everything.of_team("apps")
    assert week.teams["apps"].active == 10
    with pytest.raises(BadQuestion):
        own.of_team("core")
    with pytest.raises(NotAllowed):
        seen_by(Scope("acme", user_id="u1"), counted, "UTC")


def test_what_is_hidden_is_null_in_every_form(ledger: Ledger) -> None:
    load(ledger, *(call(each, "2026-11-10T09:00") for each in range(3)))
    found = seen_by(Scope("acme"), publication(ledger, "acme", users(30), "UTC", 5, NOW), "UTC")
    company = adoption_document(found)["weeks"][-1]["company"]
    assert company["people"] == 30
    assert {company[name] for name in ("active", "active_rate", "monthly", "sessions")} == {None}
    row = adoption_rows(found)[-1]
    assert tuple(row) == COLUMNS
    assert {value for name, value in row.items() if name not in {"week", "team", "people"}} == {
        None
    }


def test_it_is_counted_again_when_it_is_old_or_the_week_is_over(ledger: Ledger) -> None:
    memory = PublicationMemory(ledger, "acme", lambda: users(30), "UTC", 5)
    assert last_week(memory.publication(NOW)).active is None
    load(ledger, *(call(each, "2026-11-10T09:00") for each in range(8)))
    assert last_week(memory.publication(NOW + FRESH_US - 1)).active is None
    assert last_week(memory.publication(NOW + FRESH_US)).active == 8
    assert last_week(memory.publication(NOW + 7 * 86_400_000_000)).active is None
