"""Thresholds of budgets: what is told, once each, over restarts, windows and changed limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alert_desks import AlertDesk
from budget_desks import CENT, DAILY, DOLLAR, budget
from stores import DAY, HOUR, NOW, add_person
from tollkeeper.domain.alerts import AlertState
from tollkeeper.domain.budget_raises import BudgetRaise, RaiseKind
from tollkeeper.domain.budgets import Mode, Unit
from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.services.alerts import BudgetAlerts, acknowledge


@pytest.fixture
def desk(tmp_path: Path, store_url: str) -> Iterator[AlertDesk]:
    """On every database that a store can be in."""
    made = AlertDesk(tmp_path, [budget(name="Core team")], store_url=store_url)
    yield made
    made.close()


def states(desk: AlertDesk) -> list[tuple[int, str]]:
    return sorted((it.key.threshold_bp, str(it.state)) for it in desk.store.alerts(100))


def test_a_budget_without_thresholds_tells_nothing(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, [budget(thresholds_bp=())])
    desk.spend(5 * DOLLAR)
    assert desk.look() == []
    desk.close()


def test_each_threshold_is_told_once(desk: AlertDesk) -> None:
    assert desk.look() == []
    desk.spend(4 * DOLLAR)
    assert desk.look() == ["Core team: 80% spent"]
    assert desk.look() == []
    desk.spend(DOLLAR)
    assert desk.look() == ["Core team: 100% spent, calls are refused"]
    assert states(desk) == [(8_000, "fired"), (10_000, "fired")]


def test_another_process_and_a_restart_tell_nothing_again(desk: AlertDesk) -> None:
    desk.spend(4 * DOLLAR)
    other = BudgetAlerts(desk.store, lambda: desk.now_us)
    assert desk.alerts.look() == 1
    assert other.look() == 0
    desk.spend(DOLLAR)
    assert other.look() == 1
    assert desk.alerts.look() == 0
    assert BudgetAlerts(desk.store, lambda: desk.now_us).look() == 0


class Late:
    """A store whose balances are read as they were a while ago, by one that was held up."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._rows = store.spent_rows(NOW, 1)

    def spent_rows(self, now_us: int, part_bp: int) -> Any:
        return self._rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_who_was_held_up_after_reading_takes_nothing_back(desk: AlertDesk) -> None:
    desk.spend(DOLLAR)
    late = BudgetAlerts(Late(desk.store), lambda: desk.now_us)
    desk.spend(4 * DOLLAR)
    assert desk.alerts.look() == 1
    assert late.look() == 0
    assert states(desk) == [(10_000, "fired")]
    assert desk.alerts.look() == 0


def test_what_is_told_says_how_it_stands_and_carries_data(desk: AlertDesk) -> None:
    desk.spend(4 * DOLLAR)
    desk.look()
    (_, message) = desk.notifier.sent[0]
    assert message.text.startswith("Spent $4.00 of $5.00 (80%).")
    data = message.data
    assert data["spent"] == "4.000000000"
    assert data["threshold_percent"] == "80"
    assert data["budget"]["name"] == "Core team"
    assert message.message_id == f"msg_{message.alert_id}_fired"


def test_a_raised_limit_is_told_as_recovered_and_arms_what_is_above(desk: AlertDesk) -> None:
    desk.spend(5 * DOLLAR)
    assert desk.look() == ["Core team: 100% spent, calls are refused"]
    desk.change(limit=6 * DOLLAR)
    assert desk.look() == ["Core team: below 100% again"]
    desk.spend(DOLLAR)
    assert desk.look() == ["Core team: 100% spent, calls are refused"]


def test_what_raises_a_limit_for_a_time_counts_while_it_lasts(desk: AlertDesk) -> None:
    desk.spend(5 * DOLLAR)
    desk.look()
    until_us = NOW + DAY
    more = BudgetRaise("r1", "b1", "", 2 * DOLLAR, NOW, until_us, RaiseKind.OVERDRAFT, NOW, "al")
    assert desk.store.add_overdraft(more._replace(window_start_us=0))
    assert desk.look() == ["Core team: below 100% again"]
    desk.now_us = until_us
    assert desk.look() == ["Core team: 100% spent, calls are refused"]


