"""Batches: every line is billed once, to who created the batch, however often it is fetched."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from job_books import JobBooks
from job_provider import JobProvider, chat_line, failed_line, lines_of
from raw_http import RawConnection, get, request
from running import Process
from scripted_provider import Scripted, scripted_provider
from sdk_clients import anthropic_client, openai_client

# Half of 0.40 and 1.60, 0.10 and 0.40, 2.00 and 8.00 USD per million.
PER_LINE = {
    "gpt-4.1-mini": Decimal("0.000028"),
    "gpt-4.1-nano": Decimal("0.000007"),
    "gpt-4.1": Decimal("0.000140"),
}
MODELS = tuple(PER_LINE)
FILE = "file-results"
TESTS = Path(__file__).parent.parent
TOTALS = {
    "input_tokens": 200,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 220,
}


@pytest.fixture
def provider() -> JobProvider:
    return JobProvider()


@pytest.fixture
def scripted(tmp_path: Path, provider: JobProvider) -> Iterator[Scripted]:
    with scripted_provider(tmp_path) as made:
        made.plays(provider)
        yield made


@pytest.fixture
def client(scripted: Scripted) -> Iterator[openai.OpenAI]:
    with openai_client(scripted.gateway.url, scripted.key) as made:
        yield made


@pytest.fixture
def books(scripted: Scripted) -> JobBooks:
    return JobBooks(scripted.gateway)


def create(client: openai.OpenAI) -> str:
    tags = {"x-tollkeeper-tags": "project=night"}
    made = client.batches.create(
        input_file_id="file-in",
        endpoint="/v1/chat/completions",
        completion_window="24h",
        extra_headers=tags,
    )
    return made.id


def finished(provider: JobProvider, **more: Any) -> None:
    """Let the batch be done."""
    provider.batches["batch_1"] = {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-in",
        "completion_window": "24h",
        "created_at": 1_790_000_000,
        "status": "completed",
        "model": "gpt-4.1-mini",
        "output_file_id": FILE,
        "error_file_id": None,
        **more,
    }


def fetch(scripted: Scripted, key: str = "", name: str = FILE) -> bytes:
    """Download a file."""
    headers = {"authorization": f"Bearer {key or scripted.key}"}
    return get(scripted.port, f"/v1/files/{name}/content", headers).body


def lines_in(books: JobBooks) -> list[dict[str, Any]]:
    return [row for row in books.rows() if row["part"] and not row["corrects"]]


# ---------------------------------------------------------------------- lines


def test_a_thousand_lines_of_three_models_are_billed_once(
    scripted: Scripted,
    provider: JobProvider,
    client: openai.OpenAI,
    books: JobBooks,
) -> None:
    name = create(client)
    assert books.sums() == {"requests": 1, "unpriced": 1, "cost": 0}
    lines = [chat_line(number, MODELS[number % 3]) for number in range(1_000)]
    lines += [failed_line(number) for number in range(1_000, 1_010)]
    provider.files[FILE] = lines_of(*lines)
    finished(provider)
    somebody = scripted.gateway.issue("somebody else")
    assert client.batches.retrieve(name).output_file_id == FILE
    for _ in range(2):
        assert fetch(scripted, somebody) == provider.files[FILE]
    books.load()
    scripted.gateway.stop()
    scripted.gateway.start()
    fetch(scripted, somebody)
    found = lines_in(books)
    assert Counter(row["model_served"] for row in found) == {
        "gpt-4.1-mini": 334,
        "gpt-4.1-nano": 333,
        "gpt-4.1": 333,
    }
    for row in found:
        assert row["cost_usd"] == PER_LINE[row["model_served"]]
    assert len({json.loads(row["usage_raw"])["custom_id"] for row in found}) == 1_000
    begun = next(row for row in books.rows() if row["unpriced_reason"] == "pending")
    for field in ("key_name", "team", "tags", "tool", "call_id", "started_at", "session_id"):
        assert {str(row[field]) for row in found} == {str(begun[field])}
    assert {row["batch"] for row in found} == {True}
    cost = sum(row["cost_usd"] for row in found)
    sums = books.sums()
    assert (sums["cost"], sums["requests"], sums.get("unpriced", 0)) == (cost, 5, 0)
    assert sum(entry.cost_nanos or 0 for entry in books.told) == cost * 10**9


def test_a_download_that_broke_off_is_completed_by_the_next(
    scripted: Scripted, provider: JobProvider, client: openai.OpenAI, books: JobBooks
) -> None:
    finished(provider)
    client.batches.retrieve(create(client))
    provider.files[FILE] = lines_of(*(chat_line(number) for number in range(20_000)))
    provider.breaks_after_bytes = len(provider.files[FILE]) // 2
    with RawConnection(scripted.port) as connection:
        headers = {"authorization": f"Bearer {scripted.key}"}
        path = f"/v1/files/{FILE}/content"
        connection.send(request(path, headers=headers, method="GET"))
        assert len(connection.rest()) < len(provider.files[FILE])
    first = books.sums()
    assert 9_000 < first["cost"] / PER_LINE["gpt-4.1-mini"] < 11_000
    assert first["unpriced"] == 1  # not all of it is known
    provider.breaks_after_bytes = 0
    fetch(scripted)
    sums = books.sums()
    assert sums["cost"] == 20_000 * PER_LINE["gpt-4.1-mini"]
    assert sums.get("unpriced", 0) == 0


def test_hostile_lines_are_states_and_never_wrong_numbers(
    scripted: Scripted, provider: JobProvider, client: openai.OpenAI, books: JobBooks
) -> None:
    finished(provider)
    client.batches.retrieve(create(client))
    huge = b'{"id": "h", "custom_id": "h", "error": null, "response": {"body": {"x": ['
    huge += b'"0",' * 3_000_000 + b'"0"]}}}'
    twice = chat_line(5) | {"id": "batch_req_50"}  # another request of the same name
    without = chat_line(6)
    without["response"]["body"]["usage"] = None
    negative = chat_line(7, prompt=-1)
    provider.files[FILE] = lines_of(
        chat_line(1), b'{"id": "batch_req_2", "custom', b"", b"[]", chat_line(5), chat_line(5),
        twice, without, negative, huge, chat_line(8),
    )  # fmt: skip
    fetch(scripted)
    fetch(scripted)
    found = lines_in(books)
    reasons = Counter(row["unpriced_reason"] for row in found)
    assert reasons == {
        "": 4,
        "unreadable_line": 2,
        "no_usage": 1,
        "inconsistent_usage:negative_count": 1,
        "line_too_long": 1,
    }
    assert {row["cost_usd"] for row in found if not row["unpriced_reason"]} == {
        PER_LINE["gpt-4.1-mini"]
    }
    assert books.sums()["unpriced"] == 5


def test_other_files_are_no_bills(
    scripted: Scripted, provider: JobProvider, books: JobBooks
) -> None:
    provider.files |= {
        "file-training": lines_of({"messages": []}, {"messages": []}),
        "file-input": lines_of({"custom_id": "a", "method": "POST", "url": "/v1/x", "body": {}}),
        "file-picture": bytes(range(256)) * 100,
        "file-empty": b"",
    }
    for name in provider.files:
        assert fetch(scripted, name=name) == provider.files[name]
    assert books.sums() == {"requests": 4, "cost": 0}


# ---------------------------------------------------------------------- the batch object


def test_a_batch_that_nobody_downloads_is_billed_from_its_totals(
    provider: JobProvider, client: openai.OpenAI, books: JobBooks
) -> None:
    name = create(client)
    finished(provider, usage=TOTALS)
    for _ in range(3):
        client.batches.retrieve(name)
    sums = books.sums()
    assert (sums["cost"], sums.get("unpriced", 0)) == (2 * PER_LINE["gpt-4.1-mini"], 0)
    (total,) = lines_in(books)
    assert (total["key_name"], total["tags"], total["input_tokens"]) == (
        "laptop",
        {"project": "night"},
        200,
    )


@pytest.mark.parametrize("loads_between", [True, False])
def test_totals_give_way_to_the_lines(
    scripted: Scripted,
    provider: JobProvider,
    client: openai.OpenAI,
    books: JobBooks,
    loads_between: bool,
) -> None:
    """Also where the lines say more than the object, whose one model is not that of all."""
    name = create(client)
    finished(provider, usage=TOTALS)
    provider.files[FILE] = lines_of(chat_line(1), chat_line(2, "gpt-4.1"))
    client.batches.retrieve(name)
    if loads_between:
        assert books.sums()["cost"] == 2 * PER_LINE["gpt-4.1-mini"]
    fetch(scripted)
    client.batches.retrieve(name)
    fetch(scripted)
    sums = books.sums()
    assert sums["cost"] == PER_LINE["gpt-4.1-mini"] + PER_LINE["gpt-4.1"]
    assert (sums["input_tokens"], sums["output_tokens"]) == (200, 20)
    assert sums.get("unpriced", 0) == 0


def test_totals_that_come_after_the_lines_are_no_second_bill(
    scripted: Scripted, provider: JobProvider, client: openai.OpenAI, books: JobBooks
) -> None:
    name = create(client)
    finished(provider, usage=TOTALS)
    provider.files[FILE] = lines_of(chat_line(1), chat_line(2))
    fetch(scripted)  # before anybody said whose file it is
    books.load()
    client.batches.retrieve(name)
    sums = books.sums()
    assert sums["cost"] == 2 * PER_LINE["gpt-4.1-mini"]
    assert sums.get("unpriced", 0) == 0


def test_a_batch_of_which_nothing_came_out_costs_nothing(
    provider: JobProvider, client: openai.OpenAI, books: JobBooks
) -> None:
    name = create(client)
    finished(provider, status="failed", output_file_id=None)
    client.batches.retrieve(name)
    assert books.sums() == {"requests": 2, "cost": 0}


# ---------------------------------------------------------------------- Anthropic


def test_results_of_message_batches_are_billed_once(
    scripted: Scripted, provider: JobProvider, books: JobBooks
) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": "4"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 100, "output_tokens": 10, "service_tier": "batch"},
    }
    second = {"type": "succeeded", "message": message | {"id": "msg_2"}}
    provider.files["msgbatch_1"] = lines_of(
        {"custom_id": "a", "result": {"type": "succeeded", "message": message}},
        {"custom_id": "b", "result": second},
        {"custom_id": "c", "result": {"type": "errored", "error": {"type": "error"}}},
    )
    gateway = scripted.gateway
    with anthropic_client(gateway.url, gateway.key) as client:
        made = client.messages.batches.create(requests=[])
        # Anthropic names its own address, which the SDK follows: it must lead back here.
        place = client.messages.batches.retrieve(made.id).results_url
        assert place == f"/v1/messages/batches/{made.id}/results"
        assert books.sums()["unpriced"] == 1
        somebody = gateway.issue("another")
        with anthropic_client(gateway.url, somebody) as other:
            for _ in range(2):
                kinds = [one.result.type for one in other.messages.batches.results(made.id)]
                assert kinds == ["succeeded", "succeeded", "errored"]
    found = lines_in(books)
    # Half of 1 and 5 USD per million.
    assert [row["cost_usd"] for row in found] == [Decimal("0.000075")] * 2
    assert {row["key_name"] for row in found} == {"laptop"}
    assert {json.loads(row["usage_raw"])["custom_id"] for row in found} == {"a", "b"}
    sums = books.sums()
    assert (sums["cost"], sums.get("unpriced", 0)) == (Decimal("0.000150"), 0)


# ---------------------------------------------------------------------- a full disk


def test_a_download_that_cannot_be_booked_is_cut_and_comes_again(
    tmp_path: Path, provider: JobProvider
) -> None:
    provider.files[FILE] = lines_of(*(chat_line(number) for number in range(5_000)))
    configuration = {"journal": {"segment_mb": 1}}
    with scripted_provider(tmp_path, configuration=configuration) as scripted:
        scripted.plays(provider)
        gateway = scripted.gateway
        gateway.stop()
        # The third segment does not fit on the disk, and neither do the next few.
        fault = {"TEST_FAULT": "posix_fallocate:3:28:8", "PYTHONPATH": str(TESTS)}
        fault["TOLLKEEPER_LISTEN__PORT"] = str(gateway.port)
        place = ["--config", str(gateway.config_file), "--data", str(gateway.folder.root)]
        gateway.gateway = Process("failing_calls", [*place, "--alone"], fault)
        with RawConnection(scripted.port) as connection:
            headers = {"authorization": f"Bearer {scripted.key}"}
            path = f"/v1/files/{FILE}/content"
            connection.send(request(path, headers=headers, method="GET"))
            assert len(connection.rest()) < len(provider.files[FILE])
        gateway.stop()
        gateway.start()
        assert fetch(scripted) == provider.files[FILE]
        books = JobBooks(gateway)
        assert books.sums()["cost"] == 5_000 * PER_LINE["gpt-4.1-mini"]
