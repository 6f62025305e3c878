"""The courier: every channel gets what it is to have, for days, and its log says how it went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alert_desks import AlertDesk, channel
from budget_desks import DOLLAR, budget
from stores import DAY, HOUR, NOW, SECOND
from tollkeeper.domain.deliveries import DeliveryState, Outcome, Severity
from tollkeeper.services.delivering import try_channel
from tollkeeper.services.outbox import enqueue, message_of

REFUSES = Outcome("answered with status 500", 500, 12, "oops")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[AlertDesk]:
    channels = [
        channel("ops"),
        channel("finance", is_digest=True),
        channel("hooks", events=("budget.*",), recoveries=False),
    ]
    made = AlertDesk(tmp_path, [budget()], channels)
    yield made
    made.close()


def tell(desk: AlertDesk, title: str, event: str = "note", **fields: object) -> None:
    enqueue(desk.store, message_of(event, title, "", desk.now_us, **fields))  # type: ignore[arg-type]
    desk.courier.work()


def test_each_channel_gets_what_it_wants(desk: AlertDesk) -> None:
    tell(desk, "one")
    tell(desk, "two", "budget.threshold")
    tell(desk, "three", "budget.recovered", severity=Severity.GOOD)
    assert desk.notifier.told("ops") == ["one", "two", "three"]
    assert desk.notifier.told("hooks") == ["two"]
    assert desk.notifier.told("finance") == []


def test_a_digest_comes_once_a_day_with_all_of_it(desk: AlertDesk) -> None:
    for number in range(50):
        tell(desk, f"No {number}")
    assert desk.notifier.told("finance") == []
    desk.now_us += DAY
    desk.courier.work()
    assert desk.notifier.told("finance") == ["50 messages since the last digest"]
    text = desk.notifier.sent[-1][1].text
    assert "No 39" in text
    assert text.endswith("and 10 more")
    desk.courier.work()
    desk.now_us += DAY
    desk.courier.work()
    assert len(desk.notifier.told("finance")) == 1


def test_a_failing_channel_is_tried_again_later_and_holds_up_no_other(desk: AlertDesk) -> None:
    desk.notifier.answer = lambda it, message: REFUSES if it.name == "hooks" else Outcome()
    tell(desk, "two", "budget.threshold")
    assert desk.notifier.told("ops") == ["two"]
    desk.courier.work()
    assert desk.notifier.told("hooks") == ["two"]
    desk.now_us += 7 * SECOND
    desk.courier.work()
    assert desk.notifier.told("hooks") == ["two", "two"]
    desk.notifier.answer = lambda it, message: Outcome(status=200)
    desk.now_us += HOUR
    desk.courier.work()
    found = {it.channel: it for it in desk.deliveries()}
    assert (found["hooks"].state, found["hooks"].attempts) == (DeliveryState.DELIVERED, 3)
    ids = {message.message_id for name, message in desk.notifier.sent if name == "hooks"}
    assert len(ids) == 1


def test_a_channel_that_stays_dead_is_closed_and_the_others_are_told(desk: AlertDesk) -> None:
    desk.notifier.answer = lambda it, message: REFUSES if it.name == "hooks" else Outcome()
    for number in range(3):
        tell(desk, f"No {number}", "budget.threshold")
    for _ in range(12):
        desk.now_us += 30 * HOUR
        desk.courier.work()
    (state,) = [it for it in desk.store.channel_states() if it.channel == "hooks"]
    assert state.closed_at_us is not None
    assert "status 500" in state.fault
    assert [it for it in desk.notifier.told("ops") if "closed" in it] == [
        "The channel hooks is closed: nothing is sent there any more"
    ]
    tries = len(desk.notifier.told("hooks"))
    tell(desk, "later", "budget.threshold")
    assert len(desk.notifier.told("hooks")) == tries
    newest = next(it for it in desk.deliveries() if it.channel == "hooks")
    assert (newest.state, newest.fault[:9]) == (DeliveryState.DEAD, "is closed")


def test_a_test_that_arrives_opens_a_closed_channel(desk: AlertDesk) -> None:
    desk.notifier.answer = lambda it, message: REFUSES._replace(is_final=True, closes=True)
    tell(desk, "two", "budget.threshold")
    assert all(it.closed_at_us for it in desk.store.channel_states())
    ops = desk.mailing.channels["ops"]
    found = try_channel(desk.store, desk.notifier, desk.mailing, ops, "root@acme.com", NOW)
    assert (found.state, found.fault) == (DeliveryState.DEAD, "answered with status 500")
    desk.notifier.answer = lambda it, message: Outcome(status=200, latency_ms=7)
    found = try_channel(desk.store, desk.notifier, desk.mailing, ops, "root@acme.com", NOW)
    assert (found.state, found.latency_ms) == (DeliveryState.DELIVERED, 7)
    closed = {it.channel for it in desk.store.channel_states() if it.closed_at_us}
    assert "ops" not in closed
    desk.courier.work()
    assert desk.notifier.told("ops").count("Tollkeeper: this is a test") == 2


def test_a_channel_that_was_taken_out_gets_nothing_and_the_log_says_so(desk: AlertDesk) -> None:
    desk.notifier.answer = lambda it, message: REFUSES
    tell(desk, "one")
    desk.mailing = desk.mailing._replace(channels={})
    desk.now_us += HOUR
    desk.courier.work()
    found = next(it for it in desk.deliveries() if it.channel == "ops")
    assert (found.state, found.fault) == (DeliveryState.DEAD, "is in the configuration no more")


def test_a_fault_of_ours_stops_no_other_channel(desk: AlertDesk) -> None:
    def break_down(it: object, message: object) -> Outcome:
        raise RuntimeError("t0ken")

    desk.notifier.answer = break_down
    tell(desk, "one")
    (found,) = [it for it in desk.deliveries() if it.channel == "ops"]
    assert found.state is DeliveryState.WAITING
    assert "t0ken" not in found.fault


def test_without_channels_a_message_is_kept_and_told_nobody(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, [budget()], [])
    desk.spend(4 * DOLLAR)
    assert desk.look() == []
    assert len(desk.store.alerts(10)) == 1
    assert desk.store.untold(10) == []
    desk.close()


def test_data_that_are_too_long_are_refused(desk: AlertDesk) -> None:
    with pytest.raises(ValueError, match="8000"):
        tell(desk, "big", data={"text": "x" * 9_000})
