"""A cap holds in running gateways: with many calls at once, with several processes, to the cent."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from budget_desks import CENT, DOLLAR, budget, only
from capped import answer, balances, beside, call_at_once, capped, chat, keep_budgets, lab
from raw_http import Answer, RawConnection, request
from rough_upstream import WAIT_S, Conversation, RoughUpstream
from running import Deployment
from scripted_provider import DONE, EVENTS_HEAD, EXTRA, LAST_CHUNK, chunk, delta, event
from tollkeeper import bootstrap
from tollkeeper.domain.budgets import Budget, BudgetScope, Mode, Unit

CALLS = 1_000
REFUSED = 402
UNREACHABLE = 503
CHAT = "/v1/chat/completions"


def call(made: Deployment, key: str = "", model: str = "lab/dime", **more: object) -> Answer:
    """Make one small call."""
    with RawConnection(made.port) as connection:
        headers = {"authorization": f"Bearer {key or made.key}"}
        connection.send(request(CHAT, chat(model, **more), headers))
        return connection.answer()


def until(is_so: Callable[[], bool], wait_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.fixture
def provider() -> Iterator[RoughUpstream]:
    with RoughUpstream(answer) as made:
        yield made


@pytest.mark.parametrize(("limit", "sent"), [(5 * DOLLAR, 50), (10 * CENT, 1)])
def test_exactly_as_many_calls_reach_the_provider_as_the_cap_pays_for(
    limit: int, sent: int, provider: RoughUpstream, tmp_path: Path
) -> None:
    with capped(tmp_path, provider, [budget(limit=limit)]) as made:
        statuses = call_at_once([(made.port, made.key)], CALLS)
        assert statuses == {200: sent, REFUSED: CALLS - sent}
        assert len(provider.requests) == sent
        made.stop()
        assert only(balances(made)).posted == limit


@pytest.mark.parametrize(("limit", "sent"), [(5 * DOLLAR, 50), (10 * CENT, 1)])
def test_two_gateways_on_one_store_keep_to_one_cap(
    limit: int, sent: int, provider: RoughUpstream, tmp_path: Path
) -> None:
    with capped(tmp_path, provider, [budget(limit=limit)]) as made:
        with beside(made, tmp_path / "second") as port:
            where = [(made.port, made.key), (port, made.key)]
            statuses = call_at_once(where, CALLS)
            assert statuses == {200: sent, REFUSED: CALLS - sent}
            assert len(provider.requests) == sent
        made.stop()
        row = only(balances(made))
        assert (row.posted, row.held) == (limit, 0)


def change(made: Deployment, changed: Budget) -> None:
    with closing(bootstrap.open_store(made.folder)) as store:
        (known,) = [it for it in store.budgets() if it.budget_id == changed.budget_id]
        assert store.change_budget(changed._replace(version=known.version + 1))


def test_a_lowered_limit_refuses_within_a_second_and_streams_finish(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    cap, goes_on = budget(limit=100 * DOLLAR), Event()

    def streaming(conversation: Conversation) -> None:
        conversation.answer(EVENTS_HEAD, chunk(event(delta("Hel"))))
        goes_on.wait(WAIT_S)
        conversation.answer(chunk(event(EXTRA)), chunk(event(DONE)), LAST_CHUNK)

    with capped(tmp_path, provider, [cap]) as made, RawConnection(made.port) as connection:
        assert call(made).status == 200
        provider.script = streaming
        headers = {"authorization": f"Bearer {made.key}"}
        connection.send(request(CHAT, chat(stream=True), headers))
        until(lambda: len(provider.requests) == 2)
        provider.script = answer
        change(made, cap._replace(limit=0))
        until(lambda: call(made).status == REFUSED, 2.0)
        goes_on.set()
        assert b"[DONE]" in connection.answer().body


def test_a_budget_that_is_made_while_calls_go_on_holds(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    with capped(tmp_path, provider, []) as made:
        reply = call(made)
        assert (reply.status, "x-tollkeeper-budget-left-usd" in reply.headers) == (200, False)
        keep_budgets(made, budget(limit=20 * CENT))
        until(lambda: call(made).status == REFUSED, 3.0)


def test_replies_say_what_is_left_and_refusals_which_budget(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    caps = [budget("b1", DOLLAR), budget("b2", 30 * CENT, name="tight")]
    with capped(tmp_path, provider, caps) as made:
        assert [call(made).headers["x-tollkeeper-budget-left-usd"] for _ in range(3)] == [
            *("0.200000000", "0.100000000", "0.000000000")
        ]
        refused = call(made)
        assert refused.status == REFUSED
        assert "tight" in refused.json()["error"]["message"]
        entries = made.entries_when(4)
        assert (entries[-1].outcome, entries[-1].error_code) == ("refused", "budget_exceeded")
        assert entries[-1].cost_nanos == 0
        with RawConnection(made.port) as connection:
            body = {"model": "lab/dime", "max_tokens": 5, "messages": []}
            connection.send(request("/v1/messages", body, {"x-api-key": made.key}))
            assert connection.answer().json()["type"] == "error"
    assert len(provider.requests) == 3


def test_what_has_no_price_is_refused_under_a_hard_cap_and_free_models_pass(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    made = Deployment(tmp_path, provider.url, {})
    priced = lab(provider.url)
    more = {"kind": "openai", "base_url": f"{provider.url}/v1", "models": ["odd"]}
    priced["providers"] |= {"odd": more, "free": more | {"prices": {"input": 0, "output": 0}}}
    made.configure(priced)
    keep_budgets(made, budget(limit=0))
    made.start()
    try:
        assert call(made, model="free/odd").status == 200
        assert call(made).json()["error"]["code"] == "insufficient_quota"
        assert call(made, model="odd/unknown-thing").json()["error"]["code"] == "budget_unpriced"
        change(made, budget(limit=0, mode=Mode.OBSERVE))
        until(lambda: call(made, model="odd/unknown-thing").status == 200)
    finally:
        made.finish()


def test_without_the_store_capped_calls_are_refused_and_others_served(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    with capped(tmp_path, provider, []) as made:
        free = made.issue("free")
        cap = budget(limit=DOLLAR, scope=BudgetScope.KEY, match=made.key.split("_")[2])
        keep_budgets(made, cap, budget("b2", scope=BudgetScope.KEY, each=True, mode=Mode.OBSERVE))
        assert call(made, free).status == 200
        time.sleep(0.6)  # both budgets are known
        with closing(sqlite3.connect(made.folder.store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = call(made)
            assert (refused.status, refused.json()["error"]["code"]) == (
                *(UNREACHABLE, "budget_unreachable"),
            )
            assert int(refused.headers["retry-after"]) > 0
            assert call(made, free).status == 200
            other.execute("ROLLBACK")
        until(lambda: call(made).status == 200, 15.0)
        made.entries_when(4)
        made.stop()
        assert {row.held for row in balances(made)} == {0}


def test_requests_and_tokens_are_counted_as_they_are_booked(
    provider: RoughUpstream, tmp_path: Path
) -> None:
    caps = [
        budget("b1", 3, unit=Unit.REQUESTS),
        budget("b2", 10**6, unit=Unit.TOKENS),
    ]
    with capped(tmp_path, provider, caps) as made:
        statuses = [call(made, max_tokens=20).status for _ in range(4)]
        assert statuses == [200, 200, 200, REFUSED]
        made.stop()
        assert [row.posted for row in balances(made)] == [3, 30]
