"""Rules beyond thresholds on a real ledger: each finding is told once, and silence is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alert_desks import AlertDesk
from budget_desks import DAILY, DOLLAR, budget
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from stores import DAY, HOUR, MINUTE, NOW, add_person
from tollkeeper.domain.ledger import Outcome
from tollkeeper.ports import Position
from tollkeeper.reports.usual_figures import LedgerUsualFigures
from tollkeeper.services.anomalies import Anomalies, Limits
from tollkeeper.storage.duckdb.ledger import DuckDbLedger


class Watch:
    """A ledger with a past, and the rules that look at it."""

    def __init__(self, folder: Path) -> None:
        self.ledger: DuckDbLedger = open_duckdb(folder)
        each = {"each": True, "scope": "user", "window": DAILY, "since_us": NOW - DAY}
        self.desk = AlertDesk(
            folder,
            [
                budget(name="Daily", window=DAILY, since_us=NOW - DAY),
                budget("b2", name="Each", **each),
            ],
        )
        self.limits = Limits()
        self.rules = Anomalies(
            self.desk.store,
            LedgerUsualFigures(self.ledger, "acme", "UTC"),
            lambda: self.limits,
            lambda: self.desk.now_us,
        )
        self._batches = 0

    def load(self, *entries: Any) -> None:
        self._batches += 1
        self.ledger.append(entries, Position("test", self._batches))

    def past(self, days: int, calls_an_hour: int = 2, **fields: Any) -> None:
        """Load calls of a cent each for every hour of some days before."""
        first_us = NOW - NOW % HOUR - days * DAY
        self.load(
            *(
                call(first_us + hour * HOUR + number * MINUTE, f"p{hour}-{number}", **fields)
                for hour in range(days * 24)
                for number in range(calls_an_hour)
            )
        )

    def look(self) -> list[str]:
        """Look, and give the titles of what was told."""
        self.rules.look()
        before = len(self.desk.notifier.sent)
        self.desk.courier.work()
        return sorted(message.title for _, message in self.desk.notifier.sent[before:])

    def states(self) -> dict[str, str]:
        return {state.rule: state.state for state in self.rules.states()}

    def details(self) -> dict[str, str]:
        return {state.rule: state.detail for state in self.rules.states()}

    def close(self) -> None:
        self.desk.close()
        self.ledger.close()


def call(at_us: int, entry_id: str, **fields: Any) -> Any:
    usual = {
        "entry_id": entry_id,
        "call_id": entry_id,
        "started_at_us": at_us,
        "org": "acme",
        "team": "core",
        "key_id": "k1",
        "key_name": "laptop",
        "tool": "claude-code",
        "duration_ms": 400,
        "cost_nanos": DOLLAR // 100,
        "outcome": Outcome.OK,
    }
    return ledger_entry(**(usual | fields))


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    made = Watch(tmp_path)
    yield made
    made.close()


def test_without_any_history_every_rule_says_so(watch: Watch) -> None:
    assert set(watch.states().values()) == {"unknown"}
    assert watch.look() == []
    assert set(watch.states().values()) == {"unknown"}
    assert all("not enough history" in detail for detail in watch.details().values())


def test_a_quiet_past_is_quiet(watch: Watch) -> None:
    watch.past(14)
    watch.load(*(call(NOW - MINUTE, f"n{number}") for number in range(40)))
    assert watch.look() == []
    found = watch.states()
    assert found.pop("projected") == "unknown"
    assert set(found.values()) == {"quiet"}


def test_dear_hours_and_days_are_told_once_of_all_and_of_each_team(watch: Watch) -> None:
    watch.past(14)
    dear = {"cost_nanos": 10 * DOLLAR}
    watch.load(*(call(NOW - MINUTE, f"n{number}", team="search", **dear) for number in range(3)))
    told = watch.look()
    assert any(title.startswith("The organisation: $30.") for title in told)
    assert len(told) == 2
    assert "an hour is unusually much" in told[0] + told[1]
    assert "today is more than twice the usual" in told[0] + told[1]
    assert watch.look() == []
    assert watch.states()["spend_hour"] == "fired"
    watch.desk.now_us += HOUR
    assert watch.look() == []
    watch.desk.now_us += 3 * DAY
    watch.look()
    assert watch.desk.store.open_alerts() == []


def test_failing_and_slow_requests_are_told(watch: Watch) -> None:
    watch.past(14)
    watch.load(
        *(
            call(NOW - MINUTE, f"n{number}", outcome=Outcome.UPSTREAM_ERROR, duration_ms=5_000)
            for number in range(40)
        )
    )
    told = watch.look()
    assert told[0].startswith("9")
    assert "of requests fail" in told[0]
    assert told[1] == "Answers are slow: one in twenty takes longer than 5.0 s"


def test_another_tool_on_a_key_is_told_once_with_what_to_do(watch: Watch) -> None:
    watch.past(14)
    watch.load(call(NOW - MINUTE, "n1", tool="curl"))
    assert watch.look() == ["Key laptop: used with curl, for the first time"]
    assert "revoke" in watch.desk.notifier.sent[-1][1].text
    watch.load(call(NOW, "n2", tool="curl"))
    watch.desk.now_us += MINUTE
    assert watch.look() == []


def test_a_budget_that_will_be_spent_too_soon_is_told_with_the_date(watch: Watch) -> None:
    watch.desk.spend(4 * DOLLAR)
    assert watch.look() == ["Daily: spent before its day ends"]
    message = watch.desk.notifier.sent[-1][1]
    assert "At this pace it is spent" in message.text
    assert message.event == "anomaly.projected"
    watch.desk.spend(DOLLAR // 2)
    assert watch.look() == []


def test_the_pace_of_somebodys_budget_is_told_by_the_address_that_people_know(
    watch: Watch,
) -> None:
    ada = add_person(watch.desk.store, "ada@acme.com")
    watch.desk.spend(4 * DOLLAR, "b2", ada.user_id)
    watch.desk.spend(4 * DOLLAR, "b2", "somebody-removed")
    assert watch.look() == [
        "Each (ada@acme.com): spent before its day ends",
        "Each (somebody-removed): spent before its day ends",
    ]


def test_rules_that_are_off_are_off(watch: Watch) -> None:
    watch.past(14)
    watch.load(call(NOW - MINUTE, "n1", tool="curl", cost_nanos=30 * DOLLAR))
    watch.limits = Limits(frozenset({"spend_hour", "spend_day", "new_tool"}))
    assert watch.look() == []
    assert watch.states()["new_tool"] == "off"


def test_what_has_no_price_and_what_others_did_is_left_out(watch: Watch) -> None:
    watch.past(14)
    watch.load(
        call(NOW - MINUTE, "n1", cost_nanos=None, basis="unpriced"),
        call(NOW - MINUTE, "n2", org="elsewhere", cost_nanos=90 * DOLLAR, tool="curl"),
    )
    assert watch.look() == []
