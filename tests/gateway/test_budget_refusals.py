"""A budget that is used up, in a running gateway: told in full, at once, and written once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import openai
import pytest

from budget_desks import CENT, DAILY, budget
from capped import answer, call_at_once, capped, chat, keep_budgets, lab
from gauges import wait_for
from raw_http import Answer, ask, request
from rough_upstream import RoughUpstream
from running import Deployment
from sdk_clients import openai_client
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budgets import BudgetScope, Mode
from tollkeeper.domain.ledger import Outcome, refusal_count
from tollkeeper.services import budget_requests, overdrafts
from tollkeeper.services.budget_requests import Given, Wanted
from tollkeeper.services.keys import OPERATOR

REPEATED = 'tollkeeper_repeated_refusals_total{code="budget_exceeded"}'
SECOND_US = 1_000_000
CAP = budget(
    "b-core",
    20 * CENT,
    name="Core",
    scope=BudgetScope.TEAM,
    each=True,
    window=DAILY._replace(zone="Europe/Berlin"),
)


@pytest.fixture
def spent(tmp_path: Path) -> Iterator[Deployment]:
    """A gateway whose team has spent its twenty cents, two calls of ten."""
    with RoughUpstream(answer) as provider, capped(tmp_path, provider, [CAP]) as made:
        assert call_at_once([(made.port, made.key)], 2) == {200: 2}
        yield made


def call(made: Deployment, **headers: str) -> Answer:
    fields = {"authorization": f"Bearer {made.key}", **headers}
    return ask(made.port, request("/v1/chat/completions", chat(max_tokens=5), fields))


def test_the_caller_reads_which_budget_how_it_stands_and_where_to_ask(spent: Deployment) -> None:
    refused = call(spent)
    assert refused.status == 402
    fault = refused.json()["error"]
    assert fault["code"] == "insufficient_quota"
    said = fault["message"]
    assert said.startswith(
        'Budget "Core" (team core) is used up: $0.20 spent, of $0.20. Ask for more at http'
    )
    assert "/budgets/ask?budget=b-core&for=core or wait until 20" in said
    assert "00:00 Europe/Berlin (in " in said
    codex = call(spent, originator="codex_exec", **{"user-agent": "codex_exec/0.169.0"})
    assert codex.status == 429
    assert codex.headers["x-codex-promo-message"] == said.rstrip(".")
    assert codex.json()["error"]["resets_at"] > clock.now_us() // SECOND_US


def test_an_sdk_raises_its_own_error_and_asks_once(spent: Deployment) -> None:
    before = len(spent.entries())
    with (
        openai_client(spent.url, spent.key, retries=3) as client,
        pytest.raises(openai.BadRequestError, match="is used up") as caught,
    ):
        client.chat.completions.create(model="lab/dime", messages=[], max_tokens=5)
    assert caught.value.code == "insufficient_quota"
    assert len(spent.entries_when(before + 1)) == before + 1


def test_a_storm_is_a_few_entries_and_every_refusal_counts(spent: Deployment) -> None:
    before = len(spent.entries())
    assert call_at_once([(spent.port, spent.key)], 500) == {402: 500}
    wait_for(spent, REPEATED, 499)
    spent.stop()
    written = spent.entries()[before:]
    assert len(written) <= 3
    assert sum(refusal_count(entry) for entry in written) == 500
    assert {(it.outcome, it.error_code, it.cost_nanos) for it in written} == {
        (Outcome.REFUSED, "budget_exceeded", 0)
    }


def test_ask_approve_and_the_call_goes_through(spent: Deployment) -> None:
    assert call(spent).status == 402
    now_us = clock.now_us()
    with closing(bootstrap.open_store(spent.folder)) as store:
        vault = bootstrap.open_vault(spent.folder)
        wanted = Wanted("b-core", "core", 10 * CENT, now_us + 600 * SECOND_US, "one call more")
        asked = budget_requests.ask(store, vault, wanted, OPERATOR, now_us)
        given = Given(10 * CENT, now_us + 600 * SECOND_US, "", "page")
        budget_requests.approve(store, asked.request.request_id, given, OPERATOR, clock.now_us())
    deadline_s = clock.monotonic_s() + 20
    while call(spent).status != 200:
        assert clock.monotonic_s() < deadline_s, "what was given does not count"
    assert call(spent).status == 402, "ten cents were given, for one call"
    said = call(spent).json()["error"]["message"]
    assert "$0.30 spent, of $0.30" in said


def test_an_overdraft_counts_as_well(spent: Deployment) -> None:
    now_us = clock.now_us()
    with closing(bootstrap.open_store(spent.folder)) as store:
        overdrafts.allow(store, "b-core", "50 %", OPERATOR, now_us)
        overdrafts.take(store, "b-core", "core", OPERATOR, now_us)
    assert call(spent).status == 200
    assert call(spent).status == 402


def test_what_has_no_price_is_refused_with_who_can_set_one(tmp_path: Path) -> None:
    with RoughUpstream(answer) as provider:
        configuration = lab(provider.url)
        del configuration["providers"]["lab"]["prices"]
        made = Deployment(tmp_path, provider.url, configuration)
        keep_budgets(made, CAP)
        made.start()
        try:
            refused = call(made)
        finally:
            made.finish()
        assert (refused.status, len(provider.requests)) == (402, 0)
    fault = refused.json()["error"]
    assert fault["code"] == "budget_unpriced"
    assert 'model "dime" has no price' in fault["message"]
    assert "tollkeeper prices set" in fault["message"]


def test_a_budget_that_observes_refuses_nobody(tmp_path: Path) -> None:
    watched = CAP._replace(mode=Mode.OBSERVE, limit=0)
    with RoughUpstream(answer) as provider, capped(tmp_path, provider, [watched]) as made:
        assert call(made).status == 200
