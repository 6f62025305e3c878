"""Background responses: begun by one call, billed by a later one, once and to who began them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import openai
import pytest

from job_books import JobBooks
from job_provider import JobProvider
from raw_http import get
from rough_upstream import json_reply
from scripted_provider import Scripted, scripted_provider
from sdk_clients import openai_client

MODEL = "gpt-4.1-mini"
# 600 fresh, 400 cached, 50 out at 0.40, 0.10 and 1.60 USD per million.
COST = Decimal("0.000360")
TOKENS = {
    "input_tokens": 600,
    "cache_read_tokens": 400,
    "output_tokens": 30,
    "reasoning_tokens": 20,
}


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Scripted]:
    with scripted_provider(tmp_path) as made:
        made.plays(JobProvider())
        yield made


@pytest.fixture
def client(scripted: Scripted) -> Iterator[openai.OpenAI]:
    with openai_client(scripted.gateway.url, scripted.key) as made:
        yield made


def begin(client: openai.OpenAI) -> str:
    """Begin a response, and give its id."""
    tags = {"x-tollkeeper-tags": "project=moon"}
    made = client.responses.create(model=MODEL, input="think", background=True, extra_headers=tags)
    assert made.status == "queued"
    return made.id


def test_the_first_call_is_pending_until_its_bill_comes(
    scripted: Scripted, client: openai.OpenAI
) -> None:
    books = JobBooks(scripted.gateway)
    name = begin(client)
    (row,) = books.rows()
    assert (row["basis"], row["unpriced_reason"], row["cost_usd"]) == ("unpriced", "pending", None)
    assert books.sums() == {"requests": 1, "unpriced": 1, "cost": 0}
    assert client.responses.retrieve(name).status == "in_progress"
    assert books.sums() == {"requests": 2, "unpriced": 1, "cost": 0}
    assert client.responses.retrieve(name).status == "completed"
    assert books.sums() == {"requests": 3, "cost": COST, **TOKENS}


def test_fetching_it_again_and_again_is_one_bill_for_who_began_it(
    scripted: Scripted, client: openai.OpenAI
) -> None:
    books = JobBooks(scripted.gateway)
    name = begin(client)
    other = scripted.gateway.issue("another")
    with openai_client(scripted.gateway.url, other) as somebody:
        for _ in range(4):
            somebody.responses.retrieve(name)
    books.load()
    with openai_client(scripted.gateway.url, other) as somebody:
        list(somebody.responses.retrieve(name, stream=True, starting_after=1))
        for _ in range(3):
            somebody.responses.retrieve(name)
    rows = books.rows()
    billed = [row for row in rows if row["cost_usd"]]
    assert [(row["cost_usd"], row["basis"], row["sign"]) for row in billed] == [
        (COST, "measured", 1)
    ]
    (bill,) = billed
    begun = next(row for row in rows if row["entry_id"] == bill["corrects"])
    for name in ("key_name", "team", "user_name", "tags", "tool", "call_id", "started_at"):
        assert bill[name] == begun[name]
    assert (bill["key_name"], bill["tags"]) == ("laptop", {"project": "moon"})
    assert bill["correction"] == "billed_later"
    assert books.sums() == {"requests": 9, "cost": COST, **TOKENS}
    assert sum(entry.cost_nanos or 0 for entry in books.told) == 360_000


def test_a_restart_and_a_kill_between_reply_and_journal_change_nothing(
    scripted: Scripted, client: openai.OpenAI
) -> None:
    gateway, books = scripted.gateway, JobBooks(scripted.gateway)
    name = begin(client)
    client.responses.retrieve(name)
    gateway.stop()
    gateway.start(TOLLKEEPER_FAILPOINT="gateway.post.before")
    with pytest.raises(openai.APIConnectionError):
        client.responses.retrieve(name)  # the reply came; nobody was told, nothing was booked
    assert gateway.gateway is not None
    gateway.gateway.wait()
    gateway.gateway = None
    assert books.sums()["cost"] == 0
    gateway.start()
    for _ in range(3):
        assert client.responses.retrieve(name).status == "completed"
    gateway.stop()
    gateway.start()
    client.responses.retrieve(name)
    sums = books.sums()
    assert (sums["cost"], sums["requests"]) == (COST, 7)
    assert {name: sums[name] for name in TOKENS} == TOKENS
    assert "unpriced" not in sums


def test_a_response_that_nobody_began_here_is_billed_to_who_fetches_it_first(
    scripted: Scripted, client: openai.OpenAI
) -> None:
    books = JobBooks(scripted.gateway)
    for _ in range(3):
        client.responses.retrieve("resp_elsewhere")
    assert books.sums() == {"requests": 3, "cost": COST, **TOKENS}
    (bill,) = [row for row in books.rows() if row["cost_usd"]]
    assert (bill["key_name"], bill["part"], bill["corrects"]) == ("laptop", 1, "")


def test_a_stored_response_that_ran_in_the_foreground_is_no_second_bill(
    scripted: Scripted,
) -> None:
    plain = {"id": "resp_1", "object": "response", "status": "completed", "background": False}
    usage = {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10}
    scripted.answers(json_reply({**plain, "model": MODEL, "usage": usage}))
    get(scripted.port, "/v1/responses/resp_1", {"authorization": f"Bearer {scripted.key}"})
    assert JobBooks(scripted.gateway).sums() == {"requests": 1, "cost": 0}
