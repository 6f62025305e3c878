"""What every store must do with alerts and messages: each once, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

from budget_desks import DOLLAR, budget, charge
from stores import NOW, SECOND, open_folder
from tollkeeper.bootstrap import open_budget_authority
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.budgets import Amounts
from tollkeeper.domain.deliveries import (
    CLAIM_US,
    ChannelState,
    Delivery,
    DeliveryState,
    Message,
    Outcome,
    after_try,
    channel_after,
)
from tollkeeper.services.outbox import enqueue, message_of
from tollkeeper.storage.store.store import SqlStore

KEY = AlertKey("budget", "b1", "", NOW, 8_000)


def alert(alert_id: str = "a1", key: AlertKey = KEY) -> Alert:
    return Alert(alert_id, key, AlertState.FIRED, NOW + 1, 80, 100, "Core", "80 %", NOW, NOW)


def message(number: int = 1) -> Message:
    return message_of("budget.threshold", f"No {number}", "text", NOW + number, data={"n": number})


def waiting(of: Message, channel: str = "slack") -> Delivery:
    return Delivery(of.message_id, channel, DeliveryState.WAITING, 0, NOW, NOW)


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[SqlStore]:
    opened = open_folder(tmp_path, store_url).store
    yield opened
    opened.close()


def test_an_alert_is_kept_once_and_found_again(store: SqlStore) -> None:
    assert store.add_alert(alert())
    assert not store.add_alert(alert("a2"))
    assert store.add_alert(alert("a3", KEY._replace(round=2)))
    assert store.alert("a1") == alert()
    assert store.alert("nobody") is None
    assert {each.alert_id for each in store.alerts_of([KEY])} == {"a1", "a3"}
    assert store.alerts_of([]) == []


def test_an_alert_moves_once_from_each_state(store: SqlStore) -> None:
    store.add_alert(alert())
    assert store.move_alert(alert(), AlertState.ACKNOWLEDGED, NOW + 5, "root@acme.com")
    assert not store.move_alert(alert(), AlertState.ACKNOWLEDGED, NOW + 6, "other@acme.com")
    seen = store.alert("a1")
    assert seen is not None
    assert (seen.state, seen.by, seen.changed_at_us) == ("acknowledged", "root@acme.com", NOW + 5)
    assert store.move_alert(seen, AlertState.ENDED, NOW + 9)
    assert store.open_alerts() == []
    assert store.forget_alerts(NOW + 9) == 0
    assert store.forget_alerts(NOW + 10) == 1


def test_an_alert_and_its_message_are_there_both_or_neither(store: SqlStore) -> None:
    with pytest.raises(RuntimeError), store.together():
        store.add_alert(alert())
        enqueue(store, message())
        raise RuntimeError
    assert store.open_alerts() == []
    assert store.untold(10) == []


def test_of_two_threads_at_once_one_fires(store: SqlStore) -> None:
    won: list[bool] = []
    start = Barrier(4)

    def fire(number: int) -> None:
        start.wait()
        won.append(store.add_alert(alert(f"a{number}")))

    threads = [Thread(target=fire, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, False, False, True]


def test_a_message_is_told_each_channel_once(store: SqlStore) -> None:
    first = message()
    assert enqueue(store, first)
    assert not enqueue(store, first)
    assert store.untold(10) == [first]
    deliveries = [waiting(first), waiting(first, "mail")]
    assert store.address(first.message_id, deliveries)
    assert not store.address(first.message_id, deliveries)
    assert store.untold(10) == []
    assert len(store.claim(NOW, 10)) == 2
    assert store.claim(NOW + SECOND, 10) == []


def test_what_is_claimed_comes_back_if_nobody_says_what_became_of_it(store: SqlStore) -> None:
    first = message()
    enqueue(store, first)
    store.address(first.message_id, [waiting(first)])
    (told,) = store.claim(NOW, 10)
    assert (told.message, told.delivery.attempts) == (first, 1)
    (again,) = store.claim(NOW + CLAIM_US, 10)
    assert again.delivery.attempts == 2
    done = after_try(told.delivery, Outcome(), NOW + CLAIM_US, 0.0)
    assert not store.settle(done, ChannelState("slack")), "somebody else has it"
    done = after_try(again.delivery, Outcome(status=204), NOW + CLAIM_US, 0.0)
    assert store.settle(done, channel_after(ChannelState("slack"), done, Outcome(), NOW))
    (found,) = store.deliveries(10)
    assert (found.delivery.state, found.delivery.status) == (DeliveryState.DELIVERED, 204)
    assert store.channel_states() == [ChannelState("slack", delivered_at_us=NOW)]


def test_it_is_tried_for_days_and_then_given_up(store: SqlStore) -> None:
    first = message()
    enqueue(store, first)
    store.address(first.message_id, [waiting(first)])
    now_us, tries = NOW, 0
    while told := store.claim(now_us, 10):
        tries += 1
        tried = after_try(told[0].delivery, Outcome("no answer"), now_us, 0.5)
        store.settle(tried, ChannelState("slack"))
        now_us = max(now_us + 1, tried.next_at_us)
    (found,) = store.deliveries(10)
    assert (found.delivery.state, tries) == (DeliveryState.DEAD, 10)
    assert now_us - NOW > 3 * 86_400 * SECOND


def test_a_digest_takes_the_place_of_what_it_sums_up_once(store: SqlStore) -> None:
    parts = [message(1), message(2)]
    for each in parts:
        enqueue(store, each)
        store.address(each.message_id, [waiting(each)._replace(state=DeliveryState.GATHERED)])
    assert [told.message for told in store.gathered("slack", 10)] == parts
    whole = message(3)
    ids = [each.message_id for each in parts]
    assert store.digest(whole, "slack", ids)
    assert not store.digest(whole, "slack", ids)
    assert store.gathered("slack", 10) == []
    (told,) = store.claim(NOW + SECOND, 10)
    assert told.message == whole
    assert {each.delivery.state for each in store.deliveries(10, ids)} == {DeliveryState.DIGESTED}


def test_old_messages_are_forgotten_unless_they_are_on_their_way(store: SqlStore) -> None:
    for number in (1, 2):
        enqueue(store, message(number))
    one, two = store.untold(10)
    store.address(one.message_id, [waiting(one)])
    store.address(two.message_id, [])
    assert store.forget_messages(NOW + 100) == 1
    assert [told.message for told in store.deliveries(10)] == [one]


def test_balances_are_read_where_enough_is_spent(tmp_path: Path, store_url: str) -> None:
    folder = open_folder(tmp_path, store_url)
    made = budget()
    folder.store.add_budget(made, NOW, "test")
    authority = open_budget_authority(folder.data)
    authority.hold("e1", "g1", [charge(made, DOLLAR)], NOW)
    authority.settle("e1", Amounts(DOLLAR, 1), NOW)
    assert folder.store.spent_rows(NOW, 5_000) == []
    (row,) = folder.store.spent_rows(NOW, 2_000)
    assert (row["budget_id"], row["posted"], row["limit"]) == ("b1", DOLLAR, 5 * DOLLAR)
    authority.close()
    folder.store.close()