def test_spending_that_was_taken_back_whole_is_recovered(desk: AlertDesk) -> None:
    desk.spend(5 * DOLLAR)
    desk.look()
    (row,) = desk.authority.balances()
    desk.authority.correct(row.key, row.posted, CENT)
    assert desk.look() == ["Core team: below 100% again"]
    assert states(desk) == [(10_000, "recovered")]
    assert desk.store.open_alerts() == []


def test_every_window_is_told_anew_and_the_old_one_ends_quietly(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, [budget(name="Daily", window=DAILY)])
    for _ in range(3):
        desk.spend(5 * DOLLAR)
        assert desk.look() == ["Daily: 100% spent, calls are refused"]
        desk.now_us += DAY
    assert desk.look() == []
    assert [str(it.state) for it in desk.store.alerts(10)] == ["ended"] * 3
    desk.now_us += 2 * HOUR
    desk.look()
    assert desk.store.open_alerts() == []
    desk.close()


def test_what_is_settled_late_into_a_window_is_still_told(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, [budget(name="Daily", window=DAILY)])
    desk.now_us = DAILY.around(NOW).end_us - 1
    desk.spend(5 * DOLLAR)
    desk.now_us += HOUR // 2
    assert desk.look() == ["Daily: 100% spent, calls are refused"]
    desk.close()


def test_budgets_have_thresholds_units_and_values_of_their_own(tmp_path: Path) -> None:
    desk = AlertDesk(
        tmp_path,
        [
            budget(name="Each", each=True, scope="tag", tag="feature", thresholds_bp=(5_000,)),
            budget("b2", 10, name="Calls", unit=Unit.REQUESTS, mode=Mode.OBSERVE),
        ],
    )
    desk.spend(3 * DOLLAR, entity="chat")
    desk.spend(DOLLAR, entity="search")
    assert desk.look() == ["Each (chat): 50% spent"]
    desk.spend(8, "b2")
    assert desk.look() == ["Calls: 80% spent"]
    desk.spend(12, "b2")
    assert desk.look() == ["Calls: 100% spent"]
    assert "only observes" in desk.notifier.sent[-1][1].text
    desk.close()


def test_people_are_told_by_their_address_and_not_by_an_id(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, [budget(name="Each", each=True, scope="user")])
    ada = add_person(desk.store, "ada@acme.com")
    desk.spend(4 * DOLLAR, entity=ada.user_id)
    desk.spend(4 * DOLLAR, entity="somebody-removed")
    assert sorted(desk.look()) == [
        "Each (ada@acme.com): 80% spent",
        "Each (somebody-removed): 80% spent",
    ]
    named = {
        it[1].data["budget"]["entity"]: it[1].data["budget"]["entity_name"]
        for it in desk.notifier.sent
    }
    assert named == {ada.user_id: "ada@acme.com", "somebody-removed": "somebody-removed"}
    desk.close()


def test_an_ended_budget_tells_nothing_more(desk: AlertDesk) -> None:
    desk.spend(4 * DOLLAR)
    desk.look()
    desk.change(until_us=NOW + 1)
    desk.now_us += 3 * HOUR
    assert desk.look() == []
    assert states(desk) == [(8_000, "ended")]
    assert desk.look() == []


def test_an_alert_is_acknowledged_once_and_stays_so(desk: AlertDesk) -> None:
    desk.spend(4 * DOLLAR)
    desk.look()
    (alert,) = desk.store.alerts(10)
    seen = acknowledge(desk.store, alert.alert_id, "root@acme.com", NOW + 5)
    assert (seen.state, seen.by) == (AlertState.ACKNOWLEDGED, "root@acme.com")
    again = acknowledge(desk.store, alert.alert_id, "other@acme.com", NOW + 9)
    assert again.by == "root@acme.com"
    with pytest.raises(NotFound):
        acknowledge(desk.store, "nobody", "root@acme.com", NOW)
    desk.change(limit=50 * DOLLAR)
    assert desk.look() == ["Core team: below 80% again"]
    with pytest.raises(Conflict):
        acknowledge(desk.store, alert.alert_id, "root@acme.com", NOW)


def test_thousands_of_budgets_are_looked_at_with_one_question(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, [budget(f"b{number}") for number in range(200)])
    for number in range(0, 200, 10):
        desk.spend(4 * DOLLAR, f"b{number}")
    assert desk.alerts.look() == 20
    assert desk.alerts.look() == 0
    desk.close()
